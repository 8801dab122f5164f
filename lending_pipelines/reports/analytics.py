"""What the analytics reports share: growth month over month, trends, the period before, and the blocks of their JSON.

Their numbers come as `values`: a row per period (number) and currency, null where a period is not known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics.money import money
from lending_pipelines.metrics.ratios import growth
from lending_pipelines.reports import in_period
from lending_pipelines.reports.book import Chart, ChartKind, Kind, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, Asked
from lending_pipelines.reports.parameters import KnownAt, ReportParameters, UnderConventions
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource

_MONTH = (ReportColumn("month", "Month", "text"), ReportColumn("length", "Days", "count"))
GROWTH = ReportColumn("growth", "Growth", "rate")

_COMPARISON = (
    CURRENCY,
    ReportColumn("measure", "Measure", "text"),
    ReportColumn("current", "This period", "money"),
    ReportColumn("previous", "Previous period", "money"),
    ReportColumn("change", "Change", "money"),
    GROWTH,
)
_EXTREMES = (
    CURRENCY,
    ReportColumn("peak_month", "Peak month", "text"),
    ReportColumn("peak", "Peak", "money"),
    ReportColumn("lowest_month", "Lowest month", "text"),
    ReportColumn("lowest", "Lowest", "money"),
)

GROWTH_NOTE = (
    "Growth is against the month or period before it, and blank against zero; days tell a month that the period cuts."
)
NOTE = (
    f"{GROWTH_NOTE} Peak and lowest are of whole months. A blank month is before the first loan, or days of it that it"
    " needs are not closed."
)


class Trend(ReportParameters):
    """How far a trend goes back."""

    trend_months: int = Field(
        6, ge=2, le=120, description="Months of the trend, as 6 or 12; the last is the one in which the period ends."
    )


class AnalyticsParameters(UnderConventions, KnownAt, Trend, in_period.LoansInPeriod):
    """What every analytics report asks."""


@dataclass(frozen=True)
class Analytics:
    """The tables of a report that look at more than its period; `monthly` and `trend` have one per currency."""

    asked: Asked
    comparison: ReportTable
    monthly: Mapping[str, ReportTable]
    trend: Mapping[str, ReportTable]
    extremes: ReportTable

    @property
    def tables(self) -> list[ReportTable]:
        """All of them, as they are printed."""
        return [self.comparison, *self.monthly.values(), *self.trend.values(), self.extremes]

    def blocks(self, summary: ReportTable, **breakdowns: ReportTable) -> dict[str, Any]:
        """The report's JSON blocks beside report_type and summary, which every report has.

        What is per currency is under the currency; `breakdowns` are tables printed as lists of rows under their names.
        """
        ratios = ["currency", *(column.name for column in summary.columns if column.kind in ("rate", "ratio"))]
        compared, extremes = _plain(self.comparison), {row["currency"]: row for row in _plain(self.extremes)}
        return {
            "period": self.asked.period.block(),
            "performance_metrics": {
                row["currency"]: {name: row[name] for name in ratios}
                | {
                    "previous_period": self.asked.period.previous.block(),
                    "comparison": [line for line in compared if line["currency"] == row["currency"]],
                }
                for row in _plain(summary)
            },
            **{name: _plain(table) for name, table in breakdowns.items()},
            "monthly_breakdown": {currency: _plain(table) for currency, table in self.monthly.items()},
            "trend_analysis": {
                currency: {"months": _plain(table)} | extremes.get(currency, {})
                for currency, table in self.trend.items()
            },
        }


def analytics(
    asked: Asked,
    over: Callable[[Sequence[Period]], ir.Table],
    measures: Sequence[ReportColumn],
    parameters: Trend,
    none: str,
) -> Analytics:
    """The tables over time of the measures, the first of which is money and the one that growth and extremes are of.

    `over` gives the values of periods. Only money is compared with the previous period.
    """
    headline = measures[0].name
    trend = _grown(over(asked.period.trend(parameters.trend_months + 1)), headline)
    return Analytics(
        asked,
        _comparison(over([asked.period.previous, asked.period]), measures, none),
        monthly_breakdown(asked, over, measures),
        _by_currency("Trend", trend, measures, asked),
        _extremes(trend, headline),
    )


def monthly_breakdown(
    asked: Asked, over: Callable[[Sequence[Period]], ir.Table], measures: Sequence[ReportColumn]
) -> dict[str, ReportTable]:
    """The period's months per currency, with the growth of the first of the measures."""
    months = _grown(over(breakdown_periods(asked.period)), measures[0].name)
    return _by_currency("Monthly breakdown", months, measures, asked)


def month_charts(title: str, kind: ChartKind, tables: Mapping[str, ReportTable], *measures: str) -> list[Chart]:
    """A chart over the months per currency."""
    return [Chart(f"{title}, {currency}", table.title, kind, "month", measures) for currency, table in tables.items()]


def closed_days(parameters: AnalyticsParameters, source: ReportSource) -> list[date]:
    """The closed days of everything that `analytics` needs."""
    period = in_period.period_of(parameters, source)
    return in_period.closed_between(source, first_opening(period, parameters), period.last)


def first_opening(period: Period, parameters: Trend) -> date:
    """The earliest day whose positions `analytics` needs."""
    spans = (period.previous, *breakdown_periods(period), *period.trend(parameters.trend_months + 1))
    return min(span.opening for span in spans)


def breakdown_periods(period: Period) -> list[Period]:
    """The period's months, after the calendar month before them, which the first one's growth is against."""
    return [Period("custom", period.first, period.first).trend(2)[0], *period.months]


def _grown(values: ir.Table, headline: str) -> ir.Table:
    """The months but the one numbered 0, with the growth of the headline."""
    order = ibis.window(group_by="currency", order_by="number")
    rows = values.mutate(growth=growth(values[headline], values[headline].lag().over(order)))
    return rows.filter(rows.number > 0)


def _by_currency(
    title: str, months: ir.Table, measures: Sequence[ReportColumn], asked: Asked
) -> dict[str, ReportTable]:
    printed = (*_MONTH, *measures, GROWTH)
    return {
        currency: in_period.table(
            f"{title} {currency}", printed, months.filter(months.currency == currency).order_by("number"), ""
        )
        for currency in asked.currencies
    }


def _comparison(values: ir.Table, measures: Sequence[ReportColumn], none: str) -> ReportTable:
    """The period, numbered 1, against the one before it, numbered 0."""
    now, before = values.filter(values.number == 1), values.filter(values.number == 0)
    both = now.inner_join(before, "currency", rname="{name}_before")
    lines = [
        both.select(
            "currency",
            rank=ibis.literal(rank, "int64"),
            measure=ibis.literal(measure.label),
            current=both[measure.name],
            previous=both[f"{measure.name}_before"],
            change=money(both[measure.name] - both[f"{measure.name}_before"]),
            growth=growth(both[measure.name], both[f"{measure.name}_before"]),
        )
        for rank, measure in enumerate(measures)
        if measure.kind == "money"
    ]
    rows = ibis.union(*lines) if len(lines) > 1 else lines[0]
    return in_period.table("Against the previous period", _COMPARISON, rows.order_by("currency", "rank"), none)


def _extremes(trend: ir.Table, headline: str) -> ReportTable:
    """Per currency, the whole month in which the headline was largest and the one in which it was smallest."""
    whole = trend.filter(trend.whole, trend[headline].notnull())

    def first_by(order: ir.Value, name: str) -> ir.Table:
        ranked = whole.mutate(rank=ibis.row_number().over(group_by="currency", order_by=[order, whole.number]))
        chosen = ranked.filter(ranked["rank"] == 0)
        return chosen.select("currency", **{f"{name}_month": chosen.month, name: chosen[headline]})

    peak, lowest = first_by(whole[headline].desc(), "peak"), first_by(whole[headline].asc(), "lowest")
    rows = peak.inner_join(lowest, "currency").order_by("currency")
    return in_period.table("Peak and lowest month", _EXTREMES, rows, "no whole month of the trend is known")


def _plain(table: ReportTable) -> list[dict[str, Any]]:
    """The rows ready for JSON: money as decimal text, rates as numbers."""
    kinds = {column.name: column.kind for column in table.columns}
    return [{name: _json(value, kinds[name]) for name, value in row.items()} for row in table.arrow().to_pylist()]


def _json(value: Any, kind: Kind) -> Any:
    if isinstance(value, Decimal):
        return str(value) if kind == "money" else float(value)
    return value
