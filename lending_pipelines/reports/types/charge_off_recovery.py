"""charge_off_recovery: what was charged off in a period and recovered, with rates, by product, month and loan."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.money import ZERO
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.reports import analytics, columns, currency_charts, days, headlines, in_period
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PRODUCT
from lending_pipelines.reports.parameters import KnownAt, UnderConventions
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.position_changes import Measured, PositionChanges
from lending_pipelines.reports.protocol import ReportSource, report_book

_AMOUNTS = (
    ReportColumn("charged_off", "Charged off", "money"),
    ReportColumn("charge_offs", "Of which charge-offs", "money"),
    ReportColumn("write_offs", "Of which write-offs", "money"),
    ReportColumn("recoveries", "Recoveries", "money"),
    ReportColumn("net_charged_off", "Net charged off", "money"),
)
_MEASURES = (
    *_AMOUNTS,
    ReportColumn("average_balance", "Average balance", "money"),
    ReportColumn("net_charge_off_rate", "Net charge-off rate", "rate"),
    ReportColumn("recovered_of_rate", "Recoveries of the rate", "money"),
    ReportColumn("recovery_rate", "Recovery rate", "rate"),
)
_HEADLINES = (
    "net_charged_off",
    "net_charge_off_rate",
    "charged_off",
    "recoveries",
    "recovery_rate",
    "average_balance",
)
_LOAN = (
    *columns.lake_columns("loan_positions", "loan_id"),
    *PRODUCT,
    *columns.lake_columns("loan_positions", "status", "disbursed_on"),
)
_SUMS = (*(column.name for column in _AMOUNTS), "average_balance")
_LOSSES = Measured(
    revenue.losses_by_kind,
    revenue.LOSSES_BY_KIND,
    _SUMS,
    (*(column.name for column in _AMOUNTS), "net_charge_off_rate"),
)


class ChargeOffRecoveryParameters(UnderConventions, KnownAt, in_period.LoansInPeriod):
    """The form of charge_off_recovery."""

    top_loans: int = Field(
        1000, ge=1, le=1_000_000, description="Maximum number of loans listed per currency, largest charge-off first."
    )


class ChargeOffRecovery:
    """Prints the changes of principal_charged_off and recovered in loan_positions."""

    report_type = "charge_off_recovery"
    title = "Charge-offs and recoveries"
    description = "Charge-offs, write-offs and recoveries of a period, with rates, by product, month and loan."
    reads = (*in_period.READS, "transactions")
    parameters = ChargeOffRecoveryParameters

    def covers(self, parameters: ChargeOffRecoveryParameters, source: ReportSource) -> list[date]:
        """The closed days that the period and the growth of its months need, and the last day of recoveries."""
        period = in_period.period_of(parameters, source)
        held = in_period.closed_between(source, _since(period), period.last)
        return sorted({*held, _observed(parameters, source, period)}) if held else []

    def generate(self, parameters: ChargeOffRecoveryParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        since, observed = _since(selection.period), _observed(parameters, source, selection.period)
        held = selection.positions.filter(selection.positions.business_date.between(since, observed))
        selection = replace(selection, positions=revenue.with_written_off(held, source.table("transactions"), observed))
        losses = _Losses(
            PositionChanges(selection, selection.loans, _LOSSES, since, tuple(c.name for c in PRODUCT)),
            observed,
            source.conventions.recovery_dating,
        )
        none = selection.no_rows_reason("charge-off and no recovery")
        summary = in_period.table("Summary", (CURRENCY, *_MEASURES), losses.by().order_by("currency"), none)
        monthly = analytics.monthly_breakdown(selection, losses.over, _MEASURES)
        products = _products(losses, summary, none)
        charted = ("charge_offs", "write_offs", "recoveries")
        charts = (
            analytics.month_charts("Charge-offs and recoveries", "bar", monthly, *charted)
            if len(selection.period.months) > 1
            else currency_charts.bars("Charge-offs and recoveries by product", products, "product_name", *charted)
        )
        return report_book(
            self,
            parameters,
            source,
            selection.period.last,
            selection.title,
            [summary, products, *monthly.values(), _loans(losses, parameters.top_loans, none)],
            charts,
            notes=[_note(losses), *selection.missing_days("charged off and recovered"), analytics.GROWTH_NOTE],
            headlines=headlines.of_table(summary, *_HEADLINES),
            summary=in_period.headlines(summary),
        )


class _Losses:
    """Charge-offs and recoveries, with the recovery rate by the convention recovery_dating."""

    def __init__(self, changes: PositionChanges, observed: date, recovery_dating: str):
        self.changes = changes
        self.observed = observed
        self.recovery_dating = recovery_dating

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency."""
        spans = self.changes.selection.periods(periods, self.changes.selection.changes_known)
        return self._rated(self.changes.over(periods), spans.filter(spans.known), ("number", "currency"))

    def by(self, *keys: str) -> ir.Table:
        """The amounts of the period: a row per currency and keys."""
        spans = self.changes.selection.periods([self.changes.selection.period], self.changes.selection.changes_known)
        return self._rated(self.changes.by(*keys), spans.filter(spans.known), ("number", "currency", *keys))

    def _rated(self, rows: ir.Table, spans: ir.Table, keys: Sequence[str]) -> ir.Table:
        """The rows with recovered_of_rate and recovery_rate."""
        if self.recovery_dating == "receipt":
            rows = rows.mutate(recovered_of_rate=rows.recoveries)
        else:
            selection = self.changes.selection
            followed = revenue.recovered_since(selection.positions, selection.loans, spans, keys[1:], self.observed)
            rows = rows.left_join(followed, keys, rname="{name}_followed")
            known = rows.charged_off.notnull()
            rows = rows.mutate(
                recovered_of_rate=known.ifelse(ibis.coalesce(rows.recovered_since, ZERO), rows.charged_off)
            )
        return rows.mutate(recovery_rate=ratio(rows.recovered_of_rate, rows.charged_off))


def _since(period: Period) -> date:
    """The earliest day whose positions the period and the growth of its months need."""
    return analytics.earliest_opening([period, *period.months])


def _observed(parameters: ChargeOffRecoveryParameters, source: ReportSource, period: Period) -> date:
    """The day up to which recoveries on the loans charged off are followed: the business date, or the last day."""
    return max(days.business_date(source, ("loan_positions",), parameters.as_of), period.last)


def _products(losses: _Losses, summary: ReportTable, none: str) -> ReportTable:
    rows = losses.by(*(column.name for column in PRODUCT)).order_by("currency", "product_id")
    totals = in_period.totals_from(summary, *_SUMS, "recovered_of_rate")
    return in_period.table("By product", (CURRENCY, *PRODUCT, *_MEASURES), rows, none, totals)


def _loans(losses: _Losses, top: int, none: str) -> ReportTable:
    rows = losses.changes.by_loan(*(column.name for column in _LOAN if column.name != "loan_id"))
    rows = rows.filter((rows.charged_off != 0) | (rows.recoveries != 0))
    order = [rows.charged_off.desc(), rows.recoveries.desc(), rows.loan_id]
    return in_period.top_table("Loans", (CURRENCY, *_LOAN, *_AMOUNTS), rows, order, top, none)


def _note(losses: _Losses) -> str:
    dated = {
        "receipt": "the recoveries received in the period",
        "charge_off": f"the amounts recovered by {losses.observed} on loans charged off in the period",
    }[losses.recovery_dating]
    return (
        "Charged off is principal, net of reversals, split into charge-offs and write-offs by transaction type."
        " Recoveries include all components. Net charge-off rate: net charged off, annualised by 365 days,"
        " ÷ the average principal outstanding on the closed days."
        f" Recovery rate: {dated} ÷ charged off."
    )


generator = ChargeOffRecovery()
