"""income_statement: income, expenses and result of a period, beside the period before."""

from datetime import date

from lending_pipelines.reports import currency_charts, financial_statements, ledger_tables
from lending_pipelines.reports.book import ReportBook
from lending_pipelines.reports.financial_statements import Span
from lending_pipelines.reports.parameters import InPeriod, KnownAt
from lending_pipelines.reports.protocol import ReportSource, report_book

_SECTIONS = {"income": "Income", "expense": "Expenses"}


class IncomeStatementParameters(KnownAt, InPeriod):
    """The form of income_statement."""


class IncomeStatement:
    """Sums journal_lines of a period by the types and groups of gl_accounts."""

    report_type = "income_statement"
    title = "Income statement"
    description = "Income, expenses and result of a period, by account group, beside the period before."
    reads = ("trial_balance", "journal_lines", "gl_accounts")
    parameters = IncomeStatementParameters

    def covers(self, parameters: IncomeStatementParameters, source: ReportSource) -> list[date]:
        """The last day, if it is closed. Its trial balance includes every journal line up to that day."""
        return ledger_tables.covered(source, ledger_tables.period_of(parameters, source, self.reads).last)

    def generate(self, parameters: IncomeStatementParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed."""
        period = ledger_tables.period_of(parameters, source, self.reads)
        spans = (Span(each.display, each.first, each.last) for each in (period, period.previous))
        statement = financial_statements.read(source, *spans)
        lines = {
            currency: {
                "Income": statement.total(currency, "income"),
                "Expenses": statement.total(currency, "expense"),
                "Result": statement.result(currency),
            }
            for currency in statement.own
        }
        totals = financial_statements.lines(statement, lines)
        return report_book(
            self,
            parameters,
            source,
            period.last,
            period.display,
            [
                financial_statements.by_group("By account group", statement, _SECTIONS),
                totals,
                financial_statements.by_account(statement, tuple(_SECTIONS)),
            ],
            currency_charts.bars("Income statement", totals, "line", "amount", "before"),
            notes=[*ledger_tables.late_entries_of(source, period.last), *statement.notes()],
            headlines=financial_statements.headline_numbers(lines),
            summary=financial_statements.summary(lines),
        )


generator = IncomeStatement()
