"""interest_income: interest earned, accrued and collected over a period, by product, by rate and by loan."""

from datetime import date

from lending_pipelines.reports import currency_charts, headlines, in_period, interest_tables
from lending_pipelines.reports.book import ReportBook
from lending_pipelines.reports.parameters import KnownAt, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book


class InterestIncomeParameters(UnderConventions, KnownAt, interest_tables.InterestParameters):
    """The form of interest_income."""


class InterestIncome:
    """Prints the changes of interest in loan_positions."""

    report_type = "interest_income"
    title = "Interest income"
    description = "Interest earned, accrued and collected over a period, by product, rate and loan."
    reads = in_period.READS
    parameters = InterestIncomeParameters

    def covers(self, parameters: InterestIncomeParameters, source: ReportSource) -> list[date]:
        """The closed days of the period and the day before it."""
        period = in_period.period_of(parameters, source)
        return in_period.closed_between(source, period.opening, period.last)

    def generate(self, parameters: InterestIncomeParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        interest = interest_tables.Interest(selection, selection.period.opening, parameters.rate_band)
        products = interest.by_product()
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [interest.summary, products, interest.by_rate(), interest.by_loan(parameters.top_loans)],
            currency_charts.bars("Interest by product", products, "product_name", "earned", "collected"),
            notes=interest.notes(),
            headlines=headlines.of_table(interest.summary),
            summary=in_period.headlines(interest.summary),
        )


generator = InterestIncome()
