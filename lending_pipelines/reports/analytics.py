"""Shared by the analytics reports: months and trends with growth, the previous period, and the JSON blocks.

Values are passed as a table with a row per period (its `number`) and currency. They are null if a period is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from pydantic import Field

from lending_pipelines.metrics import growth, revenue
from lending_pipelines.metrics.money import as_count, money
from lending_pipelines.reports import in_period
from lending_pipelines.reports.book import Chart, ChartKind, Kind, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY, PeriodSelection
from lending_pipelines.reports.parameters import KnownAt, ReportParameters, UnderConventions
from lending_pipelines.reports.periods import Period, month_name, with_previous
from lending_pipelines.reports.protocol import ReportSource

_MONTH = (ReportColumn("month", "Month", "text"), ReportColumn("length", "Days", "count"))
GROWTH = ReportColumn("growth", "Growth", "rate")
_VOLUME = (
    ReportColumn("loan_volume", "Loan volume", "money"),
    ReportColumn("loans_disbursed", "Loans disbursed", "count"),
)
_VOLUME_GROWTH = ReportColumn("loan_volume_growth", "Loan volume growth", "rate")
_PAIRS = pa.schema({"number": pa.int64(), "before": pa.int64()})
_COMPARED: dict[Kind, str] = {
    "money": "Against the previous period",
    "count": "Counts against the previous period",
}
"""The title of each table that compares the period with the previous one, by the kind of its columns."""
_EXTREMES = (
    CURRENCY,
    ReportColumn("peak_month", "Peak month", "text"),
    ReportColumn("peak", "Peak", "money"),
    ReportColumn("lowest_month", "Lowest month", "text"),
    ReportColumn("lowest", "Lowest", "money"),
)

GROWTH_NOTE = (
    "Growth of a full month, quarter or year compares with the previous one; growth of a period in progress compares"
    " with the same number of days from the start of the previous one; growth of other ranges compares with the same"
    " number of days before. It is blank when the earlier value is zero or less. Days shows when a month is incomplete."
)
NOTE = (
    f"{GROWTH_NOTE} Peak and lowest use full months. A month is blank before the first loan, and when its opening or"
    " closing day is not closed."
)


class Trend(ReportParameters):
    """The length of a trend."""

    trend_months: int = Field(
        6, ge=2, le=120, description="Number of months of the trend, like 6 or 12, up to the month of the period's end."
    )


class AnalyticsParameters(UnderConventions, KnownAt, Trend, in_period.LoansInPeriod):
    """The parameters of every analytics report."""


Over = Callable[[Sequence[Period]], ir.Table]
"""A function that returns the values of periods: a row per period (its `number`) and currency."""


@dataclass(frozen=True)
class Analytics:
    """The tables of a report over time. `monthly` and `trend` have one per currency."""

    selection: PeriodSelection
    comparisons: Sequence[ReportTable]
    monthly: Mapping[str, ReportTable]
    trend: Mapping[str, ReportTable]
    extremes: ReportTable

    @property
    def tables(self) -> list[ReportTable]:
        """All tables, in the order of printing."""
        return [*self.comparisons, *self.monthly.values(), *self.trend.values(), self.extremes]

    @property
    def notes(self) -> list[str]:
        """Notes for the reader."""
        previous = self.selection.period.previous
        return [f"The previous period is {previous.first} to {previous.last}.", NOTE]

    def blocks(self, summary: ReportTable, **breakdowns: ReportTable) -> dict[str, Any]:
        """The further blocks of the report's JSON.

        Blocks per currency are objects by currency. `breakdowns` are tables that become lists of rows under their
        names.
        """
        ratios = ["currency", *(column.name for column in summary.columns if column.kind in ("rate", "ratio"))]
        compared = [line for table in self.comparisons for line in _plain(table)]
        extremes = {row["currency"]: row for row in _plain(self.extremes)}
        return {
            "period": self.selection.period.block(),
            "performance_metrics": {
                row["currency"]: {name: row[name] for name in ratios}
                | self._grown(lines := [line for line in compared if line["currency"] == row["currency"]])
                | {"previous_period": self.selection.period.previous.block(), "comparison": lines}
                for row in _plain(summary)
            },
            **{name: _plain(table) for name, table in breakdowns.items()},
            "monthly_breakdown": {currency: _months(table) for currency, table in self.monthly.items()},
            "trend_analysis": {
                currency: {"months": _months(table)} | extremes.get(currency, {})
                for currency, table in self.trend.items()
            },
        }

    @staticmethod
    def _grown(comparison: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The growth of the first measure and of the loan volume, from a currency's comparison."""
        grown = {line["measure"]: line["growth"] for line in comparison}
        return {GROWTH.name: comparison[0]["growth"], _VOLUME_GROWTH.name: grown[_VOLUME[0].label]}


def analytics(
    selection: PeriodSelection,
    source: ReportSource,
    over: Over,
    measures: Sequence[ReportColumn],
    parameters: Trend,
    none: str,
) -> Analytics:
    """The tables over time of the measures. The first measure must be money; growth and extremes are computed for it.

    Each table also has the volume of disbursed loans. Money and counts are compared with the previous period.
    """
    headline, volume = measures[0].name, _VOLUME[0].name

    def with_volume(periods: Sequence[Period]) -> ir.Table:
        return in_period.left_join(over(periods), _volumes(selection, source, periods), "number", "currency")

    months, trend_months = selection.period.months, selection.period.trend(parameters.trend_months)
    values = _Values([selection.period, *months, *trend_months], with_volume)
    trend = values.of(trend_months, headline, volume)
    printed = (*measures, GROWTH, *_VOLUME, _VOLUME_GROWTH)
    return Analytics(
        selection,
        _comparisons(values, selection.period, (*measures, *_VOLUME), none),
        _breakdown(values.of(months, headline, volume), printed, selection),
        _by_currency("Trend", trend, printed, selection),
        _extremes(trend, headline),
    )


def monthly_breakdown(
    selection: PeriodSelection, over: Over, measures: Sequence[ReportColumn]
) -> dict[str, ReportTable]:
    """The period's months per currency, with the growth of the first measure."""
    months = _Values(selection.period.months, over).of(selection.period.months, measures[0].name)
    return _breakdown(months, (*measures, GROWTH), selection)


def month_charts(title: str, kind: ChartKind, tables: Mapping[str, ReportTable], *measures: str) -> list[Chart]:
    """A chart by month for each currency."""
    return [Chart(f"{title}, {currency}", table.title, kind, "month", measures) for currency, table in tables.items()]


def closed_days(parameters: AnalyticsParameters, source: ReportSource) -> list[date]:
    """The closed days that `analytics` needs."""
    period = in_period.period_of(parameters, source)
    return in_period.closed_between(source, first_opening(period, parameters), period.last)


def first_opening(period: Period, parameters: Trend) -> date:
    """The earliest day whose positions `analytics` needs."""
    return earliest_opening([period, *period.months, *period.trend(parameters.trend_months)])


def earliest_opening(periods: Sequence[Period]) -> date:
    """The earliest day whose positions the periods and their growth need."""
    return min(period.opening for period in with_previous(periods))


def _volumes(selection: PeriodSelection, source: ReportSource, periods: Sequence[Period]) -> ir.Table:
    """The volume of disbursed loans in each period, per currency; null in periods before the first loan."""
    spans = selection.periods(periods, selection.begins_in_time)
    values = revenue.loan_volume(source.table("loans"), selection.loans, spans.filter(spans.known), ("currency",))
    names = [column.name for column in _VOLUME]
    return selection.completed(values, spans, names).select("number", "currency", *names)


class _Values:
    """The values of periods and of their previous periods, computed once."""

    def __init__(self, periods: Sequence[Period], over: Over):
        spans = with_previous(periods)
        self._number = {(span.first, span.last): number for number, span in enumerate(spans)}
        # Fetch the rows once, because several tables use them.
        self._rows = ibis.memtable(over(spans).to_pyarrow())

    def of(self, periods: Sequence[Period], headline: str, *names: str) -> ir.Table:
        """The values of the periods, with the growth of the headline as `growth` and of the others as `<name>_growth`.

        Each compared column also has its previous value as `<name>_before`.
        """
        pairs = [{"number": self._number_of(p), "before": self._number_of(p.previous)} for p in periods]
        numbers = ibis.memtable(pa.Table.from_pylist(pairs, schema=_PAIRS))
        rows = growth.compared(self._rows, numbers, headline, *names)
        return rows.rename(growth=f"{headline}_growth")

    def _number_of(self, period: Period) -> int:
        return self._number[period.first, period.last]


def _by_currency(
    title: str, months: ir.Table, measures: Sequence[ReportColumn], selection: PeriodSelection
) -> dict[str, ReportTable]:
    """A table of the months for each currency."""
    printed = (*_MONTH, *measures)
    return {
        currency: in_period.table(
            f"{title} {currency}", printed, months.filter(months.currency == currency).order_by("month"), ""
        )
        for currency in selection.currencies
    }


def _breakdown(
    months: ir.Table, measures: Sequence[ReportColumn], selection: PeriodSelection
) -> dict[str, ReportTable]:
    """The period's months per currency. A single month is not printed, because it repeats the summary."""
    tables = _by_currency("Monthly breakdown", months, measures, selection)
    if len(selection.period.months) > 1:
        return tables
    return {currency: replace(table, printed_rows=0) for currency, table in tables.items()}


def _comparisons(values: _Values, period: Period, measures: Sequence[ReportColumn], none: str) -> list[ReportTable]:
    """The period compared with the previous one: a table of money measures and a table of counts."""
    rows = values.of([period], *(measure.name for measure in measures if measure.kind in _COMPARED))
    rows = rows.rename({f"{measures[0].name}_growth": "growth"})
    tables = []
    for kind, title in _COMPARED.items():
        lines = ibis.union(
            *(
                rows.select(
                    "currency",
                    rank=ibis.literal(rank, "int64"),
                    measure=ibis.literal(measure.label),
                    current=measure.name,
                    previous=f"{measure.name}_before",
                    change=_difference(rows[measure.name], rows[f"{measure.name}_before"]),
                    growth=f"{measure.name}_growth",
                )
                for rank, measure in enumerate(measures)
                if measure.kind == kind
            )
        )
        printed = (
            CURRENCY,
            ReportColumn("measure", "Measure", "text"),
            ReportColumn("current", "This period", kind),
            ReportColumn("previous", "Previous period", kind),
            ReportColumn("change", "Change", kind),
            GROWTH,
        )
        tables.append(in_period.table(title, printed, lines.order_by("currency", "rank"), none))
    return tables


def _difference(now: ir.NumericColumn, before: ir.NumericColumn) -> ir.NumericColumn:
    return money(now - before) if now.type().is_decimal() else as_count(now - before)


def _extremes(trend: ir.Table, headline: str) -> ReportTable:
    """Per currency, the full months with the largest and the smallest value of the headline."""
    months = trend.filter(trend.full_month, trend[headline].notnull())

    def first_by(order: ir.Value, name: str) -> ir.Table:
        ranked = months.mutate(rank=ibis.row_number().over(group_by="currency", order_by=[order, months.month]))
        chosen = ranked.filter(ranked["rank"] == 0)
        return chosen.select("currency", **{f"{name}_month": chosen.month, name: chosen[headline]})

    peak, lowest = first_by(months[headline].desc(), "peak"), first_by(months[headline].asc(), "lowest")
    rows = peak.inner_join(lowest, "currency").order_by("currency")
    return in_period.table("Peak and lowest month", _EXTREMES, rows, "no full month of the trend is known")


def _months(table: ReportTable) -> list[dict[str, Any]]:
    """The rows of a table of months ready for JSON, each with the month's name."""
    return [
        {"month": row["month"], "month_name": month_name(date.fromisoformat(f"{row['month']}-01")), **row}
        for row in _plain(table)
    ]


def _plain(table: ReportTable) -> list[dict[str, Any]]:
    """The rows ready for JSON: money as decimal text, rates as numbers."""
    kinds = {column.name: column.kind for column in table.columns}
    return [{name: _json(value, kinds[name]) for name, value in row.items()} for row in table.arrow().to_pylist()]


def _json(value: Any, kind: Kind) -> Any:
    if isinstance(value, Decimal):
        return str(value) if kind == "money" else float(value)
    return value
