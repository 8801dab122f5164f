"""XLSX: a workbook with a cover, a worksheet per table, native charts beside them.

Cells are typed and carry the number format of their kind; text is always text, never a formula. Rows go straight to
disk (openpyxl's write-only mode), so memory stays flat however many there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import Any

import pyarrow as pa
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.writer.excel import ExcelWriter

from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.files import ExportError
from lending_pipelines.exports.injection import is_formula
from lending_pipelines.exports.names import sheet_names
from lending_pipelines.exports.sheet import Sheet, sheets_of
from lending_pipelines.exports.xlsx_charts import add_charts
from lending_pipelines.reports.book import Chart, Cover, Kind, ReportBook, ReportColumn

_FORMATS: dict[Kind, str] = {
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
_EXACT_RATE = "0.00##%"
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
_LAST_ROW = 1_048_576
_LONGEST_TEXT = 32_767
_HEADER_FILL = PatternFill("solid", fgColor="1F3864")
_HEADER_FONT = Font(name="Calibri", bold=True, color="FFFFFF")
_BOLD = Font(name="Calibri", bold=True)
_ABOVE = Border(top=Side(style="thin"))
# A workbook must have a time of creation; a fixed one keeps equal books equal.
_CREATED = datetime(2000, 1, 1)


def write_book(book: ReportBook, sink: Any) -> int:
    """Write a book; the number of rows written."""
    return write_workbook(book.cover, sheets_of(book), [table.title for table in book.tables], book.charts, sink)


def write_workbook(
    cover: Cover, sheets: Iterable[Sheet], titles: Sequence[str], charts: Sequence[Chart], sink: Any
) -> int:
    """Write a cover and a worksheet per sheet; the number of rows written. ExportError when a sheet has too many."""
    workbook = Workbook(write_only=True)
    workbook.properties.creator = "lending_pipelines"
    workbook.properties.title = _clean(cover.title)
    workbook.properties.created = workbook.properties.modified = _CREATED
    names = sheet_names(["Cover", *titles])
    total = 0
    with _temporary_files_removed(workbook):
        _write_cover(workbook.create_sheet(names[0]), cover)
        for sheet, name in zip(sheets, names[1:], strict=True):
            worksheet = workbook.create_sheet(name)
            rows = _write_sheet(worksheet, sheet)
            add_charts(worksheet, [chart for chart in charts if chart.table == sheet.title], sheet.columns, rows)
            total += rows
        ExcelWriter(workbook, StableZip(sink)).save()
    return total


@contextmanager
def _temporary_files_removed(workbook: Workbook) -> Iterator[None]:
    """Remove the temporary file of each worksheet after a failure; openpyxl does so only after a success."""
    try:
        yield
    except BaseException:
        for worksheet in workbook.worksheets:
            if not worksheet.closed:
                worksheet.close()
                worksheet._writer.cleanup()
        raise


def _write_sheet(worksheet: Any, sheet: Sheet) -> int:
    batches = iter(sheet.batches)
    first = next(batches, None)
    _lay_out(worksheet, sheet.columns, first)
    worksheet.append(_header(worksheet, sheet.columns))
    cells = [
        _Cell(worksheet, c.kind, _format(c.kind, f.type)) for c, f in zip(sheet.columns, sheet.schema, strict=True)
    ]
    rows = 0
    for batch in chain([] if first is None else [first], batches):
        if rows + batch.num_rows + 1 + len(sheet.totals) > _LAST_ROW:
            raise ExportError(f"{sheet.title}: a worksheet holds {_LAST_ROW - 1} rows at most; write csv or parquet")
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            worksheet.append([cell.holding(value) for cell, value in zip(cells, row, strict=True)])
        rows += batch.num_rows
    worksheet.auto_filter.ref = f"A1:{get_column_letter(len(sheet.columns))}{rows + 1}"
    if not rows and sheet.no_data:
        worksheet.append([_text(worksheet, f"no data: {sheet.no_data}")])
    for total in sheet.totals:
        worksheet.append(list(_total(worksheet, sheet.columns, total)))
    return rows


def _lay_out(worksheet: Any, columns: Sequence[ReportColumn], sample: pa.RecordBatch | None) -> None:
    """Everything that must stand before the first row: widths, the frozen header, how it prints."""
    for number, column in enumerate(columns, start=1):
        values = () if sample is None or column.kind != "text" else sample.column(number - 1).slice(0, 1000).to_pylist()
        # Three more than the label: the filter's arrow covers its end.
        needed = max(_WIDTHS[column.kind], len(column.label) + 3, *(len(str(value)) + 2 for value in values), 0)
        worksheet.column_dimensions[get_column_letter(number)].width = min(needed, _WIDEST)
    worksheet.freeze_panes = "A2"
    worksheet.print_title_rows = "1:1"
    worksheet.page_setup.orientation = "landscape"
    worksheet.page_setup.fitToHeight = 0
    worksheet.sheet_properties.pageSetUpPr.fitToPage = True


def _header(worksheet: Any, columns: Sequence[ReportColumn]) -> list[Any]:
    def cell(column: ReportColumn) -> Any:
        head = _text(worksheet, column.label)
        head.font, head.fill = _HEADER_FONT, _HEADER_FILL
        head.alignment = _ALIGNED.get(column.kind, _RIGHT)
        return head

    return [cell(column) for column in columns]


def _total(worksheet: Any, columns: Sequence[ReportColumn], total: Mapping[str, Any]) -> Iterator[Any]:
    values = {columns[0].name: " ".join(("Total", total.get("currency", ""))).strip(), **total}
    for column in columns:
        value = values.get(column.name)
        cell = _text(worksheet, value) if isinstance(value, str) else WriteOnlyCell(worksheet, value)
        cell.number_format, cell.font, cell.border = _FORMATS[column.kind], _BOLD, _ABOVE
        cell.alignment = _LEFT if isinstance(value, str) else _RIGHT
        yield cell


def _write_cover(worksheet: Any, cover: Cover) -> None:
    worksheet.column_dimensions["A"].width = 34
    worksheet.column_dimensions["B"].width = 100
    worksheet.sheet_view.showGridLines = False
    worksheet.page_setup.orientation = "landscape"
    worksheet.sheet_properties.pageSetUpPr.fitToPage = True
    worksheet.page_setup.fitToHeight = 0
    title = _text(worksheet, cover.title)
    title.font = Font(name="Calibri", bold=True, size=16)
    worksheet.append([title])
    for section, values in cover.sections.items():
        if not values:
            continue
        worksheet.append([])
        heading = _text(worksheet, section)
        heading.font = _BOLD
        heading.border = Border(bottom=Side(style="thin"))
        worksheet.append([heading])
        for name, value in values.items():
            cell = _text(worksheet, value)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            worksheet.append([_text(worksheet, name), cell])


class _Cell:
    """A column's cell, made and styled once and filled anew for every row, which is what makes many rows fast."""

    def __init__(self, worksheet: Any, kind: Kind, number_format: str) -> None:
        self._text = kind == "text"
        self._plain, self._suspect = WriteOnlyCell(worksheet), WriteOnlyCell(worksheet)
        self._plain.number_format = self._suspect.number_format = number_format
        self._plain.alignment = self._suspect.alignment = _ALIGNED.get(kind, _RIGHT)
        self._suspect.quotePrefix = True

    def holding(self, value: Any) -> Any:
        """The cell with the value; None stays an empty cell."""
        if value is None:
            return None
        if not self._text:
            self._plain.value = value
            return self._plain
        return _set_text(self._suspect if is_formula(value) else self._plain, value)


def _format(kind: Kind, arrow_type: pa.DataType) -> str:
    return _EXACT_RATE if kind == "rate" and pa.types.is_decimal(arrow_type) else _FORMATS[kind]


def _text(worksheet: Any, text: str) -> Any:
    cell = _set_text(WriteOnlyCell(worksheet), text)
    if is_formula(text):
        cell.quotePrefix = True
    return cell


def _set_text(cell: Any, text: str) -> Any:
    cell.value = _clean(text)
    # openpyxl takes a leading = for a formula and #N/A for an error.
    cell.data_type = "s"
    return cell


def _clean(text: str) -> str:
    """The text as XML and Excel can hold it: control characters shown as �, and … at the end of what is too long."""
    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
