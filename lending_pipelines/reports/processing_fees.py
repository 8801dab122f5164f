"""processing_fees: the processing fees of a period, by product and month, with their trend and the period before."""

from datetime import date

import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import analytics, days, fee_tables, in_period, no_data
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT, SHARE
from lending_pipelines.reports.protocol import ReportSource, report_book

_SIZES = (
    ReportColumn("average_fee", "Average fee", "money"),
    ReportColumn("smallest_fee", "Smallest fee", "money"),
    ReportColumn("largest_fee", "Largest fee", "money"),
    ReportColumn("principal", "Principal of the loans charged", "money"),
    ReportColumn("fee_to_principal", "Fee to principal", "rate"),
)
_MEASURES = (*fee_tables.AMOUNTS, fee_tables.COUNT)


class ProcessingFees:
    """Adds up the fees of type processing."""

    report_type = "processing_fees"
    title = "Processing fees"
    description = "Processing fees of a period: total, size, product breakdown, months, trend and previous period."
    reads = fee_tables.READS
    parameters = analytics.AnalyticsParameters

    def covers(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> list[date]:
        """The last day, which says which loans count."""
        return days.closed(source, in_period.period_of(parameters, source).last)

    def generate(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> ReportBook:
        """The report; LendingError when the last day or a scope is not there."""
        asked = in_period.asked(parameters, source)
        fees = fee_tables.fees_of(asked, source, "processing")
        none = no_data.reason(source, ("fees",), asked.none("processing fee"))
        over_time = analytics.analytics(fees.asked, fees.over, _MEASURES, parameters, none)
        contracts = source.table("loans")
        summary = fees.summary((CURRENCY, *_MEASURES, *_SIZES), none, _sizes(fees, contracts))
        products = _products(fees, contracts, summary, none)
        return report_book(
            self,
            parameters,
            source,
            asked.period.last,
            asked.title,
            [summary, products, *over_time.tables],
            analytics.month_charts("Processing fees", "bar", over_time.trend, "assessed", "collected"),
            notes=[fee_tables.NOTE, analytics.NOTE],
            summary=in_period.headlines(summary),
            blocks=over_time.blocks(summary, product_breakdown=products),
        )


def _sizes(fees: fee_tables.Fees, contracts: ir.Table, *keys: str) -> ir.Table:
    """How large the fees of the period are, per currency and keys."""
    return revenue.fee_sizes(fees.rows, contracts, fees.asked.loans, fees.spans, ("currency", *keys))


def _products(fees: fee_tables.Fees, contracts: ir.Table, summary: ReportTable, none: str) -> ReportTable:
    keys = [column.name for column in PRODUCT]
    rows = with_share(fees.by(*keys), "assessed").left_join(_sizes(fees, contracts, *keys), ["currency", *keys])
    printed = (CURRENCY, *PRODUCT, *_MEASURES, SHARE, *_SIZES)
    totals = in_period.totals_from(summary, *fee_tables.SUMS)
    return in_period.table("By product", printed, rows.order_by("currency", "product_id"), none, totals)


generator = ProcessingFees()
