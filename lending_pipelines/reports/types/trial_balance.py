"""trial_balance: every account's debits, credits and balance on a day."""

from datetime import date

from lending_pipelines.reports import columns, days, no_data
from lending_pipelines.reports.book import ReportBook, ReportTable
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
            summary={
                row["currency"]: columns.headline(
                    row, ("debit_total", "credit_total", "debit_balance", "credit_balance")
                )
                for row in totals
            },
        )


generator = TrialBalance()
