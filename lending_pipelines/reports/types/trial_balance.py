"""trial_balance: every account's debits, credits and balance on a day."""

from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO
from lending_pipelines.reports import columns, days, headlines, no_data
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
        return report_book(
            self,
            parameters,
            source,
            day,
            "",
            [table],
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


def _by_type(rows: ir.Table) -> list[dict[str, Any]]:
    """Per currency the balance of each type of account, credit balances positive where they are the normal side."""
    debit = rows.debit_balance - rows.credit_balance
    sums = {
        name: ibis.coalesce(debit.sum(where=rows.account_type == name), ZERO)
        for name in ("asset", "liability", "equity", "income", "expense")
    }
    totals = rows.group_by("currency").agg(**sums, difference=debit.sum()).order_by("currency")
    return (
        totals.mutate(liability=-totals.liability, equity=-totals.equity, income=-totals.income)
        .to_pyarrow()
        .to_pylist()
    )


generator = TrialBalance()
