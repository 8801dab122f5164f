"""Charts: one Altair spec per chart, drawn as SVG for PDF and ready for a browser.

A spec carries its data. Money is drawn as floating point; the numbers themselves are in the tables. Lines and stacks
are labelled at their ends. At most six lines have a colour, those with the largest latest values; the others are grey.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lending_pipelines.reports.book import Chart, Kind, ReportTable

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B2A100")
"""Colours that colour-blind readers can distinguish: Okabe and Ito 2008, with a darker yellow for white paper."""

GREY = "#BFBFBF"
"""The colour of lines that are not among MOST_LINES."""

MOST_LINES = 6
"""The most lines of a chart that have a colour and a label."""

TOTAL, DEDUCTION = "#0072B2", "#D55E00"
"""The colours of a waterfall."""

WIDE, NARROW, FLAT = (560, 200), (270, 170), (560, 120)
"""Width and height of a plot in pixels: alone, beside another, or above another on the first page."""

# Lines are told apart in black and white too.
_DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 4], [1, 3], [6, 2, 1, 2, 1, 2])
_MOST_TICKS = 13
_MOST_POINTS = 60
_LABEL = 14
# d3 writes G for a thousand millions.
_SHORT = "replace(format(datum.value, '.3~s'), 'G', 'B')"
_TICKS: dict[Kind, Mapping[str, Any]] = {
    "money": {"labelExpr": _SHORT},
    "count": {"labelExpr": _SHORT},
    "rate": {"format": "~%"},
    "percent": {"labelExpr": "format(datum.value, '~g') + '%'"},
}
# The first font is in vl-convert, the second in typst, so charts do not depend on the machine's fonts.
_FONTS = "Liberation Sans, Libertinus Serif, sans-serif"


def altair_chart(chart: Chart, table: ReportTable, size: tuple[int, int] = WIDE) -> Any:
    """The chart of a table that has rows; `.to_dict()` is its Vega-Lite spec."""
    kinds = {column.name: column.kind for column in table.columns}
    labels = {column.name: column.label for column in table.columns}
    draw = _waterfall if chart.kind == "waterfall" else _line if chart.kind == "line" else _bars
    drawn = draw(chart, table, kinds, labels, size)
    return (
        drawn.properties(width=size[0], height=size[1], title=textwrap.wrap(chart.title, size[0] // 8))
        .configure(font=_FONTS, background="white")
        .configure_title(anchor="start", fontSize=15, offset=12)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", gridColor="#E3E3E3")
        .configure_legend(labelFontSize=12)
        .configure_view(stroke=None)
    )


def svg(chart: Chart, table: ReportTable, size: tuple[int, int] = WIDE) -> str:
    """The chart as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(altair_chart(chart, table, size).to_dict()))


def coloured(chart: Chart, table: ReportTable) -> dict[str, str]:
    """The colour of each column that a chart draws: grey for the lines that are not among MOST_LINES."""
    names = list(chart.y)
    if chart.kind == "line" and len(names) > MOST_LINES:
        latest = {name: max(_known(table, name)[-1:], default=float("-inf")) for name in names}
        names = sorted(sorted(names, key=latest.__getitem__, reverse=True)[:MOST_LINES], key=names.index)
    colours = {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(names)}
    return {name: colours.get(name, GREY) for name in chart.y}


def steps(chart: Chart, table: ReportTable) -> list[tuple[str, float, float]]:
    """The bars of a waterfall: name, lower and upper end. Rows without an amount are left out."""
    bars: list[tuple[str, float, float]] = []
    level = 0.0
    for row in table.arrow().select([chart.x, *chart.y]).to_pylist():
        if row[chart.y[0]] is None:
            continue
        amount = float(row[chart.y[0]])
        if row[chart.x] in chart.deductions:
            bars.append((row[chart.x], level - amount, level))
            level -= amount
        else:
            bars.append((row[chart.x], 0.0, amount))
            level = amount
    return bars


def _known(table: ReportTable, name: str) -> list[float]:
    return [float(value) for value in table.arrow()[name].to_pylist() if value is not None]


def _line(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Lines with their names at their ends."""
    import altair as alt

    colours = coloured(chart, table)
    drawn = sorted(chart.y, key=lambda name: colours[name] != GREY)
    scale = alt.Scale(domain=[labels[name] for name in drawn], range=[colours[name] for name in drawn])
    dashes = [_DASHES[n % len(_DASHES)] for n in range(len(drawn))]
    values = _values(chart, table, labels)
    x = _x(alt, chart, table, kinds[chart.x], labels[chart.x], size)
    y = alt.Y("value:Q", title=None, axis=alt.Axis(**_TICKS.get(kinds[chart.y[0]], {})))
    colour = alt.Color("series:N", scale=scale, legend=None)
    lines = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(strokeWidth=2, point=len(table.frame) <= _MOST_POINTS)
        .encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash("series:N", scale=alt.Scale(domain=scale.domain, range=dashes), legend=None),
        )
    )
    named = [labels[name] for name in drawn if colours[name] != GREY]
    ends = {row["series"]: row for row in values if row["value"] is not None and row["series"] in named}
    found = [row["value"] for row in values if row["value"] is not None]
    apart = _LABEL * (max(found, default=0.0) - min([0.0, *found]) or 1.0) / size[1]
    return alt.layer(lines, _names(alt, list(ends.values()), apart, x, colour, size))


def _bars(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Bars beside one another with a legend, or stacks with the names at the last one."""
    import altair as alt

    names = [labels[name] for name in chart.y]
    scale = alt.Scale(domain=names, range=list(coloured(chart, table).values()))
    values = _values(chart, table, labels)
    stacked = chart.kind == "stacked"
    several = len(names) > 1
    legend = alt.Legend(
        orient="top", title=None, columns=4, labelLimit=300, symbolType="square", direction="horizontal"
    )
    x = _x(alt, chart, table, kinds[chart.x], labels[chart.x], size)
    encoded = {
        "x": x,
        "y": alt.Y("value:Q", title=None, axis=alt.Axis(**_TICKS.get(kinds[chart.y[0]], {}))),
        "color": alt.Color("series:N", scale=scale, legend=legend if several and not stacked else None, sort=names),
        "order": alt.Order("place:Q"),
    }
    if not stacked:
        encoded["xOffset"] = alt.XOffset("series:N", sort=names)
    drawn = alt.Chart(alt.InlineData(values=values)).mark_bar().encode(**encoded)
    if not stacked or not several:
        return drawn
    ends = _stack_ends(values)
    apart = _LABEL * (_highest_stack(values) or 1.0) / size[1]
    return alt.layer(drawn, _names(alt, ends, apart, x, encoded["color"], size, beside=_half_bar(values, size)))


def _waterfall(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Amounts from zero, deductions down from the amount before them, each with its name and number."""
    import altair as alt

    bars = [
        {
            "x": name,
            "low": low,
            "high": high,
            "what": "deduction" if name in chart.deductions else "amount",
            "shown": high - low if name in chart.deductions or low == 0.0 else high,
        }
        for name, low, high in steps(chart, table)
    ]
    x = alt.X(
        "x:N",
        title=None,
        sort=None,
        axis=alt.Axis(
            labelAngle=0 if size[0] == WIDE[0] else -40,
            labelExpr="split(datum.value, ' ')",
            labelLimit=120,
            labelFontSize=10,
            labelOverlap=False,
            ticks=False,
        ),
        scale=alt.Scale(paddingInner=0.25),
    )
    data = alt.InlineData(values=bars)
    colour = alt.Color("what:N", scale=alt.Scale(domain=["amount", "deduction"], range=[TOTAL, DEDUCTION]), legend=None)
    y = alt.Y("low:Q", title=None, axis=alt.Axis(**_TICKS.get(kinds[chart.y[0]], {})))
    drawn = alt.Chart(data).mark_bar().encode(x=x, y=y, y2="high:Q", color=colour)
    numbers = (
        alt.Chart(data)
        .transform_calculate(
            label=f"(datum.what == 'deduction' ? '−' : '') + {_SHORT.replace('datum.value', 'datum.shown')}"
        )
        .mark_text(dy=-7, fontSize=11)
        .encode(x=x, y=alt.Y("top:Q"), text="label:N")
        .transform_calculate(top="max(datum.low, datum.high)")
    )
    return alt.layer(drawn, numbers)


def _names(
    alt: Any,
    ends: Sequence[Mapping[str, Any]],
    apart: float,
    x: Any,
    colour: Any,
    size: tuple[int, int],
    beside: float = 0.0,
) -> Any:
    """The names of series at the given ends, moved apart where they would overlap; short of 34 letters."""
    texts = [
        {**end, "value": value, "name": textwrap.shorten(end["series"], 34, placeholder="…")}
        for at in dict.fromkeys(end["x"] for end in ends)
        for end, value in _spread([end for end in ends if end["x"] == at], apart)
    ]
    return (
        alt.Chart(alt.InlineData(values=texts))
        .mark_text(align="left", dx=7 + beside, fontSize=12)
        .encode(x=x, y="value:Q", text="name:N", color=colour)
    )


def _spread(ends: Iterable[Mapping[str, Any]], apart: float) -> Iterable[tuple[Mapping[str, Any], float]]:
    """The ends from the lowest to the highest, each at least `apart` above the one before."""
    last = float("-inf")
    for end in sorted(ends, key=lambda end: end["value"]):
        last = max(end["value"], last + apart)
        yield end, last


def _stack_ends(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The middle of each part of the last stack."""
    ends, height = [], 0.0
    for row in values:
        if row["x"] == values[-1]["x"]:
            amount = row["value"] or 0.0
            ends.append({**row, "value": height + amount / 2})
            height += amount
    return ends


def _highest_stack(values: Sequence[Mapping[str, Any]]) -> float:
    heights: dict[Any, float] = {}
    for row in values:
        heights[row["x"]] = heights.get(row["x"], 0.0) + (row["value"] or 0.0)
    return max(heights.values(), default=0.0)


def _half_bar(values: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> float:
    """Half the width of a bar in pixels."""
    return size[0] / len({row["x"] for row in values}) * 0.6 / 2


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


def _x(alt: Any, chart: Chart, table: ReportTable, kind: Kind, label: str, size: tuple[int, int]) -> Any:
    """Time is to scale under a line; bars stand in the order of the rows, whatever they are of."""
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
    axis = alt.Axis(labelOverlap="parity", labelLimit=160, labelAngle=0 if _fits(table, chart, size) else -45)
    return alt.X(
        "x:N",
        title=None if kind == "date" else label,
        sort=None,
        axis=axis,
        scale=alt.Scale(paddingInner=0.4, paddingOuter=0.2),
    )


def _fits(table: ReportTable, chart: Chart, size: tuple[int, int]) -> bool:
    """Whether the names along the bottom stand beside one another."""
    names = [str(value) for value in table.arrow()[chart.x].to_pylist()]
    return sum(7 * len(name) + 8 for name in names) <= size[0]
