"""Charts for a browser: the Altair specs of the PDF charts, with the colours and the width of the page.

Colours become the tokens of the style sheet, written as `var(--chart-1)`; static/portal.js puts in the colours of the
theme and draws the chart with Vega-Embed. What a chart shows is in exports/charts.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lending_pipelines.exports.charts import GREY, PALETTE, WIDE, altair_chart, drawable
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

COLOURS = {colour: f"var(--chart-{n})" for n, colour in enumerate(PALETTE, start=1)} | {GREY: "var(--chart-grey)"}
"""The token of each colour of the PDF charts."""


@dataclass(frozen=True)
class WebChart:
    """A chart and the table that says the same: a Vega-Lite spec (None with nothing to draw), columns and rows."""

    title: str
    spec: Mapping[str, Any] | None
    columns: Sequence[ReportColumn]
    rows: Sequence[Mapping[str, Any]]


def web_chart(chart: Chart, table: ReportTable) -> WebChart:
    """The chart of a report's table, with the columns that it draws."""
    shown = [column for column in table.columns if column.name in (chart.x, *chart.y)]
    spec = web_spec(altair_chart(chart, table, WIDE, titled=False)) if drawable(chart, table) else None
    rows = [] if table.frame.empty else table.arrow().select([column.name for column in shown]).to_pylist()
    return WebChart(chart.title, spec, shown, rows)


def web_spec(chart: Any) -> dict[str, Any]:
    """The Vega-Lite spec of an Altair chart as wide as its place on the page, without fonts and colours of its own."""
    spec: dict[str, Any] = chart.to_dict()
    for name in ("config", "background", "title", "$schema"):
        spec.pop(name, None)
    adapted: dict[str, Any] = _adapted(spec)
    return adapted | {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def _adapted(value: Any) -> Any:
    """With the tokens of colours. Labels of axes are level: on a page, those without room are left out."""
    if isinstance(value, dict):
        return {name: 0 if name == "labelAngle" else _adapted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_adapted(part) for part in value]
    return COLOURS.get(value, value) if isinstance(value, str) else value
