"""Charts: one Altair spec per chart, drawn as SVG for PDF and ready for a browser.

A spec carries its data. Money is drawn as floating point; the numbers themselves are in the tables. Lines and stacks
are labelled at their ends. At most six lines have a colour, those with the largest latest values; the others are grey.
Axes are in chart_axes.py, the labels of series in chart_names.py.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lending_pipelines.exports.chart_axes import SHORT, TICKS, lies_flat, x_axis
from lending_pipelines.exports.chart_names import HEIGHT, names, stack_ends
from lending_pipelines.reports.book import Chart, Kind, ReportTable

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B2A100")
"""Colours that colour-blind readers can distinguish: Okabe and Ito 2008, with a darker yellow for white paper."""

GREY = "#BFBFBF"
"""The colour of lines that are not among MOST_LINES."""

MOST_LINES = 6
"""The maximum number of lines of a chart that have a colour and a label."""

TOTAL, DEDUCTION = "#0072B2", "#D55E00"
"""The colours of a waterfall."""

WIDE, HALF, NARROW, FLAT, LOW = (560, 200), (400, 150), (270, 170), (560, 120), (400, 90)
"""Width and height of a plot in pixels: alone; beside another (landscape, portrait); above another; above its table.

A chart is printed at a size that makes its letters 7 points or more.
"""

# Dashes, so that lines differ in black and white, too.
_DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 4], [1, 3], [6, 2, 1, 2, 1, 2])
# The height of a horizontal bar in pixels, so that its name fits beside it.
_BAR = 16
# The first font is in vl-convert, the second in typst, so charts do not depend on the machine's fonts.
_FONTS = "Liberation Sans, Libertinus Serif, sans-serif"


def drawable(chart: Chart, table: ReportTable) -> bool:
    """Whether the chart shows anything: at least one of its values is neither zero nor missing."""
    return not table.frame.empty and any(value for name in chart.y for value in _known(table, name))


def altair_chart(chart: Chart, table: ReportTable, size: tuple[int, int] = WIDE, *, titled: bool = True) -> Any:
    """The chart of a table that has rows; `.to_dict()` is its Vega-Lite spec."""
    kinds = {column.name: column.kind for column in table.columns}
    labels = {column.name: column.label for column in table.columns}
    draw = _DRAWN.get(chart.kind) or (_flat_bars if lies_flat(chart, table) else _bars)
    if draw is _flat_bars:
        size = (size[0], max(size[1], _BAR * len(table.frame)))
    drawn = draw(chart, table, kinds, labels, size)
    letters, points = (size[0] // 8, 15) if size[0] > NARROW[0] else (size[0] // 7, 13)
    title = {"title": textwrap.wrap(chart.title, letters)} if titled else {}
    return (
        drawn.properties(width=size[0], height=size[1], **title)
        .configure(font=_FONTS, background="white")
        .configure_title(anchor="start", fontSize=points, offset=12)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", gridColor="#E3E3E3")
        .configure_legend(labelFontSize=12)
        .configure_view(stroke=None)
    )


def svg(chart: Chart, table: ReportTable, size: tuple[int, int] = WIDE, *, titled: bool = True) -> str:
    """The chart as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(altair_chart(chart, table, size, titled=titled).to_dict()))


def coloured(chart: Chart, table: ReportTable) -> dict[str, str]:
    """The colour of each column that a chart draws: grey for the lines that are not among MOST_LINES."""
    chosen = list(chart.y)
    if chart.kind == "line" and len(chosen) > MOST_LINES:
        latest = {name: max(_known(table, name)[-1:], default=float("-inf")) for name in chosen}
        chosen = sorted(sorted(chosen, key=latest.__getitem__, reverse=True)[:MOST_LINES], key=chosen.index)
    colours = {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(chosen)}
    return {name: colours.get(name, GREY) for name in chart.y}


def steps(chart: Chart, table: ReportTable) -> list[tuple[str, float, float]]:
    """The bars of a waterfall: name, lower and upper end. Rows without an amount are left out."""
    bars: list[tuple[str, float, float]] = []
    level = 0.0
    for row in table.arrow(chart.x, *chart.y).to_pylist():
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
    return [float(value) for value in table.arrow(name)[name].to_pylist() if value is not None]


def _line(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Lines with their names at their ends."""
    import altair as alt

    colours = coloured(chart, table)
    drawn = sorted(chart.y, key=lambda name: colours[name] == GREY)
    named = [labels[name] for name in drawn if colours[name] != GREY]
    scale = alt.Scale(domain=[labels[name] for name in drawn], range=[colours[name] for name in drawn])
    dashes = [_DASHES[n % len(_DASHES)] if n < len(named) else [1, 0] for n in range(len(drawn))]
    widths = [2 if n < len(named) else 1 for n in range(len(drawn))]
    values = _values(chart, table, labels)
    x = x_axis(alt, chart, table, size)
    y = alt.Y("value:Q", title=None, axis=alt.Axis(**TICKS.get(kinds[chart.y[0]], {})))
    colour = alt.Color("series:N", scale=scale, legend=None)

    def of_series(channel: Any, looks: Sequence[Any]) -> Any:
        return channel("series:O", scale=alt.Scale(domain=scale.domain, range=looks), legend=None)

    # Grey lines are drawn below the others. Points make values without neighbours visible.
    greys = [row for row in values if row["series"] not in named]
    layers = [
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point={"size": 16} if points else False)
        .encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=of_series(alt.StrokeDash, dashes),
            strokeWidth=of_series(alt.StrokeWidth, widths),
        )
        for rows, points in ((greys, False), ([row for row in values if row["series"] in named], True))
        if rows
    ]
    ends = {row["series"]: row for row in values if row["value"] is not None and row["series"] in named}
    found = [row["value"] for row in values if row["value"] is not None]
    apart = HEIGHT * (max(found, default=0.0) - min([0.0, *found]) or 1.0) / size[1]
    # Put all names at the right edge, because short lines end in the middle of the others.
    return alt.layer(*layers, names(alt, list(ends.values()), apart, alt.value("width"), colour))


def _bars(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Bars beside one another with a legend, or stacks with the names at the last one."""
    import altair as alt

    values = _values(chart, table, labels)
    stacked = chart.kind == "stacked"
    colour = _bar_colours(alt, chart, table, labels, legend=not stacked)
    x = x_axis(alt, chart, table, size)
    y = alt.Y("value:Q", title=None, axis=alt.Axis(**TICKS.get(kinds[chart.y[0]], {})))
    offset = {} if stacked else {"xOffset": alt.XOffset("series:N", sort=[labels[name] for name in chart.y])}
    drawn = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(x=x, y=y, color=colour, order=alt.Order("place:Q"), **offset)
    )
    if not stacked or len(chart.y) == 1:
        return drawn
    apart = HEIGHT * (_highest_stack(values) or 1.0) / size[1]
    return alt.layer(drawn, names(alt, stack_ends(values), apart, x, colour, beside=_half_bar(values, size)))


def _flat_bars(
    chart: Chart, table: ReportTable, kinds: Mapping[str, Kind], labels: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """Horizontal bars, with their names on the left."""
    import altair as alt

    return (
        alt.Chart(alt.InlineData(values=_values(chart, table, labels)))
        .mark_bar()
        .encode(
            y=alt.Y("x:N", title=None, sort=None, axis=alt.Axis(labelLimit=220), scale=alt.Scale(paddingInner=0.3)),
            x=alt.X("value:Q", title=None, axis=alt.Axis(**TICKS.get(kinds[chart.y[0]], {}))),
            yOffset=alt.YOffset("series:N", sort=[labels[name] for name in chart.y]),
            color=_bar_colours(alt, chart, table, labels, legend=True),
            order=alt.Order("place:Q"),
        )
    )


def _bar_colours(alt: Any, chart: Chart, table: ReportTable, labels: Mapping[str, str], *, legend: bool) -> Any:
    """The colours of bars, with a legend above the plot if there are several series."""
    series = [labels[name] for name in chart.y]
    scale = alt.Scale(domain=series, range=list(coloured(chart, table).values()))
    above = alt.Legend(orient="top", title=None, columns=4, labelLimit=300, symbolType="square", direction="horizontal")
    return alt.Color("series:N", scale=scale, legend=above if legend and len(series) > 1 else None, sort=series)


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
    y = alt.Y("low:Q", title=None, axis=alt.Axis(**TICKS.get(kinds[chart.y[0]], {})))
    drawn = alt.Chart(data).mark_bar().encode(x=x, y=y, y2="high:Q", color=colour)
    numbers = (
        alt.Chart(data)
        .transform_calculate(
            label=f"(datum.what == 'deduction' ? '−' : '') + ({SHORT.replace('datum.value', 'datum.shown')})"
        )
        .mark_text(dy=-7, fontSize=11)
        .encode(x=x, y=alt.Y("top:Q"), text="label:N")
        .transform_calculate(top="max(datum.low, datum.high)")
    )
    return alt.layer(drawn, numbers)


def _highest_stack(values: Sequence[Mapping[str, Any]]) -> float:
    heights: dict[Any, float] = {}
    for row in values:
        heights[row["x"]] = heights.get(row["x"], 0.0) + (row["value"] or 0.0)
    return max(heights.values(), default=0.0)


def _half_bar(values: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> float:
    """Half the width of a bar in pixels."""
    return size[0] / len({row["x"] for row in values}) * 0.6 / 2


def _values(chart: Chart, table: ReportTable, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The data of the chart: an object per row and drawn column."""
    rows = table.arrow(chart.x, *chart.y).to_pylist()
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


_DRAWN = {"line": _line, "stacked": _bars, "waterfall": _waterfall}
