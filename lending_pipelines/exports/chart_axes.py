"""The axes of a chart: ticks by the kind of the column, a time scale for dates, and readable names.

The marks are drawn in charts.py.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from lending_pipelines.reports.book import Chart, Kind, ReportTable

# d3 writes G for a billion.
SHORT = "abs(datum.value) < 1 ? format(datum.value, '.2~f') : replace(format(datum.value, '.3~s'), 'G', 'B')"
"""A Vega expression: the number with k, M or B."""

TICKS: dict[Kind, Mapping[str, Any]] = {
    "money": {"labelExpr": SHORT},
    "count": {"labelExpr": f"datum.value % 1 ? '' : {SHORT}"},
    "rate": {"format": "~%"},
    "percent": {"labelExpr": "format(datum.value, '~g') + '%'"},
}
"""The format of an axis' ticks, by the kind of its numbers."""

_MOST_TICKS = 13
"""The maximum number of days that are all drawn as ticks."""
_SHORT_NAME = 8
"""The maximum number of letters of names that fit below vertical bars."""
_PERIOD = re.compile(r"\d{4}([-Q]\d+)*")


def x_axis(alt: Any, chart: Chart, table: ReportTable, size: tuple[int, int]) -> Any:
    """The axis along the bottom: a time scale for a line over dates, otherwise the rows in their order."""
    column = next(column for column in table.columns if column.name == chart.x)
    kind, label = column.kind, column.label
    days = _days(chart, table)
    if chart.kind == "line" and kind in ("date", "instant"):
        # Use the table's days as ticks, so that month ends are not placed between month starts.
        ticks = [alt.DateTime(year=d.year, month=d.month, date=d.day, utc=True) for d in days]
        pattern = "%Y-%m" if is_monthly(chart, table) else "%Y-%m-%d"
        axis = alt.Axis(format=pattern, labelOverlap="parity", labelSeparation=6, grid=False)
        if len(days) <= _MOST_TICKS:
            axis.values = ticks
        return alt.X("x:T", title=None, scale=alt.Scale(type="utc"), axis=axis)
    if chart.kind == "line" and kind in ("count", "rate", "ratio", "percent"):
        return alt.X("x:Q", title=label, axis=alt.Axis(grid=False, **TICKS.get(kind, {})))
    axis = alt.Axis(labelOverlap="parity", labelLimit=160, labelAngle=0 if _fits(chart, table, size) else -45)
    if is_monthly(chart, table):
        axis.labelExpr = "slice(datum.value, 0, 7)"
    return alt.X(
        "x:N",
        title=None if kind == "date" or _of_periods(chart, table) else label,
        sort=None,
        axis=axis,
        scale=alt.Scale(paddingInner=0.4, paddingOuter=0.2),
    )


def lies_flat(chart: Chart, table: ReportTable) -> bool:
    """Whether the bars are horizontal: their names are too long to fit below vertical bars, and are not periods."""
    return chart.kind == "bar" and not _of_periods(chart, table) and max(map(len, _texts(chart, table))) > _SHORT_NAME


def is_monthly(chart: Chart, table: ReportTable) -> bool:
    """Whether the chart's dates are in different months, so that labels need only the month."""
    days = _days(chart, table)
    return len(days) > 1 and len({(day.year, day.month) for day in days}) == len(days)


def _of_periods(chart: Chart, table: ReportTable) -> bool:
    """Whether the names are dates, months, quarters or years."""
    return all(_PERIOD.fullmatch(text) for text in _texts(chart, table))


def _days(chart: Chart, table: ReportTable) -> list[date]:
    """The days of a chart over dates; empty for others."""
    found = table.arrow(chart.x)[chart.x].drop_null().unique().to_pylist()
    return [day for day in found if isinstance(day, date)]


def _texts(chart: Chart, table: ReportTable) -> list[str]:
    return [str(value) for value in table.arrow(chart.x)[chart.x].to_pylist()]


def _fits(chart: Chart, table: ReportTable, size: tuple[int, int]) -> bool:
    """Whether the names along the bottom fit side by side."""
    letters = 7 if is_monthly(chart, table) else None
    return sum(7 * len(text[:letters]) + 8 for text in _texts(chart, table)) <= size[0]
