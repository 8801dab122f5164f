"""A book's charts as native Excel charts, drawn from the cells of their worksheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl.chart import BarChart, LineChart, Reference, Series
from openpyxl.chart.data_source import AxDataSource, NumData, NumDataSource, NumVal, StrData, StrVal
from openpyxl.chart.series import SeriesLabel
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.drawing.line import LineProperties
from openpyxl.utils import get_column_letter

from lending_pipelines.exports.charts import DEDUCTION, TOTAL, coloured, steps
from lending_pipelines.reports.book import Chart, Kind, ReportColumn, ReportTable

_AXIS_FORMATS: dict[Kind, str] = {"money": "#,##0", "rate": "0.0%", "count": "#,##0"}
BESIDE, ON_COVER = (22.0, 9.5), (15.0, 8.5)
"""Width and height of a chart in centimetres: beside its table, and on the cover."""

_ROWS_EACH = 20
_COLUMNS = 13


@dataclass(frozen=True)
class ChartedTable:
    """A table in its worksheet: the row of its header and the number of its rows there."""

    worksheet: Any
    table: ReportTable
    header: int
    rows: int


def add_charts(charted: ChartedTable, charts: Sequence[Chart]) -> str:
    """Put the charts below one another, right of the table; the cells that they cover. None when it has no rows."""
    if not charted.rows or not charts:
        return ""
    left = len(charted.table.columns) + 2
    for number, chart in enumerate(charts):
        top = charted.header + number * _ROWS_EACH
        charted.worksheet.add_chart(draw(charted, chart), f"{get_column_letter(left)}{top}")
    last = charted.header + len(charts) * _ROWS_EACH
    return f"{get_column_letter(left)}{charted.header}:{get_column_letter(left + _COLUMNS)}{last}"


def draw(charted: ChartedTable, chart: Chart, size: tuple[float, float] = BESIDE) -> Any:
    """A chart of the rows in the worksheet."""
    columns = charted.table.columns
    kinds = {column.name: column.kind for column in columns}
    drawn = _chart(chart, dated=kinds[chart.x] == "date")
    drawn.title = chart.title
    drawn.width, drawn.height = size
    drawn.y_axis.number_format = _AXIS_FORMATS.get(kinds[chart.y[0]], "General")
    # openpyxl leaves it to Excel whether axes are shown, and Excel hides them.
    drawn.x_axis.delete = drawn.y_axis.delete = False
    drawn.y_axis.majorGridlines.spPr = GraphicalProperties(ln=LineProperties(solidFill="D9D9D9"))
    if chart.kind == "waterfall":
        _add_steps(drawn, chart, charted.table)
        drawn.legend = None
    else:
        _add_series(drawn, chart, charted, columns)
        drawn.legend.position = "b"
    return drawn


def _add_series(drawn: Any, chart: Chart, charted: ChartedTable, columns: Sequence[ReportColumn]) -> None:
    at = {column.name: number for number, column in enumerate(columns, start=1)}
    colours = coloured(chart, charted.table)
    first, last = charted.header, charted.header + charted.rows
    for name in chart.y:
        values = Reference(charted.worksheet, min_col=at[name], min_row=first, max_row=last)
        series = Series(values, title_from_data=True)
        _paint(series, chart, colours[name].removeprefix("#"))
        drawn.series.append(series)
    names = Reference(charted.worksheet, min_col=at[chart.x], min_row=first + 1, max_row=last)
    drawn.set_categories(names)


def _add_steps(drawn: Any, chart: Chart, table: ReportTable) -> None:
    """The bars of a waterfall: an invisible part, then the amount or the deduction, as numbers of the chart's own."""
    bars = steps(chart, table)
    names = StrData(ptCount=len(bars), pt=[StrVal(idx=n, v=name) for n, (name, _, _) in enumerate(bars)])
    down = [name in chart.deductions for name, _, _ in bars]
    parts = (
        (
            "Below",
            None,
            [min(low, high) if is_down else 0.0 for (_, low, high), is_down in zip(bars, down, strict=True)],
        ),
        ("Amount", TOTAL, [0.0 if is_down else high for (_, _, high), is_down in zip(bars, down, strict=True)]),
        (
            "Deduction",
            DEDUCTION,
            [high - low if is_down else 0.0 for (_, low, high), is_down in zip(bars, down, strict=True)],
        ),
    )
    for number, (title, colour, values) in enumerate(parts):
        data = NumData(ptCount=len(values), pt=[NumVal(idx=n, v=str(value)) for n, value in enumerate(values)])
        series = Series(Reference(range_string="Cover!$A$1"), title=title)
        series.idx = series.order = number
        series.val = NumDataSource(numLit=data)
        series.cat = AxDataSource(strLit=names)
        series.tx = SeriesLabel(v=title)
        if colour is None:
            series.graphicalProperties.noFill = True
            series.graphicalProperties.line.noFill = True
        else:
            series.graphicalProperties.solidFill = colour.removeprefix("#")
        drawn.series.append(series)


def _chart(chart: Chart, dated: bool) -> Any:
    match chart.kind:
        case "line":
            drawn = LineChart()
        case "bar":
            drawn = BarChart()
        case "stacked" | "waterfall":
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
