"""combined_revenue: interest and fees of a period together: composition, products, months, trend, period before."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.money import NO_AMOUNT
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import analytics, fee_tables, headlines, in_period, interest_tables
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT, SHARE, PeriodSelection
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.position_changes import PositionChanges
from lending_pipelines.reports.protocol import ReportSource, report_book

_MEASURES = (
    ReportColumn("total", "Total revenue", "money"),
    ReportColumn("interest", "Interest earned", "money"),
    ReportColumn("fee_revenue", "Fees, net", "money"),
    ReportColumn("total_collected", "Total collected", "money"),
    ReportColumn("interest_collected", "Interest collected", "money"),
    ReportColumn("fees_collected", "Fees collected", "money"),
)
_SUMS = [column.name for column in _MEASURES]
_COMPONENTS = (
    ReportColumn("component", "Component", "text"),
    ReportColumn("revenue", "Revenue", "money"),
    SHARE,
    ReportColumn("collected", "Collected", "money"),
)
_NOTE = (
    "Revenue is interest earned plus fees assessed less fees waived; collected is the amount paid of both. A total is"
    " blank when one of its parts is unknown."
)


class CombinedRevenue:
    """Joins the changes of interest in loan_positions with the table fees."""

    report_type = "combined_revenue"
    title = "Combined revenue"
    description = "Interest and fees of a period together: composition, products, months, trend and previous period."
    reads = fee_tables.READS
    parameters = analytics.AnalyticsParameters

    def covers(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> list[date]:
        """The closed days of the period, of the one before it, of its months and of the trend."""
        return analytics.closed_days(parameters, source)

    def generate(self, parameters: analytics.AnalyticsParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        both = _Revenue(
            selection, analytics.first_opening(selection.period, parameters), fee_tables.fees_of(selection, source)
        )
        none = selection.no_rows_reason("revenue")
        over_time = analytics.analytics(selection, source, both.over, _MEASURES, parameters, none)
        summary = in_period.table("Summary", (CURRENCY, *_MEASURES), both.by().order_by("currency"), none)
        products, composition = _products(both, summary, none), _composition(both, summary, none)
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [summary, composition, products, *over_time.tables],
            analytics.month_charts("Revenue", "stacked", over_time.trend, "interest", "fee_revenue"),
            notes=[
                _NOTE,
                fee_tables.NOTE,
                *([] if both.fees.present else ["The source has no fees."]),
                *selection.missing_days("earned and collected"),
                *over_time.notes,
            ],
            headlines=headlines.of_table(summary),
            summary=in_period.headlines(summary),
            blocks=over_time.blocks(summary, revenue_composition=composition, product_breakdown=products),
        )


class _Revenue:
    """The interest and the fees of the selected loans, joined."""

    def __init__(self, selection: PeriodSelection, since: date, fees: fee_tables.Fees):
        keys = tuple(column.name for column in PRODUCT)
        self.interest = PositionChanges(selection, selection.loans, interest_tables.MEASURED, since, keys)
        self.fees = fees

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency."""
        keys = ("number", "currency")
        return revenue.combined(self.interest.over(periods), self.fees.over(periods), keys, self.fees.present)

    def by(self, *keys: str) -> ir.Table:
        """The amounts of the period: a row per currency and keys."""
        every = ("currency", *keys)
        return revenue.combined(self.interest.by(*keys), self.fees.by(*keys), every, self.fees.present)


def _composition(both: _Revenue, summary: ReportTable, none: str) -> ReportTable:
    """Interest and each type of fee, with their shares of the revenue."""
    interest = both.interest.by()
    interest = interest.select(
        "currency", component=ibis.literal("interest"), rank=0, revenue="earned", collected="collected"
    )
    if both.fees.present:
        fees = both.fees.by("fee_type")
        fees = fees.select("currency", component=fees.fee_type + " fees", rank=1, revenue="net", collected="collected")
    else:
        fees = interest.mutate(component=ibis.literal("fees"), rank=1, revenue=NO_AMOUNT, collected=NO_AMOUNT)
    rows = with_share(ibis.union(interest, fees), "revenue").order_by("currency", "rank", "component")
    totals = [
        {"currency": row["currency"], "revenue": row["total"], "collected": row["total_collected"]}
        for row in summary.arrow().to_pylist()
    ]
    return in_period.table("Composition", (CURRENCY, *_COMPONENTS), rows, none, totals)


def _products(both: _Revenue, summary: ReportTable, none: str) -> ReportTable:
    rows = with_share(both.by(*(column.name for column in PRODUCT)), "total").order_by("currency", "product_id")
    totals = in_period.totals_from(summary, *_SUMS)
    return in_period.table("By product", (CURRENCY, *PRODUCT, *_MEASURES, SHARE), rows, none, totals)


generator = CombinedRevenue()
