"""How a worksheet looks: number formats, alignment, widths and the header by what a column holds.

It is said once, for the tables of a report and for a tape of a million loans alike. What stands in the cells belongs in
xlsx_rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter

from lending_pipelines.reports.book import Kind, ReportColumn

FORMATS: dict[Kind, str] = {
    "text": "@",
    "money": "#,##0.00;[Red]-#,##0.00",
    "rate": "0.00%",
    "ratio": "0.0000",
    "percent": '0.00"%"',
    "count": "#,##0",
    "date": "yyyy-mm-dd",
    "instant": "yyyy-mm-dd hh:mm:ss",
    "flag": "General",
}
# A contractual rate such as 6.875 % is a decimal and shown whole; a computed one is a double.
_EXACT_RATE = "0.00####%"
_WIDTHS: dict[Kind, int] = {
    "text": 10,
    "money": 18,
    "rate": 11,
    "ratio": 11,
    "percent": 11,
    "count": 12,
    "date": 12,
    "instant": 20,
    "flag": 8,
}
_RIGHT, _CENTER, _LEFT = (
    Alignment(horizontal="right"),
    Alignment(horizontal="center"),
    Alignment(horizontal="left", indent=1),
)
_ALIGNED: dict[Kind, Alignment] = {"text": _LEFT, "date": _CENTER, "instant": _CENTER, "flag": _CENTER}
_WIDEST = 60
_HEADER_FILL = PatternFill("solid", fgColor="1F3864")
_HEADER_FONT = Font(name="Calibri", bold=True, color="FFFFFF")
BOLD = Font(name="Calibri", bold=True)
_ABOVE = Border(top=Side(style="thin"))


@dataclass(frozen=True)
class CellStyle:
    """The numbers of a cell's style in its workbook: as it is, and marked as text that is no formula."""

    plain: int
    quoted: int


@dataclass(frozen=True)
class TableStyles:
    """The styles of a table's cells: of its header and its rows by column, and that of a note in their place."""

    header: list[CellStyle]
    cells: list[CellStyle]
    note: CellStyle

    @classmethod
    def of(cls, worksheet: Any, columns: Sequence[ReportColumn], schema: pa.Schema) -> "TableStyles":
        """The styles of a table's cells, made known to the worksheet's workbook."""
        return cls(
            [_style(worksheet, font=_HEADER_FONT, fill=_HEADER_FILL, alignment=_aligned(c.kind)) for c in columns],
            [
                _style(worksheet, number_format=_format(column.kind, field.type), alignment=_aligned(column.kind))
                for column, field in zip(columns, schema, strict=True)
            ],
            _style(worksheet),
        )


def total_style(worksheet: Any, kind: Kind, value: Any) -> CellStyle:
    """The style of a total."""
    alignment = _LEFT if isinstance(value, str) else _RIGHT
    return _style(worksheet, number_format=FORMATS[kind], font=BOLD, border=_ABOVE, alignment=alignment)


def lay_out(worksheet: Any, columns: Sequence[ReportColumn], sample: pa.RecordBatch | None) -> None:
    """Widths, the frozen header, how it prints; text columns are as wide as the first of their values need."""
    for number, column in enumerate(columns, start=1):
        values = () if sample is None or column.kind != "text" else sample.column(number - 1).slice(0, 1000).to_pylist()
        # Three more than the label: the filter's arrow covers its end.
        needed = max(_WIDTHS[column.kind], len(column.label) + 3, *(len(str(value)) + 2 for value in values), 0)
        worksheet.column_dimensions[get_column_letter(number)].width = min(needed, _WIDEST)
    worksheet.freeze_panes = "A2"
    worksheet.print_title_rows = "1:1"
    landscape(worksheet)


def landscape(worksheet: Any) -> None:
    """Print across, on pages as wide as the worksheet."""
    worksheet.page_setup.orientation = "landscape"
    worksheet.page_setup.fitToHeight = 0
    worksheet.sheet_properties.pageSetUpPr.fitToPage = True


def _aligned(kind: Kind) -> Alignment:
    return _ALIGNED.get(kind, _RIGHT)


def _format(kind: Kind, arrow_type: pa.DataType) -> str:
    return _EXACT_RATE if kind == "rate" and pa.types.is_decimal(arrow_type) else FORMATS[kind]


def _style(worksheet: Any, **looks: Any) -> CellStyle:
    def number(quoted: bool) -> int:
        # A cell for each: the workbook keeps the style itself, not a copy.
        cell = WriteOnlyCell(worksheet)
        for name, look in looks.items():
            setattr(cell, name, look)
        cell.quotePrefix = quoted
        return int(cell.style_id)

    return CellStyle(number(quoted=False), number(quoted=True))
