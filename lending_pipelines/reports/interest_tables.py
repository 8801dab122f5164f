"""Interest tables used by several reports: in total, by product, by rate band and by loan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.money import ZERO, as_count
from lending_pipelines.metrics.portfolios import rate_weight, weighted_rate
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import columns, in_period
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT, SHARE, PeriodSelection
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.position_changes import Measured, PositionChanges
from lending_pipelines.tables.schema import RATE

RATE_BAND = (ReportColumn("rate_from", "Rate from", "rate"), ReportColumn("rate_to", "Rate below", "rate"))
AMOUNTS = (
    ReportColumn("earned", "Earned", "money"),
    ReportColumn("collected", "Collected", "money"),
    ReportColumn("variance", "Collected − earned", "money"),
    ReportColumn("receivable", "Receivable at the end", "money"),
)
YIELD = (
    ReportColumn("average_balance", "Average balance", "money"),
    ReportColumn("effective_rate", "Effective rate", "rate"),
)
ACTIVE = ReportColumn("active_loans", "Active loans at the end", "count")
_LOANS = (
    ACTIVE,
    ReportColumn("contract_rate", "Contractual rate at the end", "rate"),
)
_LOAN = (
    *columns.lake_columns("loan_positions", "loan_id"),
    *PRODUCT,
    *columns.lake_columns("loan_positions", "status", "annual_rate"),
)
_DURATION = (
    ReportColumn("contract_days", "Contractual duration, days", "count"),
    ReportColumn("days_on_book", "Days on book", "count"),
)
SUMS = tuple(column.name for column in (*AMOUNTS, YIELD[0]))
MEASURED = Measured(revenue.interest, revenue.INTEREST, SUMS, ("earned", "collected", "variance", "effective_rate"))

NOTE = (
    "Earned and collected are the changes of interest earned and interest paid over the period; variance is collected −"
    " earned. Effective rate: earned, annualised by 365 days, ÷ the average principal outstanding on the closed days."
    " The contractual rate is weighted by principal outstanding."
)


class InterestParameters(in_period.LoansInPeriod):
    """The parameters of every report on interest."""

    rate_band: int = Field(5, ge=1, le=100, description="Width of the rate bands, in percentage points.")
    top_loans: int = Field(
        1000, ge=1, le=1_000_000, description="Maximum number of loans listed per currency, largest variance first."
    )


@dataclass(frozen=True)
class Interest:
    """Interest of the selected loans; days from `since` on are read."""

    selection: PeriodSelection
    since: date
    rate_band: int

    @cached_property
    def changes(self) -> PositionChanges:
        """Interest over periods, by currency, product and rate band."""
        loans = self.selection.loans.mutate(
            rate_from=revenue.rate_from(self.selection.loans.annual_rate, self.rate_band)
        )
        return PositionChanges(
            self.selection, loans, MEASURED, self.since, (*(column.name for column in PRODUCT), "rate_from")
        )

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency: interest and active_loans; null in periods whose changes are unknown."""
        spans = self.selection.periods(periods, self.selection.changes_known)
        active = revenue.active_loans(
            self.selection.positions, self.changes.loans, spans.filter(spans.known), ("currency",)
        )
        active = self.selection.completed(active, spans, [ACTIVE.name]).select("number", "currency", ACTIVE.name)
        return in_period.left_join(self.changes.over(periods), active, "number", "currency")

    def by(self, *keys: str) -> ir.Table:
        """Interest of the period per currency and keys, with the number and rate of loans at its end."""
        every = ("currency", *keys)
        return self.changes.by(*keys).left_join(_at_end(self.changes.loans, every), every, rname="{name}_loans")

    @cached_property
    def summary(self) -> ReportTable:
        """The totals of the period, one row per currency."""
        printed = (CURRENCY, *_LOANS, *AMOUNTS, *YIELD)
        return in_period.table("Summary", printed, self.by().order_by("currency"), self._none)

    def by_rate(self) -> ReportTable:
        """The period by rate band at its end."""
        rows = self.by("rate_from")
        rows = rows.mutate(rate_to=rows.rate_from + ibis.literal(self.rate_band / 100, RATE))
        printed = (CURRENCY, *RATE_BAND, *_LOANS, *AMOUNTS, *YIELD)
        return in_period.table("By rate", printed, rows.order_by("currency", "rate_from"), self._none, self._totals)

    def by_product(self) -> ReportTable:
        """The period by product, with each product's share of earned interest."""
        rows = with_share(self.by(*(column.name for column in PRODUCT)), "earned")
        printed = (CURRENCY, *PRODUCT, *_LOANS, *AMOUNTS, SHARE, *YIELD)
        return in_period.table("By product", printed, rows.order_by("currency", "product_id"), self._none, self._totals)

    def by_loan(self, top: int) -> ReportTable:
        """The loans with the largest variance, with the totals of all loans."""
        keys = [column.name for column in _LOAN if column.name != "loan_id"]
        rows = self.changes.by_loan(*keys, "disbursed_on", "matures_on")
        rows = rows.mutate(
            contract_days=rows.matures_on.delta(rows.disbursed_on, unit="day"),
            days_on_book=ibis.literal(self.selection.period.last).delta(rows.disbursed_on, unit="day"),
        )
        order = [ibis.desc(ibis.coalesce(rows.variance.abs(), ZERO)), rows.loan_id]
        printed = (CURRENCY, *_LOAN, *_DURATION, *AMOUNTS, *YIELD)
        listed = in_period.top_table("By loan", printed, rows, order, top, self._none, self._totals)
        return replace(listed, printed_rows=in_period.PRINTED_LOANS)

    def notes(self) -> list[str]:
        """Notes for the reader, including missing days."""
        return [NOTE, *self.selection.missing_days("earned and collected")]

    @property
    def _none(self) -> str:
        return self.selection.no_rows_reason("interest")

    @cached_property
    def _totals(self) -> list[dict[str, Any]]:
        return in_period.totals_from(self.summary, *SUMS)


def _at_end(loans: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The number of active loans and the weighted contractual rate, by keys."""
    loans = loans.mutate(rate_weight=rate_weight(loans))
    return loans.group_by(*keys).agg(
        active_loans=as_count((loans.status == "active").cast("int64").sum()),
        contract_rate=weighted_rate(loans.rate_weight.sum(), loans.principal_outstanding.sum()).cast("float64"),
    )
