"""interest_analytics: interest of a period by product, rate band, loan and month, with its trend and period before."""

from datetime import date

from lending_pipelines.reports import analytics, headlines, in_period, interest_tables
from lending_pipelines.reports.book import ReportBook
from lending_pipelines.reports.protocol import ReportSource, report_book

_MEASURES = (*interest_tables.AMOUNTS, interest_tables.ACTIVE, *interest_tables.YIELD)


class InterestAnalyticsParameters(interest_tables.InterestParameters, analytics.AnalyticsParameters):
    """The form of interest_analytics."""


class InterestAnalytics:
    """Prints the changes of interest in loan_positions over periods."""

    report_type = "interest_analytics"
    title = "Interest analytics"
    description = "Interest earned against collected: yield by product and rate band, loans, months, trend."
    reads = in_period.READS
    parameters = InterestAnalyticsParameters

    def covers(self, parameters: InterestAnalyticsParameters, source: ReportSource) -> list[date]:
        """The closed days of the period, of the one before it, of its months and of the trend."""
        return analytics.closed_days(parameters, source)

    def generate(self, parameters: InterestAnalyticsParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        since = analytics.first_opening(selection.period, parameters)
        interest = interest_tables.Interest(selection, since, parameters.rate_band)
        over_time = analytics.analytics(
            selection, source, interest.over, _MEASURES, parameters, selection.no_rows_reason("interest")
        )
        products, rates = interest.by_product(), interest.by_rate()
        loans = interest.by_loan(parameters.top_loans)
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [interest.summary, products, rates, *over_time.tables, loans],
            [
                *analytics.month_charts("Interest", "bar", over_time.trend, "earned", "collected"),
                *analytics.month_charts("Effective rate", "line", over_time.trend, "effective_rate"),
            ],
            notes=[*interest.notes(), *over_time.notes],
            headlines=headlines.of_table(interest.summary),
            summary=in_period.headlines(interest.summary),
            blocks=over_time.blocks(interest.summary, product_breakdown=products, interest_rate_analysis=rates),
        )


generator = InterestAnalytics()
