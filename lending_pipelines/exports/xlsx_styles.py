"""How a worksheet looks: number formats, alignment, widths and the header, by the kind of each column.

The same styles apply to the tables of a report and to a tape of a million loans. xlsx_rows.py writes the cells.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
from openpyxl.cell import WriteOnlyCell
from openpyxl.formatting.rule import ColorScaleRule, FormulaRule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter

from lending_pipelines.exports.sheet import Sheet
from lending_pipelines.reports.book import Kind, ReportColumn

FORMATS: dict[Kind, str] = {
    "text": "@",
    "money": "#,##0.00",
    "rate": "0.00%",
    "ratio": "0.0000",
    "percent": '0.00"%"',
    "number": "#,##0.0",
    "count": "#,##0",
    "date": "yyyy-mm-dd",
    "instant": "yyyy-mm-dd hh:mm:ss",
    "flag": "General",
}
# A contractual rate such as 6.875 % is a decimal and shown exactly; a computed one is a double and rounded.
_EXACT_RATE = "0.00####%"
_EXACT_RATE_WIDTH = 11
_WIDTHS: dict[Kind, int] = {
    "text": 10,
    "money": 18,
    "rate": 9,
    "ratio": 9,
    "percent": 11,
    "number": 11,
    "count": 12,
    "date": 12,
    "instant": 20,
    "flag": 8,
}
PORTRAIT, LANDSCAPE = "portrait", "landscape"
_PAPER_A4 = "9"
# Points between the margins of A4 across and down, and the points of a unit of width.
_ROOM = {PORTRAIT: 523.0, LANDSCAPE: 770.0}
_HEIGHT = {PORTRAIT: 719.0, LANDSCAPE: 472.0}
_UNIT = 5.6
CENTIMETRES = _UNIT / 28.35
"""A unit of a column's width in centimetres."""

# Text of 11 points is printed at 7 points at least.
_SMALLEST_SCALE = 0.64
_COMFORTABLE_SCALE = 0.8
# A table with more rows does not fit on one landscape page.
_LANDSCAPE_ROWS = 24
_RIGHT, _CENTER, _LEFT = (
    Alignment(horizontal="right"),
    Alignment(horizontal="center"),
    Alignment(horizontal="left", indent=1),
)
_ALIGNED: dict[Kind, Alignment] = {"text": _LEFT, "date": _CENTER, "instant": _CENTER, "flag": _CENTER}
_WIDEST = 60
"""The maximum width of a column of text."""
_HEADER_LINES = 3
_LINE = 15.0
_HEADER_LETTERS = 120
"""The maximum number of letters of a text at the top of printed pages."""
HEADER_FILL = PatternFill("solid", fgColor="1F3864")
HEADER_FONT = Font(name="Calibri", bold=True, color="FFFFFF")
BOLD = Font(name="Calibri", bold=True)
ALERT = Font(name="Calibri", bold=True, color="A61B1B")
LINK = Font(name="Calibri", color="0563C1", underline="single")
_TITLE = Font(name="Calibri", bold=True, size=14)
_QUIET = Font(name="Calibri", color="595959")
_ALERT_FILL = PatternFill(bgColor="F8DADA")
_HEAT = ColorScaleRule(start_type="num", start_value=0, start_color="FFFFFF", end_type="max", end_color="E69F00")
_ABOVE = Border(top=Side(style="thin"))


@dataclass(frozen=True)
class CellStyle:
    """The ids of a cell's style in its workbook: the style as it is, and with the mark for text that is no formula."""

    plain: int
    quoted: int


@dataclass(frozen=True)
class TableStyles:
    """The styles of a table's cells: its header and rows by column, a note, and its banner."""

    header: list[CellStyle]
    cells: list[CellStyle]
    note: CellStyle
    banner: list[CellStyle]

    @classmethod
    def of(cls, worksheet: Any, columns: Sequence[ReportColumn], schema: pa.Schema) -> "TableStyles":
        """The styles of a table's cells, registered in the worksheet's workbook."""
        return cls(
            [_style(worksheet, font=HEADER_FONT, fill=HEADER_FILL, alignment=_wrapped(c.kind)) for c in columns],
            [
                _style(worksheet, number_format=_format(column.kind, field.type), alignment=_aligned(column.kind))
                for column, field in zip(columns, schema, strict=True)
            ],
            _style(worksheet),
            [_style(worksheet, font=_TITLE), _style(worksheet, font=_QUIET)],
        )


def total_style(worksheet: Any, kind: Kind, value: Any) -> CellStyle:
    """The style of a total."""
    alignment = _LEFT if isinstance(value, str) else _RIGHT
    return _style(worksheet, number_format=FORMATS[kind], font=BOLD, border=_ABOVE, alignment=alignment)


def lay_out(worksheet: Any, sheet: Sheet, sample: pa.RecordBatch | None) -> None:
    """Set widths, frozen panes and printing: a readable size, with the keys and the header on every page."""
    widths = [
        _width(column, sheet, None if sample is None else sample.column(number), sheet.schema.field(number).type)
        for number, column in enumerate(sheet.columns)
    ]
    for number, (column, width) in enumerate(zip(sheet.columns, widths, strict=True), start=1):
        dimension = worksheet.column_dimensions[get_column_letter(number)]
        dimension.width = width
        if column.name in sheet.folded:
            # A collapsed group, which a click on its + opens.
            dimension.outlineLevel, dimension.hidden = 1, True
    shown = [0.0 if column.name in sheet.folded else width for column, width in zip(sheet.columns, widths, strict=True)]
    keys = _keys(sheet, widths)
    header = sheet.header_row
    worksheet.freeze_panes = f"{get_column_letter(keys + 1)}{header + 1}"
    worksheet.print_title_rows = f"{header}:{header}"
    wide = sum(shown) * _UNIT
    upright_scale = _SMALLEST_SCALE if sample is not None and sample.num_rows > _LANDSCAPE_ROWS else _COMFORTABLE_SCALE
    if wide * upright_scale <= _ROOM[PORTRAIT]:
        fit(worksheet, PORTRAIT)
    elif wide * _SMALLEST_SCALE <= _ROOM[LANDSCAPE] or sample is None:
        fit(worksheet, LANDSCAPE)
    else:
        _paper(worksheet, LANDSCAPE)
        worksheet.page_setup.scale = round(100 * _SMALLEST_SCALE)
        worksheet.page_setup.pageOrder = "overThenDown"
        worksheet.print_title_cols = f"A:{get_column_letter(keys)}"


def header_height(worksheet: Any, sheet: Sheet) -> float:
    """The height of the header in points, as many lines as its longest label is wrapped into."""
    lines = 1
    for number, column in enumerate(sheet.columns, start=1):
        letters = worksheet.column_dimensions[get_column_letter(number)].width - 2
        lines = max(lines, len(textwrap.wrap(column.label, max(int(letters), 1))))
    return _LINE * lines


def fit(worksheet: Any, orientation: str) -> None:
    """Print on pages as wide as the worksheet."""
    _paper(worksheet, orientation)
    worksheet.page_setup.fitToHeight = 0
    worksheet.sheet_properties.pageSetUpPr.fitToPage = True


def page_rows(worksheet: Any) -> int:
    """The number of rows on a printed page, at the scale that fits the worksheet's width."""
    orientation = worksheet.page_setup.orientation
    wide = sum(column.width for column in worksheet.column_dimensions.values() if not column.hidden) * _UNIT
    scale = max(min(1.0, _ROOM[orientation] / wide), _SMALLEST_SCALE)
    return int(_HEIGHT[orientation] / scale / _LINE)


def head_and_foot(worksheet: Any, lender: str, title: str, right: str) -> None:
    """Set the header and footer of printed pages. The footer has the worksheet's name and the page number."""
    header, footer = worksheet.oddHeader, worksheet.oddFooter
    header.left.text = _plain(" · ".join(text for text in (lender, title) if text))
    header.right.text = _plain(right)
    footer.left.text, footer.right.text = "&A", "Page &P of &N"


def stand_out(worksheet: Any, sheet: Sheet, last: int) -> None:
    """Colour the marked rows, and the cells of a heat map by their value. `last` is the last row."""
    first, end = sheet.header_row + 1, get_column_letter(len(sheet.columns))
    names = [column.name for column in sheet.columns]
    if sheet.marked and last >= first:
        column = get_column_letter(names.index(sheet.marked[0]) + 1)
        rule = FormulaRule(formula=[f'${column}{first}="{sheet.marked[1]}"'], font=ALERT, fill=_ALERT_FILL)
        worksheet.conditional_formatting.add(f"A{first}:{end}{last}", rule)
    rates = [get_column_letter(n) for n, column in enumerate(sheet.columns, start=1) if column.kind == "rate"]
    if sheet.heatmap and rates and last >= first:
        worksheet.conditional_formatting.add(f"{rates[0]}{first}:{rates[-1]}{last}", _HEAT)


def _paper(worksheet: Any, orientation: str) -> None:
    worksheet.page_setup.orientation = orientation
    worksheet.page_setup.paperSize = _PAPER_A4
    margins = worksheet.page_margins
    margins.left = margins.right = 0.5
    margins.top = margins.bottom = 0.85
    margins.header = margins.footer = 0.4


def _width(column: ReportColumn, sheet: Sheet, sample: pa.Array | None, arrow_type: pa.DataType) -> float:
    """The width that the words of the label, the largest number, or the first texts need."""
    # Three more than a word: the filter's arrow covers its end.
    label = max((len(word) for word in column.label.split()), default=0) + 3
    label = max(label, math.ceil(len(column.label) / _HEADER_LINES) + 3)
    if column.kind == "rate" and pa.types.is_decimal(arrow_type):
        return max(_EXACT_RATE_WIDTH, label)
    if column.kind != "text":
        return max(sheet.widths.get(column.name, _WIDTHS[column.kind]), label)
    values = () if sample is None else sample.slice(0, 1000).to_pylist()
    totals = (total.get(column.name) for total in sheet.totals)
    return min(max(_WIDTHS["text"], label, *(len(str(value)) + 2 for value in (*values, *totals)), 0), _WIDEST)


def _keys(sheet: Sheet, widths: Sequence[float]) -> int:
    """The number of columns that identify a row: the text before the first number, on at most a third of the page."""
    text = next((n for n, column in enumerate(sheet.columns) if column.kind != "text"), len(sheet.columns))
    room = _ROOM[LANDSCAPE] / _SMALLEST_SCALE / _UNIT / 3
    return max(1, min(text, sum(width <= room for width in accumulate(widths)), len(widths) - 1))


def _plain(text: str) -> str:
    """Text for a header or footer, where & begins a code; at most 120 letters."""
    return (text if len(text) <= _HEADER_LETTERS else f"{text[:_HEADER_LETTERS]}…").replace("&", "&&")


def _wrapped(kind: Kind) -> Alignment:
    aligned = _aligned(kind)
    return Alignment(horizontal=aligned.horizontal, vertical="bottom", indent=aligned.indent, wrap_text=True)


def _aligned(kind: Kind) -> Alignment:
    return _ALIGNED.get(kind, _RIGHT)


def _format(kind: Kind, arrow_type: pa.DataType) -> str:
    return _EXACT_RATE if kind == "rate" and pa.types.is_decimal(arrow_type) else FORMATS[kind]


def _style(worksheet: Any, **looks: Any) -> CellStyle:
    """The ids of a style with these properties of a cell."""

    def number(quoted: bool) -> int:
        # Use a new cell each time: the workbook stores the style object itself, not a copy.
        cell = WriteOnlyCell(worksheet)
        for name, look in looks.items():
            setattr(cell, name, look)
        cell.quotePrefix = quoted
        return int(cell.style_id)

    return CellStyle(number(quoted=False), number(quoted=True))
