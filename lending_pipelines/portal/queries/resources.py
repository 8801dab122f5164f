"""The table resources of the API: which lake table each one shows, its columns, its filters and the orders of its rows.

One endpoint serves them all (routes/api/tables.py). A new resource is an entry of RESOURCES.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.returns import total_returns
from lending_pipelines.portal.lake.keyset import Sort
from lending_pipelines.portal.lake.scoped_lake import Tables
from lending_pipelines.portal.policy import Action
from lending_pipelines.tables import TABLES
from lending_pipelines.tables.derived import HEALTH_RATES, HEALTH_SCORES
from lending_pipelines.tables.schema import Column, Table, money, ratio

DAY = "business_date"

Condition = tuple[str, str]
"""A column, and how it is compared with a value: one of the keys of _COMPARED."""

_COMPARED: dict[str, Callable[[ir.Column, ir.Value], ir.BooleanValue]] = {
    "is": lambda column, value: column == value,
    "in": lambda column, value: value.contains(column),
    "from": lambda column, value: column >= value,
    "to": lambda column, value: column <= value,
}


@dataclass(frozen=True, eq=False)
class TableResource:
    """A lake table as the API shows it.

    Attributes:
        path: The path under /api/v1.
        table: The lake table.
        action: The action that the person's role must allow.
        summary: One line about the table.
        description: The meaning of its numbers.
        filters: Columns that can be filtered by one or several values.
        ranges: Columns of numbers that can be filtered by a smallest and a largest value.
        sorts: Columns by which rows can be ordered, in addition to the first key column.
        columns: The columns that are shown; empty: all.
        json: Columns with JSON text, which JSON answers contain as JSON values.
        computed: The additional columns, with their meaning.
        compute: Adds the columns in `computed` to the rows.
    """

    path: str
    table: str
    action: Action
    summary: str
    description: str
    filters: tuple[str, ...]
    ranges: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    computed: tuple[Column, ...] = ()
    compute: Callable[[ir.Table], ir.Table] = field(default=lambda rows: rows)

    @property
    def lake_table(self) -> Table:
        """The definition of the lake table."""
        return TABLES[self.table]

    @cached_property
    def shown(self) -> tuple[Column, ...]:
        """The columns of an answer, in order."""
        names = self.columns or self.lake_table.names
        return (*(self.lake_table.column(name) for name in names), *self.computed)

    @property
    def daily(self) -> bool:
        """Whether each row belongs to a business date."""
        return self.lake_table.daily

    @property
    def orders(self) -> tuple[str, ...]:
        """The columns by which rows can be ordered, the default first."""
        first = self.lake_table.key[0]
        return (first, *(name for name in self.sorts if name != first))

    def sort(self, order: str) -> Sort:
        """The order by a column; with a minus before the name, descending."""
        return Sort(order.removeprefix("-"), self.lake_table.key, order.startswith("-"))


def conditioned(
    lake: Tables, resource: TableResource, conditions: tuple[Condition, ...], **values: ir.Value
) -> ir.Table:
    """The rows of a resource that satisfy all conditions, without an order. `values` are those of `label`."""
    rows = lake.table(resource.table)
    for condition in conditions:
        column, comparison = condition
        rows = rows.filter(_COMPARED[comparison](rows[column], values[label(condition)]))
    return resource.compute(rows).select(*(column.name for column in resource.shown))


def ordered(
    lake: Tables, resource: TableResource, conditions: tuple[Condition, ...], order: str, **values: ir.Value
) -> ir.Table:
    """The rows of `conditioned` in an order, nulls last as in pages."""
    rows, sort = conditioned(lake, resource, conditions, **values), resource.sort(order)
    first = (ibis.desc if sort.descending else ibis.asc)(sort.column)
    return rows.order_by(rows[sort.column].isnull(), first, *sort.columns[1:])


def label(condition: Condition) -> str:
    """The name of a condition's parameter."""
    return "__".join(condition)


_SCOPED = ("scope", "scope_id", "currency")
_RETURNED = (
    money("residual", "principal outstanding + interest receivable", sign="any"),
    money("profit", "collected + residual - disbursed", sign="any"),
    ratio("total_return", "profit ÷ disbursed"),
)

RESOURCES: tuple[TableResource, ...] = (
    TableResource(
        "snapshots",
        "portfolio_snapshots",
        "portfolios.read",
        "Balances, delinquency, returns and health per scope",
        "One row per day, scope, id within the scope, and currency: all loans, or those of a portfolio, program,"
        " product, branch, investor or vintage.",
        (*_SCOPED, "health_category"),
        ("total_balance", "loan_count", "past_due_amount", "par_30", "health_score"),
        ("scope_id", "total_balance", "loan_count", "past_due_amount", "par_30", "par_90", "irr", "health_score"),
        json=("bucket_breakdown",),
    ),
    TableResource(
        "health",
        "portfolio_snapshots",
        "portfolios.read",
        "The health score per scope, its parts and rates",
        "Rates in percent, scores in points from 0 to 100. A rate that is missing scores 0 and is named in `missing`.",
        (*_SCOPED, "health_category"),
        ("health_score", "collection_rate", "default_rate"),
        ("scope_id", "health_score", "collection_rate", "default_rate", "growth_rate", "portfolio_yield"),
        (DAY, *_SCOPED, "name", *HEALTH_RATES, *HEALTH_SCORES, "health_score", "health_category", "missing"),
    ),
    TableResource(
        "returns",
        "portfolio_snapshots",
        "portfolios.read",
        "What was earned per scope: IRR, MOIC, profit and total return",
        "IRR is the XIRR of the cash flows up to the day, without and with the residual as a last inflow.",
        _SCOPED,
        ("irr", "irr_with_residual", "moic"),
        ("scope_id", "irr", "irr_with_residual", "moic", "total_disbursed", "total_collected"),
        (
            *(DAY, *_SCOPED, "name", "irr", "irr_with_residual", "irr_reason", "moic"),
            *("total_disbursed", "total_collected", "charged_off", "recovered"),
        ),
        computed=_RETURNED,
        compute=lambda rows: total_returns(rows, "total_balance", "total_disbursed"),
    ),
    TableResource(
        "aging",
        "aging_buckets",
        "portfolios.read",
        "Active loans by delinquency bucket, per scope",
        "Loans, principal outstanding and past due amount in each bucket of days past due.",
        (*_SCOPED, "bucket"),
        ("loan_count", "principal_outstanding"),
        ("scope_id", "bucket", "loan_count", "principal_outstanding", "past_due_amount"),
    ),
    TableResource(
        "transitions",
        "aging_transitions",
        "portfolios.read",
        "Roll rates: moves between delinquency buckets, per scope",
        "From the bucket one transition step earlier to the bucket on the day, with loans that entered and left.",
        (*_SCOPED, "from_bucket", "to_bucket"),
        ("loan_count", "opening_principal"),
        ("scope_id", "from_bucket", "to_bucket", "loan_count", "opening_principal"),
    ),
    TableResource(
        "managers",
        "manager_snapshots",
        "managers.read",
        "Clients, balances, delinquency and health of loan officers and team leaders",
        "A team leader's row is that of the whole team. `unassigned` has the loans without an officer.",
        ("manager_id", "currency", "role", "branch_id", "health_category"),
        ("total_outstanding", "active_clients", "active_loans", "par_30", "health_score"),
        ("manager_id", "total_outstanding", "active_clients", "active_loans", "par_30", "health_score"),
    ),
    TableResource(
        "positions",
        "loan_positions",
        "loans.read",
        "Every disbursed loan at the end of every day",
        "Balances, the owner, and the days past due. The id of the borrower is null unless `personal` asks for it.",
        (
            *("loan_id", "portfolio_id", "program_id", "product_id", "branch_id", "officer_id", "investor_id"),
            *("currency", "vintage", "status", "bucket", "non_accrual"),
        ),
        ("principal_outstanding", "days_past_due", "past_due_amount"),
        (
            *("loan_id", "principal_outstanding", "days_past_due", "past_due_amount", "total_collected"),
            *("disbursed_on", "matures_on", "next_due_on"),
        ),
    ),
    TableResource(
        "trial-balance",
        "trial_balance",
        "ledger.read",
        "The trial balance: every account with entries up to the day",
        "Totals of debits and credits, and the balance: debit - credit.",
        ("account_code", "currency", "account_type"),
        ("balance",),
        ("account_code", "balance", "debit_total", "credit_total"),
    ),
    TableResource(
        "tie-outs",
        "ledger_tieouts",
        "ledger.read",
        "Control accounts compared with the loans",
        "The difference is ledger - subledger, and 0 when they tie. `loans` are those that make up a break.",
        ("control_for", "currency"),
        ("difference",),
        ("control_for", "difference"),
        json=("loans",),
    ),
    TableResource(
        "platform/metrics",
        "platform_activity",
        "platform.read",
        "Users, tickets, wallets and payments of the lending platform, per day and currency",
        "Counts of users and tickets, and the wallet balances, are of the lender and the same in every currency.",
        ("currency",),
        ("active_loans", "total_volume"),
        ("currency", "active_loans", "total_volume"),
        json=("wallet_balances",),
    ),
    TableResource(
        "closed-days",
        "closed_days",
        "data_health.read",
        "The days for which each daily table was made, and when",
        "`known_until` is when the last row that a day was made from was posted.",
        ("table_name",),
        (),
        ("business_date", "closed_at"),
        json=("conventions",),
    ),
)
"""The resources, in the order of the documentation."""
