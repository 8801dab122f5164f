"""Charts for a browser: the Altair specs of the PDF charts, with the colours and the width of the page.

Colours become the tokens of the style sheet, written as `var(--chart-1)`; static/portal.js replaces them with the
colours of the theme and draws the chart with Vega-Embed. What a chart shows is in exports/charts.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from altair.utils.schemapi import debug_mode

from lending_pipelines.exports.charts import GREY, PALETTE, WIDE, altair_chart, drawable
from lending_pipelines.reports.book import Chart, Kind, ReportColumn, ReportTable

COLOURS = {colour: f"var(--chart-{n})" for n, colour in enumerate(PALETTE, start=1)} | {GREY: "var(--chart-grey)"}
"""The token of each colour of the PDF charts."""

_TOOLTIPS: dict[Kind, str] = {"money": ",.2f", "count": ",d", "rate": ".2%", "percent": ",.2f", "number": ",.1f"}


@dataclass(frozen=True)
class WebChart:
    """A chart and a table with its values: a Vega-Lite spec (None if there is nothing to draw), columns and rows."""

    title: str
    spec: Mapping[str, Any] | None
    columns: Sequence[ReportColumn]
    rows: Sequence[Mapping[str, Any]]


def web_chart(chart: Chart, table: ReportTable) -> WebChart:
    """The chart of a report's table, with the columns that it draws."""
    shown = [column for column in table.columns if column.name in (chart.x, *chart.y)]
    spec = None
    if drawable(chart, table):
        # Skip Altair's validation, which takes longer than the rest. The tests of exports/charts.py validate charts.
        with debug_mode(False):
            drawn = web_spec(altair_chart(chart, table, WIDE, titled=False))
        spec = _with_tooltips(_with_names(drawn), chart, table)
    rows = [] if table.frame.empty else table.arrow(chart.x, *chart.y).to_pylist()
    return WebChart(chart.title, spec, shown, rows)


def web_spec(chart: Any) -> dict[str, Any]:
    """The Vega-Lite spec of an Altair chart as wide as its place on the page, without its own fonts and colours."""
    spec: dict[str, Any] = chart.to_dict(validate=False)
    for name in ("config", "background", "title", "$schema"):
        spec.pop(name, None)
    adapted: dict[str, Any] = _adapted(spec)
    return adapted | {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def _with_tooltips(spec: dict[str, Any], chart: Chart, table: ReportTable) -> dict[str, Any]:
    """The spec with tooltips: the place, the series and the exact value of a mark."""
    columns = {column.name: column for column in table.columns}
    number_format = _TOOLTIPS.get(columns[chart.y[0]].kind, ",.4~f")
    place = {"field": "x", "type": "nominal", "title": columns[chart.x].label}
    series = {"field": "series", "type": "nominal", "title": "Series"}
    value = {"field": "value", "type": "quantitative", "title": "Value", "format": number_format}
    for unit in spec.get("layer", [spec]):
        fields = {channel.get("field") for channel in unit["encoding"].values()}
        if "low" in fields:
            unit["encoding"]["tooltip"] = [place, value | {"field": "shown"}]
        elif "text" not in unit["encoding"]:
            unit["encoding"]["tooltip"] = [place, series, value]
    return spec


def _with_names(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with the colours for text in the names of series."""
    for unit in spec.get("layer", ()):
        scale = unit["encoding"].get("color", {}).get("scale") if "text" in unit["encoding"] else None
        if scale:
            scale["range"] = [colour.replace(")", "-name)") for colour in scale["range"]]
            spec["resolve"] = {"scale": {"color": "independent"}}
    return spec


def _adapted(value: Any) -> Any:
    """A part of the spec with tokens for colours and horizontal labels: a page leaves out labels without room."""
    if isinstance(value, dict):
        return {name: 0 if name == "labelAngle" else _adapted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_adapted(part) for part in value]
    return COLOURS.get(value, value) if isinstance(value, str) else value
