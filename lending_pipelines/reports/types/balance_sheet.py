"""balance_sheet: assets, liabilities, equity and result on a day, beside an earlier day."""

from datetime import date, timedelta

from pydantic import Field, field_validator

from lending_pipelines.errors import LendingError
from lending_pipelines.reports import currency_charts, days, financial_statements, ledger_tables
from lending_pipelines.reports.book import ReportBook
from lending_pipelines.reports.financial_statements import Amounts, Span, Statement, minus, plus
from lending_pipelines.reports.parameters import AsOf, KnownAt, iso_day
from lending_pipelines.reports.protocol import ReportSource, report_book

_MONTH_END, _YEAR_END = "month_end", "year_end"
_SECTIONS = {"asset": "Assets", "liability": "Liabilities", "equity": "Equity and result"}


class BalanceSheetParameters(KnownAt, AsOf):
    """The form of balance_sheet."""

    compared_with: str = Field(
        _MONTH_END,
        description="Earlier day to compare with, like 2024-12-31; month_end or year_end: the last"
        " day of the month or year before as_of.",
    )

    @field_validator("compared_with")
    @classmethod
    def _day(cls, text: str) -> str:
        return iso_day(text, _MONTH_END, _YEAR_END)

    def earlier(self, day: date) -> date:
        """The day to compare with. LendingError if it is not before `day`."""
        match self.compared_with:
            case "month_end":
                return day.replace(day=1) - timedelta(days=1)
            case "year_end":
                return date(day.year - 1, 12, 31)
        earlier = date.fromisoformat(self.compared_with)
        if earlier >= day:
            raise LendingError(f"report balance_sheet: compared_with {earlier} is not before as_of {day}")
        return earlier


class BalanceSheet:
    """Sums journal_lines by the types and groups of gl_accounts."""

    report_type = "balance_sheet"
    title = "Balance sheet"
    description = "Assets, liabilities, equity and result on a day, by account group, beside an earlier day."
    reads = ("trial_balance", "journal_lines", "gl_accounts")
    parameters = BalanceSheetParameters

    def covers(self, parameters: BalanceSheetParameters, source: ReportSource) -> list[date]:
        """The business date. Its trial balance includes every journal line up to that day."""
        return [days.ledger_date(source, self.reads, parameters.as_of)]

    def generate(self, parameters: BalanceSheetParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed, or the earlier day is not before it."""
        day = self.covers(parameters, source)[0]
        earlier = parameters.earlier(day)
        statement = financial_statements.read(
            source, Span(str(day), date.min, day), Span(str(earlier), date.min, earlier)
        )

        lines = {currency: _lines(statement, currency) for currency in statement.own}
        totals = financial_statements.lines(statement, lines)
        alerts = [
            f"{currency}: assets differ from liabilities, equity and result by {difference} on {on}."
            for currency, named in lines.items()
            for on, difference in zip((day, earlier), named["Difference"], strict=False)
            if difference
        ]
        return report_book(
            self,
            parameters,
            source,
            day,
            "",
            [
                financial_statements.by_group("By account group", statement, _SECTIONS, result_below="equity"),
                totals,
                financial_statements.by_account(statement, ("asset", "liability", "equity", "income", "expense")),
            ],
            currency_charts.bars("Balance sheet", totals, "line", "amount"),
            notes=[*alerts, *ledger_tables.late_entries_of(source, day), *statement.notes()],
            headlines=financial_statements.headline_numbers(lines),
            summary=financial_statements.summary(lines),
            alerts=alerts,
        )


def _lines(statement: Statement, currency: str) -> dict[str, Amounts]:
    """The totals of a currency, and by how much assets differ from the rest."""
    assets, liabilities, equity = (statement.total(currency, name) for name in _SECTIONS)
    result = statement.result(currency)
    rest = plus(plus(liabilities, equity), result)
    return {
        "Assets": assets,
        "Liabilities": liabilities,
        "Equity": equity,
        "Result": result,
        "Liabilities, equity and result": rest,
        "Difference": minus(assets, rest),
    }


generator = BalanceSheet()
