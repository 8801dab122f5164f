"""A book's charts as native Excel charts, drawn from the cells of their worksheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from openpyxl.chart import BarChart, LineChart, Reference, Series
from openpyxl.chart.data_source import AxDataSource, NumData, NumDataSource, NumVal, StrData, StrRef, StrVal
from openpyxl.chart.legend import LegendEntry
from openpyxl.chart.series import SeriesLabel
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.drawing.line import LineProperties
from openpyxl.utils import get_column_letter

from lending_pipelines.exports.chart_axes import is_monthly, lies_flat
from lending_pipelines.exports.charts import DEDUCTION, GREY, TOTAL, coloured, steps
from lending_pipelines.exports.xlsx_styles import CENTIMETRES, page_rows
from lending_pipelines.reports.book import Chart, Kind, ReportColumn, ReportTable

_AXIS_FORMATS: dict[Kind, str] = {"money": "#,##0", "rate": "0.0%", "count": "#,##0"}
BESIDE, ON_COVER = (22.0, 9.5), (15.0, 7.8)
"""Width and height of a chart in centimetres: beside its table, and on the cover."""

_ROWS_EACH = 20
"""The rows from the top of one chart beside a table to the next."""
# Rows that the lines of a header take in addition to its own.
_HEADER_ROWS = 2
_NARROWEST, _LOW = 13.0, 6.2
_ROWS_A_CENTIMETRE = 1.9
"""The rows of a worksheet in a centimetre."""
_COLUMNS = 13
"""The columns that a chart beside a table covers."""


@dataclass(frozen=True)
class ChartedTable:
    """A table in its worksheet: the row of its header and the number of its rows there."""

    worksheet: Any
    table: ReportTable
    header: int
    rows: int

    def span(self, chart: Chart) -> tuple[int, int]:
        """The first and last row of the worksheet that the chart draws."""
        first, last = self.header + 1, self.header + self.rows
        if not chart.currency:
            return first, last
        places = [n for n, value in enumerate(self.table.frame["currency"]) if value == chart.currency]
        return first + places[0], min(first + places[-1], last)


def add_charts(charted: ChartedTable, charts: Sequence[Chart]) -> str:
    """Put the charts below the table if its page has room, otherwise to its right. Returns the cells covered there.

    Charts below are no wider than the table, so that it prints at its size.
    """
    if not charted.rows or not charts:
        return ""
    if _add_below(charted, charts):
        return ""
    left = len(charted.table.columns) + 2
    for number, chart in enumerate(charts):
        top = charted.header + number * _ROWS_EACH
        charted.worksheet.add_chart(draw(charted, chart), f"{get_column_letter(left)}{top}")
    last = charted.header + len(charts) * _ROWS_EACH
    return f"{get_column_letter(left)}{charted.header}:{get_column_letter(left + _COLUMNS)}{last}"


def _add_below(charted: ChartedTable, charts: Sequence[Chart]) -> bool:
    """Put the charts below the table if its page has room: two side by side if it is wide enough."""
    top = charted.header + charted.rows + len(charted.table.totals) + 2
    room = page_rows(charted.worksheet) - top - _HEADER_ROWS
    widths = [
        0.0 if dimension.hidden else dimension.width * CENTIMETRES
        for dimension in charted.worksheet.column_dimensions.values()
    ]
    wide = sum(widths)
    across = 2 if len(charts) > 1 and wide >= 2 * _NARROWEST else 1
    down = math.ceil(len(charts) / across)
    half = next((n for n, left in enumerate(accumulate(widths), start=1) if left >= wide / 2), 0)
    high = next((each for each in (BESIDE[1], _LOW) if down * _rows_of(each) <= room), None)
    if high is None:
        return False
    size, rows = (min(max(wide / across - 0.5, _NARROWEST), BESIDE[0]), high), _rows_of(high)
    for number, chart in enumerate(charts):
        column = get_column_letter(1 + half * (number % across))
        charted.worksheet.add_chart(draw(charted, chart, size), f"{column}{top + number // across * rows}")
    return True


def _rows_of(centimetres: float) -> int:
    """The rows that a chart of this height covers, and one below it."""
    return math.ceil(centimetres * _ROWS_A_CENTIMETRE) + 1


def draw(charted: ChartedTable, chart: Chart, size: tuple[float, float] = BESIDE) -> Any:
    """A chart of the rows in the worksheet."""
    columns = charted.table.columns
    kinds = {column.name: column.kind for column in columns}
    drawn = _chart(chart, dated=kinds[chart.x] == "date", monthly=is_monthly(chart, charted.table))
    if lies_flat(chart, charted.table):
        # The first row is at the top, and the axis of the amounts at the bottom.
        drawn.type, drawn.x_axis.scaling.orientation, drawn.y_axis.crosses = "bar", "maxMin", "max"
    drawn.title = chart.title
    drawn.width, drawn.height = size
    drawn.y_axis.number_format = _AXIS_FORMATS.get(kinds[chart.y[0]], "General")
    # Without this, openpyxl does not say whether axes are shown, and Excel hides them.
    drawn.x_axis.delete = drawn.y_axis.delete = False
    # Put names at the edge of the plot, below or left of negative bars.
    drawn.x_axis.tickLblPos = "low"
    drawn.y_axis.majorGridlines.spPr = GraphicalProperties(ln=LineProperties(solidFill="D9D9D9"))
    if chart.kind == "waterfall":
        _add_steps(drawn, chart, charted.table)
        drawn.legend = None
    else:
        _add_series(drawn, chart, charted, columns)
        drawn.legend.position = "b"
        grey = [n for n, colour in enumerate(coloured(chart, charted.table).values()) if colour == GREY]
        drawn.legend.legendEntry = [LegendEntry(idx=n, delete=True) for n in grey]
        if len(chart.y) == 1:
            drawn.legend = None
    return drawn


def _add_series(drawn: Any, chart: Chart, charted: ChartedTable, columns: Sequence[ReportColumn]) -> None:
    at = {column.name: number for number, column in enumerate(columns, start=1)}
    colours = coloured(chart, charted.table)
    first, last = charted.span(chart)
    for name in chart.y:
        values = Reference(charted.worksheet, min_col=at[name], min_row=first, max_row=last)
        series = Series(values)
        label = Reference(charted.worksheet, min_col=at[name], min_row=charted.header)
        series.tx = SeriesLabel(strRef=StrRef(str(label)))
        _paint(series, chart, colours[name].removeprefix("#"))
        drawn.series.append(series)
    names = Reference(charted.worksheet, min_col=at[chart.x], min_row=first, max_row=last)
    drawn.set_categories(names)


def _add_steps(drawn: Any, chart: Chart, table: ReportTable) -> None:
    """The bars of a waterfall: an invisible part, then the amount or deduction. The chart stores the numbers."""
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


def _chart(chart: Chart, dated: bool, monthly: bool) -> Any:
    match chart.kind:
        case "line":
            drawn = LineChart()
        case "bar":
            drawn = BarChart()
        case "stacked" | "waterfall":
            drawn = BarChart(grouping="stacked", overlap=100)
    if dated:
        drawn.x_axis.number_format = "yyyy-mm" if monthly else "yyyy-mm-dd"
    return drawn


def _paint(series: Any, chart: Chart, colour: str) -> None:
    if chart.kind == "line":
        series.smooth = False
        series.graphicalProperties.line.solidFill = colour
        series.graphicalProperties.line.width = 22_000
    else:
        series.graphicalProperties.solidFill = colour
        series.graphicalProperties.line.solidFill = colour
