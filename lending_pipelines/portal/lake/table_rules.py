"""Which rows of each lake table a scope covers, and which personal columns it shows. A table without a rule is refused.

A rule filters the rows by the grants of a person: a row is shown if any grant covers it. The owner of a loan, its
officer, branch and portfolio are those of the row's day, as in loan_positions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Protocol

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.managers import UNASSIGNED, with_leaders
from lending_pipelines.portal.lake.compiled import bound
from lending_pipelines.portal.lake.stored_tables import LOAN_SPANS, OWN_TABLES
from lending_pipelines.portal.scope import DIMENSIONS, Scope

Columns = Mapping[str, str]
"""The column with the id of each dimension of a scope. If a restricted dimension has no column, it covers no row."""


@dataclass(frozen=True)
class Filter:
    """The scopes of a person's grants as filters. `shape` has the restricted dimensions of each; ids are parameters."""

    shape: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, scopes: tuple[Scope, ...]) -> "Filter":
        """The filter of these scopes. If one of them covers everything, the others are left out."""
        shape = tuple(scope.restricted for scope in scopes)
        return cls(((),) if () in shape else shape)

    @property
    def unrestricted(self) -> bool:
        """Whether every row is covered."""
        return () in self.shape

    def covers(self, rows: ir.Table, columns: Columns) -> ir.BooleanValue:
        """Whether a row is covered, by the ids in its columns."""
        found = [
            reduce(and_, (self._covers(rows, columns, number, name) for name in restricted))
            for number, restricted in enumerate(self.shape)
        ]
        return reduce(or_, found, ibis.literal(False))

    def aggregates(self, rows: ir.Table) -> ir.BooleanValue:
        """Whether a row with sums per scope and scope_id has sums of covered loans only.

        This is so if a grant's scope is restricted in a single dimension, and the row has the sums of one of its ids.
        """
        found = [
            (rows.scope == _AGGREGATED[restricted[0]]) & parameter(number, restricted[0]).contains(rows.scope_id)
            for number, restricted in enumerate(self.shape)
            if len(restricted) == 1 and restricted[0] in _AGGREGATED
        ]
        return reduce(or_, found, ibis.literal(False))

    def _covers(self, rows: ir.Table, columns: Columns, number: int, name: str) -> ir.BooleanValue:
        if name not in columns:
            return ibis.literal(False)
        return parameter(number, name).contains(rows[columns[name]]).fill_null(False)


def parameter(number: int, dimension: str) -> ir.ArrayValue:
    """The parameter with the ids of a dimension of a scope."""
    return bound(f"scope_{number}_{dimension}", "array<string>")


def scope_values(scopes: tuple[Scope, ...], shape: tuple[tuple[str, ...], ...]) -> dict[str, list[str]]:
    """The values of the parameters of a filter."""
    if shape == ((),):
        return {}
    return {
        f"scope_{number}_{name}": sorted(getattr(scope, name))
        for number, scope in enumerate(scopes)
        for name in scope.restricted
    }


_AGGREGATED = {"branches": "branch", "portfolios": "portfolio", "investors": "investor"}
"""The value of the column `scope` in tables of sums, for each dimension of a grant's scope that has sums."""
_LOAN: Columns = {
    "branches": "branch_id",
    "officers": "officer_id",
    "portfolios": "portfolio_id",
    "investors": "investor_id",
    "borrower": "borrower_id",
}
_OFFICE = {name: column for name, column in _LOAN.items() if name not in ("investors", "borrower")}
"""The dimensions of the lender's own work, which is not shown to investors and customers."""

Read = Callable[[str], ir.Table]
"""Returns a table, unfiltered."""


class Rule(Protocol):
    """How the rows of a table are filtered by the scopes of a person with restricted scopes only."""

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The covered rows."""


@dataclass(frozen=True)
class Everyone:
    """Rows that everybody who is signed in may see."""

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """All rows."""
        return rows


@dataclass(frozen=True)
class ByColumns:
    """Rows with the ids in columns. Without columns: rows about the complete lender, for unrestricted scopes only."""

    columns: Columns = field(default_factory=dict)

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The covered rows."""
        return rows.filter(scopes.covers(rows, self.columns))


@dataclass(frozen=True)
class BySum:
    """Sums of loans per scope and scope_id."""

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The sums of covered loans only."""
        return rows.filter(scopes.aggregates(rows))


@dataclass(frozen=True)
class ByManager:
    """Sums of the loans of a loan officer, or of a team leader and the team, on a day.

    A row is shown if it sums at least one loan, and all loans that it sums are covered on the row's day.
    """

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The sums of covered loans only."""
        loans = read(LOAN_SPANS.name)
        loans = loans.mutate(covered=scopes.covers(loans, _OFFICE), officer_id=loans.officer_id.fill_null(UNASSIGNED))
        loans = loans.select("officer_id", "starts_on", "ends_on", "covered", in_currency="currency")
        loans = with_leaders(loans, read("staff")).rename(led_by="manager_id")
        covered, others = loans.filter(loans.covered), loans.filter(~loans.covered)
        rows = rows.semi_join(covered, self._summed(rows, covered))
        return rows.anti_join(others, self._summed(rows, others))

    def _summed(self, rows: ir.Table, loans: ir.Table) -> list[ir.BooleanValue]:
        """Whether a row sums a loan."""
        return [
            rows.manager_id == loans.led_by,
            rows.currency == loans.in_currency,
            rows.business_date >= loans.starts_on,
            rows.business_date < loans.ends_on,
        ]


@dataclass(frozen=True)
class ByLoan:
    """Rows about loans, matched by columns with the same name in LOAN_SPANS.

    Args:
        day: The column with the row's day, on which the loan must be covered. None: the loan must be covered on the
            last closed day.
        on: The columns that a covered span and the row have in common.
        ever: The loan may be covered on any day.
        columns: The dimensions by which a loan is covered.
    """

    day: str | None = None
    on: tuple[str, ...] = ("loan_id",)
    ever: bool = False
    columns: Columns = field(default_factory=lambda: _LOAN)

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The rows of covered loans."""
        spans = read(LOAN_SPANS.name)
        if self.day is None and not self.ever:
            spans = spans.filter(spans.ends_on == spans.ends_on.max())
        spans = spans.filter(scopes.covers(spans, self.columns)).select(
            "starts_on", "ends_on", **{f"span_{name}": name for name in self.on}
        )
        same = [rows[name] == spans[f"span_{name}"] for name in self.on]
        if self.day is not None:
            on = rows[self.day].cast("date")
            same += [on >= spans.starts_on, on < spans.ends_on]
        return rows.semi_join(spans, same)


@dataclass(frozen=True)
class Through:
    """Rows that belong to a row of another table, by a column of the same name in both."""

    table: str
    column: str

    def rows(self, rows: ir.Table, scopes: Filter, read: Read) -> ir.Table:
        """The rows whose row in the other table is covered."""
        return rows.semi_join(RULES[self.table].rows(read(self.table), scopes, read), self.column)


_LENDER = ByColumns()

RULES: Mapping[str, Rule] = {
    "branches": ByLoan(on=("branch_id",)),
    "staff": ByColumns({"officers": "staff_id", "branches": "branch_id"}),
    "borrowers": ByLoan(on=("borrower_id",)),
    "programs": Everyone(),
    "products": Everyone(),
    "loans": ByLoan(),
    "officer_assignments": ByLoan(on=("loan_id", "officer_id"), ever=True, columns=_OFFICE),
    "delinquency_pauses": ByLoan("starts_on"),
    "loan_owners": ByColumns({"investors": "investor_id"}),
    "installments": ByLoan(),
    "transactions": ByLoan("effective_on"),
    "accruals": ByLoan("effective_on"),
    "fees": ByLoan("assessed_on"),
    "modifications": ByLoan("effective_on"),
    "gl_accounts": _LENDER,
    "journal_lines": _LENDER,
    "collection_assignments": ByLoan("assigned_on", columns=_OFFICE),
    "collection_contacts": ByLoan("contacted_at", columns=_OFFICE),
    "promises_to_pay": ByLoan("promised_on", columns=_OFFICE),
    "compliance_checks": ByLoan("checked_on", columns=_OFFICE),
    "users": ByColumns({"borrower": "borrower_id"}),
    "wallets": Through("users", "user_id"),
    "wallet_transactions": Through("wallets", "wallet_id"),
    "tickets": Through("users", "user_id"),
    "gateway_payments": Through("users", "user_id"),
    "portfolio_membership": ByLoan(on=("loan_id", "portfolio_id"), ever=True),
    "loan_ownership": ByColumns({"investors": "investor_id"}),
    "loan_positions": ByColumns(_LOAN),
    "loan_history": ByColumns(_LOAN),
    "loan_losses": ByLoan("on"),
    "aging_buckets": BySum(),
    "aging_transitions": BySum(),
    "portfolio_snapshots": BySum(),
    "manager_snapshots": ByManager(),
    "trial_balance": _LENDER,
    "ledger_tieouts": _LENDER,
    "platform_activity": _LENDER,
    "closed_days": Everyone(),
    "alert_log": _LENDER,
    "restatements": _LENDER,
    "reported_days": _LENDER,
    "published": _LENDER,
    "period_locks": _LENDER,
    "close_certificates": _LENDER,
}
"""How each table is scoped. loan_history and loan_losses are made from others (stored_tables.py)."""

STAFF_COLUMNS = frozenset(
    (
        ("staff", "full_name"),
        ("staff", "email"),
        ("loans", "officer_id"),
        ("loan_positions", "officer_id"),
        ("loan_history", "officer_id"),
        ("officer_assignments", "officer_id"),
        ("alert_log", "acknowledged_by"),
        ("period_locks", "locked_by"),
    )
)
"""The personal columns about the lender's staff. All other personal columns are about borrowers."""


@dataclass(frozen=True)
class Shown:
    """Which personal columns have values: those about staff, and those about borrowers. Others are null."""

    staff: bool
    borrowers: bool

    def masked(self, name: str) -> list[str]:
        """The columns of a table that are null."""
        return [
            column.name
            for column in OWN_TABLES[name].columns
            if column.personal and not (self.staff if (name, column.name) in STAFF_COLUMNS else self.borrowers)
        ]


assert set(DIMENSIONS) == set(_LOAN)
