"""trial_balance: every account's debits, credits and balance on a day."""

from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO
from lending_pipelines.reports import columns, currency_charts, days, headlines, no_data
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, KnownAt
from lending_pipelines.reports.protocol import ReportSource, report_book

_COLUMNS = columns.lake_columns(
    "trial_balance",
    "account_code",
    "name",
    "account_type",
    "currency",
    "debit_total",
    "credit_total",
    "debit_balance",
    "credit_balance",
)
_NORMAL_SIDE = {"asset": 1, "liability": -1, "equity": -1, "income": -1, "expense": 1}
"""The types of accounts in the order of a trial balance, with the sign of their normal balance as debit − credit."""

_BY_TYPE = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("account_type", "Account type", "text"),
    ReportColumn("accounts", "Accounts", "count"),
    *columns.lake_columns("trial_balance", "debit_balance", "credit_balance"),
    ReportColumn("balance", "Balance on the normal side", "money"),
)
_TYPES = (
    ReportColumn("currency", "Currency", "text"),
    *(
        ReportColumn(name, label, "money")
        for name, label in (
            ("asset", "Assets"),
            ("liability", "Liabilities"),
            ("equity", "Equity"),
            ("income", "Income"),
            ("expense", "Expenses"),
            ("difference", "Debits − credits"),
        )
    ),
)


class TrialBalanceParameters(KnownAt, AsOf):
    """The form of trial_balance."""


class TrialBalance:
    """Prints the table trial_balance."""

    report_type = "trial_balance"
    title = "Trial balance"
    description = "Debits, credits and balance of every ledger account on a day, with totals per currency."
    reads = ("trial_balance", "journal_lines")
    parameters = TrialBalanceParameters

    def covers(self, parameters: TrialBalanceParameters, source: ReportSource) -> list[date]:
        """The business date."""
        return [days.ledger_date(source, self.reads, parameters.as_of)]

    def generate(self, parameters: TrialBalanceParameters, source: ReportSource) -> ReportBook:
        """The report; LendingError when the day is not there."""
        day = self.covers(parameters, source)[0]
        balances = source.table("trial_balance")
        rows = balances.filter(balances.business_date == day)
        printed = rows.order_by("currency", "account_code").select(*(column.name for column in _COLUMNS))
        totals = columns.totals_by_currency(rows, _COLUMNS)
        none = no_data.reason(source, ["journal_lines"], f"the ledger has no entries up to {day}")
        table = ReportTable(self.title, _COLUMNS, columns.frame(printed), totals, no_data=none)
        types = _types(rows, none)
        return report_book(
            self,
            parameters,
            source,
            day,
            "",
            [table, types],
            currency_charts.bars("Balances by type of account", types, "account_type", "balance"),
            notes=[
                f"The {row['currency']} accounts do not balance: debits − credits ="
                f" {row['debit_total'] - row['credit_total']}."
                for row in totals
                if row["debit_total"] != row["credit_total"]
            ],
            headlines=headlines.of_rows(_TYPES, _by_type(rows), [column.name for column in _TYPES[1:]]),
            summary={
                row["currency"]: columns.headline(
                    row, ("debit_total", "credit_total", "debit_balance", "credit_balance")
                )
                for row in totals
            },
        )


def _types(rows: ir.Table, none: str) -> ReportTable:
    """The accounts of each type together, with totals per currency."""
    order = {name: place for place, name in enumerate(_NORMAL_SIDE)}
    sums = rows.group_by("currency", "account_type").agg(
        accounts=rows.count(), debit_balance=rows.debit_balance.sum(), credit_balance=rows.credit_balance.sum()
    )
    side = sums.account_type.cases(*_NORMAL_SIDE.items(), else_=1)
    sums = sums.mutate(balance=(sums.debit_balance - sums.credit_balance) * side)
    place = sums.account_type.cases(*order.items(), else_=len(order))
    printed = sums.order_by("currency", place, "account_type").select(*(column.name for column in _BY_TYPE))
    totals = columns.totals_by_currency(sums, _BY_TYPE, ("accounts", "debit_balance", "credit_balance"))
    return ReportTable("By type of account", _BY_TYPE, columns.frame(printed), totals, no_data=none, for_readers=True)


def _by_type(rows: ir.Table) -> list[dict[str, Any]]:
    """Per currency the balance of each type of account, credit balances positive where they are the normal side."""
    debit = rows.debit_balance - rows.credit_balance
    sums = {name: ibis.coalesce(debit.sum(where=rows.account_type == name), ZERO) for name in _NORMAL_SIDE}
    totals = rows.group_by("currency").agg(**sums, difference=debit.sum()).order_by("currency")
    return (
        totals.mutate(liability=-totals.liability, equity=-totals.equity, income=-totals.income)
        .to_pyarrow()
        .to_pylist()
    )


generator = TrialBalance()
