"""processing_fees: the processing fees of a period, by product and month, with their trend and the previous period."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import analytics, days, fee_tables, headlines, in_period, no_data
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT, SHARE
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_LOANS = ReportColumn("loan_count", "Loans charged", "count")
_AVERAGE = ReportColumn("average_fee", "Average fee", "money")
_TO_PRINCIPAL = ReportColumn("fee_to_principal", "Fee to principal", "rate")
_RANGE = (
    ReportColumn("smallest_fee", "Smallest fee", "money"),
    ReportColumn("largest_fee", "Largest fee", "money"),
    ReportColumn("principal", "Principal of the loans charged", "money"),
)
_AMOUNTS = (*fee_tables.AMOUNTS, fee_tables.COUNT, _LOANS)
_MEASURES = (*_AMOUNTS, _AVERAGE, _TO_PRINCIPAL)
_SIZES = (_AVERAGE, *_RANGE, _TO_PRINCIPAL)


class ProcessingFees:
    """Adds up the fees of type processing."""

    report_type = "processing_fees"
    title = "Processing fees"
    description = "Processing fees of a period: total, size, product breakdown, months, trend and previous period."
    reads = fee_tables.READS
    parameters = analytics.AnalyticsParameters

    def covers(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> list[date]:
        """The last day, if it is closed: its positions decide which loans count."""
        return days.closed(source, in_period.period_of(parameters, source).last)

    def generate(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        fees = fee_tables.fees_of(selection, source, "processing")
        none = no_data.reason(source, ("fees",), selection.no_rows_reason("processing fee"))
        contracts = source.table("loans")

        def over(periods: Sequence[Period]) -> ir.Table:
            return _with_sizes(fees.over(periods), fees, contracts, periods)

        over_time = analytics.analytics(fees.selection, source, over, _MEASURES, parameters, none)
        summary = fee_tables.summary(over([selection.period]), (CURRENCY, *_AMOUNTS, *_SIZES), none)
        products = _products(fees, contracts, summary, none)
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [summary, products, *over_time.tables],
            analytics.month_charts("Processing fees", "bar", over_time.trend, "assessed", "collected"),
            notes=[fee_tables.NOTE, *over_time.notes],
            headlines=headlines.of_table(summary),
            summary=in_period.headlines(summary),
            blocks=over_time.blocks(summary, product_breakdown=products),
        )


def _with_sizes(
    rows: ir.Table, fees: fee_tables.Fees, contracts: ir.Table, periods: Sequence[Period], *keys: str
) -> ir.Table:
    """The rows per period (number), currency and keys, with the sizes of the fees and the number of loans charged.

    A row without assessed fees has 0 loans charged and no sizes.
    """
    by = ("number", "currency", *keys)
    sizes = revenue.fee_sizes(fees.rows, contracts, fees.selection.loans, fees.spans(periods), by[1:])
    rows = in_period.left_join(rows, sizes, *by)
    return rows.mutate(
        loan_count=rows.fee_count.notnull().ifelse(ibis.coalesce(rows.loan_count, 0), ibis.null("int64"))
    )


def _products(fees: fee_tables.Fees, contracts: ir.Table, summary: ReportTable, none: str) -> ReportTable:
    keys = [column.name for column in PRODUCT]
    rows = _with_sizes(fees.by(*keys), fees, contracts, [fees.selection.period], *keys)
    printed = (CURRENCY, *PRODUCT, *_AMOUNTS, SHARE, *_SIZES)
    totals = in_period.totals_from(summary, *fee_tables.SUMS, _LOANS.name)
    return in_period.table(
        "By product", printed, with_share(rows, "assessed").order_by("currency", "product_id"), none, totals
    )


generator = ProcessingFees()
