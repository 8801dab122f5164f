"""fee_revenue: fees assessed, waived and collected over a period, by type, product and month."""

from datetime import date

from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import (
    analytics,
    columns,
    currency_charts,
    days,
    fee_tables,
    headlines,
    in_period,
    no_data,
)
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT, SHARE
from lending_pipelines.reports.parameters import KnownAt, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_MEASURES = (fee_tables.COUNT, *fee_tables.AMOUNTS)
_TYPE = columns.lake_columns("fees", "fee_type")


class FeeRevenueParameters(UnderConventions, KnownAt, in_period.LoansInPeriod):
    """The form of fee_revenue."""


class FeeRevenue:
    """Adds up the table fees."""

    report_type = "fee_revenue"
    title = "Fee revenue"
    description = "Fees assessed, waived, net and collected over a period, by type, product and month."
    reads = fee_tables.READS
    parameters = FeeRevenueParameters

    def covers(self, parameters: FeeRevenueParameters, source: ReportSource) -> list[date]:
        """The last day, if it is closed: its positions decide which loans count."""
        return days.closed(source, in_period.period_of(parameters, source).last)

    def generate(self, parameters: FeeRevenueParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        fees = fee_tables.fees_of(selection, source)
        none = no_data.reason(source, ("fees",), selection.no_rows_reason("fee"))
        summary = fee_tables.summary(fees.over([selection.period]), (CURRENCY, *_MEASURES), none)
        monthly = analytics.monthly_breakdown(
            fees.selection, fees.over, (*fee_tables.AMOUNTS[2:], *fee_tables.AMOUNTS[:2])
        )
        types = _by("By type", fees, summary, none, *_TYPE)
        charts = (
            analytics.month_charts("Fees", "bar", monthly, "net", "collected")
            if len(selection.period.months) > 1
            else currency_charts.bars("Fees by type", types, "fee_type", "net", "collected")
        )
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [
                summary,
                types,
                _by("By product", fees, summary, none, *PRODUCT),
                *monthly.values(),
            ],
            charts,
            notes=[fee_tables.NOTE, analytics.GROWTH_NOTE],
            headlines=headlines.of_table(summary),
            summary=in_period.headlines(summary),
        )


def _by(title: str, fees: fee_tables.Fees, summary: ReportTable, none: str, *keys: ReportColumn) -> ReportTable:
    """The fees of the period by the keys, with the share of each in the net amount."""
    rows = with_share(fees.by(*(key.name for key in keys)), "net").order_by("currency", keys[0].name)
    totals = in_period.totals_from(summary, *fee_tables.SUMS)
    return in_period.table(title, (CURRENCY, *keys, *_MEASURES, SHARE), rows, none, totals)


generator = FeeRevenue()
