"""Fees of a period as more than one report prints them: in all, by their columns and by those of their loans."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.reports import in_period, no_data
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.in_period import Asked
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource

READS = (*in_period.READS, "fees")

COUNT = ReportColumn("fee_count", "Fees", "count")
AMOUNTS = (
    ReportColumn("assessed", "Assessed", "money"),
    ReportColumn("waived", "Waived", "money"),
    ReportColumn("net", "Net", "money"),
    ReportColumn("collected", "Collected", "money"),
)
SUMS = [column.name for column in (COUNT, *AMOUNTS)]

NOTE = (
    "Fees count on the days on which they were assessed, waived and paid; net is assessed − waived. Fees of loans that"
    " were not disbursed by the last day are not in it."
)


@dataclass(frozen=True)
class Fees:
    """The fees of the loans of `asked`; `present` unless the source has none at all."""

    asked: Asked
    rows: ir.Table
    present: bool

    @property
    def spans(self) -> ir.Table:
        """The period, as metrics/revenue.py wants it, if its fees are known."""
        return self._spans([self.asked.period])

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency: SUMS; null in periods before the first loan."""
        values = revenue.fees(self.rows, self.asked.loans, self._spans(periods), ("currency",))
        return self.asked.each(values, self.asked.periods(periods, self.asked.begins_in_time), SUMS)

    def summary(self, printed: Sequence[ReportColumn], none: str, sizes: ir.Table | None = None) -> ReportTable:
        """The period in all, a row per currency; `sizes` are more columns by currency."""
        rows = self.over([self.asked.period])
        rows = rows if sizes is None else rows.left_join(sizes, "currency")
        return in_period.table("Summary", printed, rows.filter(rows.known).order_by("currency"), none)

    def by(self, *keys: str) -> ir.Table:
        """SUMS of the period per currency and keys, where there are fees."""
        return revenue.fees(self.rows, self.asked.loans, self.spans, ("currency", *keys))

    def _spans(self, periods: Sequence[Period]) -> ir.Table:
        spans = self.asked.periods(periods, self.asked.begins_in_time)
        return spans.filter(spans.known)


def fees_of(asked: Asked, source: ReportSource, fee_type: str | None = None) -> Fees:
    """The fees of the source, or those of one type; of no loans when the source has none at all."""
    fees = source.table("fees")
    present = no_data.has_rows(source, "fees")
    rows = fees if fee_type is None else fees.filter(fees.fee_type == fee_type)
    return Fees(asked if present else replace(asked, loans=asked.loans.filter(ibis.literal(False))), rows, present)
