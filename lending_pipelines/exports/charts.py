"""Charts: one Altair spec per chart, drawn as SVG for PDF.

A spec contains its data. Amounts are drawn as floats; the exact numbers are in the tables.
"""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lending_pipelines.reports.book import Chart, Kind, ReportTable

if TYPE_CHECKING:
    import altair as alt

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B2A100")
"""Colours that colour-blind readers can distinguish: Okabe and Ito 2008, with a darker yellow for white paper."""

# Dashes distinguish lines in black and white.
_DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 4], [1, 3], [6, 2, 1, 2, 1, 2])
_MOST_TICKS = 13
_MOST_POINTS = 60
# d3 writes G for a billion.
_SHORT = "replace(format(datum.value, '.3~s'), 'G', 'B')"
_TICKS: dict[Kind, Mapping[str, Any]] = {
    "money": {"labelExpr": _SHORT},
    "count": {"labelExpr": _SHORT},
    "rate": {"format": "~%"},
    "percent": {"labelExpr": "format(datum.value, '~g') + '%'"},
}
# The first font is in vl-convert, the second in typst, so charts do not depend on the machine's fonts.
_FONTS = "Liberation Sans, Libertinus Serif, sans-serif"


def altair_chart(chart: Chart, table: ReportTable) -> "alt.Chart":
    """The chart of a table that has rows; `.to_dict()` is its Vega-Lite spec."""
    import altair as alt

    kinds = {column.name: column.kind for column in table.columns}
    labels = {column.name: column.label for column in table.columns}
    names = [labels[name] for name in chart.y]
    series = alt.Scale(domain=names, range=[PALETTE[n % len(PALETTE)] for n in range(len(names))])
    symbol = {"symbolType": "stroke", "symbolSize": 400} if chart.kind == "line" else {"symbolType": "square"}
    legend = alt.Legend(orient="bottom", title=None, columns=4, labelLimit=300, symbolStrokeWidth=2, **symbol)
    data = alt.InlineData(values=_values(chart, table, labels))
    encoded = {
        "x": _x(alt, chart, table, kinds[chart.x], labels[chart.x]),
        "y": alt.Y("value:Q", title=None, axis=alt.Axis(**_TICKS.get(kinds[chart.y[0]], {}))),
        "color": alt.Color("series:N", scale=series, legend=legend, sort=names),
    }
    if chart.kind == "line":
        dashes = alt.Scale(domain=names, range=[_DASHES[n % len(_DASHES)] for n in range(len(names))])
        encoded["strokeDash"] = alt.StrokeDash("series:N", scale=dashes, legend=legend, sort=names)
        drawn = alt.Chart(data).mark_line(strokeWidth=2, point=len(table.frame) <= _MOST_POINTS)
    else:
        encoded["order"] = alt.Order("place:Q")
        if chart.kind == "bar":
            encoded["xOffset"] = alt.XOffset("series:N", sort=names)
        drawn = alt.Chart(data).mark_bar()
    return (
        drawn.encode(**encoded)
        .properties(width=520, height=230, title=textwrap.wrap(chart.title, 70))
        .configure(font=_FONTS, background="white")
        .configure_title(anchor="start", fontSize=15, offset=12)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", gridColor="#E3E3E3")
        .configure_legend(labelFontSize=12)
        .configure_view(stroke=None)
    )


def svg(chart: Chart, table: ReportTable) -> str:
    """The chart as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(altair_chart(chart, table).to_dict()))


def _values(chart: Chart, table: ReportTable, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = table.arrow().select([chart.x, *chart.y]).to_pylist()
    return [
        {
            "x": row[chart.x] if isinstance(row[chart.x], int | float) else str(row[chart.x]),
            "series": labels[name],
            "place": place,
            "value": None if row[name] is None else float(row[name]),
        }
        for row in rows
        for place, name in enumerate(chart.y)
    ]


def _x(alt: Any, chart: Chart, table: ReportTable, kind: Kind, label: str) -> Any:
    """A temporal axis for lines; an ordinal axis in row order for bars."""
    if chart.kind == "line" and kind in ("date", "instant"):
        days = table.arrow()[chart.x].drop_null().unique().to_pylist()
        # Use the table's days as ticks, so that month ends are not placed between month starts.
        ticks = [alt.DateTime(year=d.year, month=d.month, date=d.day, utc=True) for d in days]
        axis = alt.Axis(format="%Y-%m-%d", labelOverlap="parity", labelSeparation=6, grid=False)
        if len(days) <= _MOST_TICKS:
            axis.values = ticks
        return alt.X("x:T", title=None, scale=alt.Scale(type="utc"), axis=axis)
    if chart.kind == "line" and kind in ("count", "rate", "ratio", "percent"):
        return alt.X("x:Q", title=label, axis=alt.Axis(grid=False, **_TICKS.get(kind, {})))
    axis = alt.Axis(labelOverlap="parity", labelLimit=160, labelAngle=0 if len(table.frame) <= _MOST_TICKS else -45)
    return alt.X(
        "x:N",
        title=None if kind == "date" else label,
        sort=None,
        axis=axis,
        scale=alt.Scale(paddingInner=0.4, paddingOuter=0.2),
    )
