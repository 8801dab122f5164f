"""Fee tables used by several reports: in total, and grouped by columns of fees or of their loans."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.reports import in_period, no_data
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.in_period import PeriodSelection
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
    "Fees count on the days on which they were assessed, waived and paid; net is assessed − waived. Fees of loans not"
    " disbursed by the last day are left out."
)


@dataclass(frozen=True)
class Fees:
    """The fees of the selected loans. `present` is false if the source has no fees."""

    selection: PeriodSelection
    rows: ir.Table
    present: bool

    def spans(self, periods: Sequence[Period]) -> ir.Table:
        """The periods with known fees, as input of metrics/revenue.py."""
        spans = self.selection.periods(periods, self.selection.begins_in_time)
        return spans.filter(spans.known)

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency with SUMS; null in periods before the first loan."""
        values = revenue.fees(self.rows, self.selection.loans, self.spans(periods), ("currency",))
        return self.selection.completed(values, self.selection.periods(periods, self.selection.begins_in_time), SUMS)

    def by(self, *keys: str) -> ir.Table:
        """SUMS of the period, per currency and keys. There is no row where there are no fees."""
        return revenue.fees(self.rows, self.selection.loans, self.spans([self.selection.period]), ("currency", *keys))


def summary(rows: ir.Table, printed: Sequence[ReportColumn], none: str) -> ReportTable:
    """The totals of the period from its rows of `over`: a row per currency."""
    return in_period.table("Summary", printed, rows.filter(rows.known).order_by("currency"), none)


def fees_of(selection: PeriodSelection, source: ReportSource, fee_type: str | None = None) -> Fees:
    """The fees of the source, or those of one type. The selection has no loans if the source has no fees."""
    fees = source.table("fees")
    present = no_data.has_rows(source, "fees")
    rows = fees if fee_type is None else fees.filter(fees.fee_type == fee_type)
    return Fees(
        selection if present else replace(selection, loans=selection.loans.filter(ibis.literal(False))), rows, present
    )
