"""A book's charts as native Excel charts, drawn from the cells of their worksheet."""

from collections.abc import Sequence
from typing import Any

from openpyxl.chart import BarChart, LineChart, Reference, Series
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.drawing.line import LineProperties
from openpyxl.utils import get_column_letter

from lending_pipelines.exports.charts import PALETTE
from lending_pipelines.reports.book import Chart, Kind, ReportColumn

_AXIS_FORMATS: dict[Kind, str] = {"money": "#,##0", "rate": "0.0%", "count": "#,##0"}
_ROWS_EACH = 20


def add_charts(worksheet: Any, charts: Sequence[Chart], columns: Sequence[ReportColumn], rows: int) -> None:
    """Put the charts below one another, right of the table; none when it has no rows."""
    if not rows:
        return
    for number, chart in enumerate(charts):
        drawn = _draw(worksheet, chart, columns, rows)
        worksheet.add_chart(drawn, f"{get_column_letter(len(columns) + 2)}{2 + number * _ROWS_EACH}")


def _draw(worksheet: Any, chart: Chart, columns: Sequence[ReportColumn], rows: int) -> Any:
    at = {column.name: number for number, column in enumerate(columns, start=1)}
    kinds = {column.name: column.kind for column in columns}
    drawn = _chart(chart, dated=kinds[chart.x] == "date")
    drawn.title = chart.title
    drawn.width, drawn.height = 24, 9.5
    drawn.legend.position = "b"
    drawn.y_axis.number_format = _AXIS_FORMATS.get(kinds[chart.y[0]], "General")
    # openpyxl leaves it to Excel whether axes are shown, and Excel hides them.
    drawn.x_axis.delete = drawn.y_axis.delete = False
    drawn.y_axis.majorGridlines.spPr = GraphicalProperties(ln=LineProperties(solidFill="D9D9D9"))
    for number, name in enumerate(chart.y):
        values = Reference(worksheet, min_col=at[name], min_row=1, max_row=rows + 1)
        series = Series(values, title_from_data=True)
        _paint(series, chart, PALETTE[number % len(PALETTE)].removeprefix("#"))
        drawn.series.append(series)
    drawn.set_categories(Reference(worksheet, min_col=at[chart.x], min_row=2, max_row=rows + 1))
    return drawn


def _chart(chart: Chart, dated: bool) -> Any:
    match chart.kind:
        case "line":
            drawn = LineChart()
        case "bar":
            drawn = BarChart()
        case "stacked":
            drawn = BarChart(grouping="stacked", overlap=100)
    if dated:
        drawn.x_axis.number_format = "yyyy-mm-dd"
    return drawn


def _paint(series: Any, chart: Chart, colour: str) -> None:
    if chart.kind == "line":
        series.smooth = False
        series.graphicalProperties.line.solidFill = colour
        series.graphicalProperties.line.width = 22_000
    else:
        series.graphicalProperties.solidFill = colour
        series.graphicalProperties.line.solidFill = colour
