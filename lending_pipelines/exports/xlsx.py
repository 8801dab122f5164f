"""XLSX: a workbook with a cover, a worksheet per table, native charts beside them.

openpyxl makes the workbook: styles, layout, cover and charts. The rows of the tables go past it, from Arrow straight
into the archive, so that memory stays flat however many there are. A table of more rows than a worksheet holds goes on
in the next, and the cover says so.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter

from lending_pipelines.exports.ahead import in_order
from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.injection import is_formula
from lending_pipelines.exports.names import sheet_names
from lending_pipelines.exports.printed import total_row
from lending_pipelines.exports.sheet import Sheet, Unwritten, sheets_of
from lending_pipelines.exports.xlsx_charts import add_charts
from lending_pipelines.exports.xlsx_rows import clean, rows_xml
from lending_pipelines.exports.xlsx_styles import BOLD, TableStyles, landscape, lay_out, total_style
from lending_pipelines.reports.book import Chart, Cover, ReportBook

_LAST_ROW = 1_048_576
# Excel does not open the ZIP64 format that Python writes above 2 GiB; the rest of a worksheet fits in 1 MiB.
_LARGEST_XML = 2**31 - 2**20
# A million rows are two gigabytes of XML: three times as fast as zlib's own choice, for a quarter more bytes.
_DEFLATE_LEVEL = 2
# A workbook must have a time of creation; a fixed one keeps equal books equal.
_CREATED = datetime(2000, 1, 1)


def write_book(book: ReportBook, sink: Any) -> int:
    """Write a book; the number of rows written."""
    return write_workbook(book.cover, sheets_of(book), [table.title for table in book.tables], book.charts, sink)


def write_workbook(
    cover: Cover, sheets: Iterable[Sheet], titles: Sequence[str], charts: Sequence[Chart], sink: Any
) -> int:
    """Write a cover and the sheets, each in as many worksheets as it needs; the number of rows written.

    A chart stands beside the first worksheet of its table and draws the rows there.
    """
    with _Archive(sink, _DEFLATE_LEVEL) as archive:
        workbook = _Workbook(cover, titles, archive)
        total = sum(workbook.add(sheet, [chart for chart in charts if chart.table == sheet.title]) for sheet in sheets)
        workbook.finish(cover)
    return total


class _Archive(StableZip):
    """The workbook's archive; a worksheet that stands in it with its rows is not written over without them."""

    def write(self, filename: Any, arcname: Any = None, *args: Any, **kwargs: Any) -> None:
        """As StableZip.write, unless the member is there."""
        if arcname not in self.NameToInfo:
            super().write(filename, arcname, *args, **kwargs)


class _Workbook:
    """A workbook on its way into an archive: `add` the sheets in the order of `titles`, then `finish`."""

    def __init__(self, cover: Cover, titles: Sequence[str], archive: _Archive) -> None:
        self._workbook = Workbook(write_only=True)
        properties = self._workbook.properties
        properties.creator, properties.title = "lending_pipelines", clean(cover.title)
        properties.created = properties.modified = _CREATED
        self._archive = archive
        self._titles = ["Cover", *titles]
        self._names = iter(sheet_names(self._titles))
        self._cover = self._workbook.create_sheet(next(self._names))
        self._split: dict[str, str] = {}

    def add(self, sheet: Sheet, charts: Sequence[Chart]) -> int:
        """Write the sheet; the number of its rows."""
        unwritten = Unwritten(sheet.slices())
        sample = unwritten.first()
        parts: dict[str, int] = {}
        while not parts or unwritten.first() is not None:
            worksheet = self._workbook.create_sheet(self._further(sheet.title) if parts else next(self._names))
            lay_out(worksheet, sheet.columns, sample)
            parts[worksheet.title] = self._write(worksheet, sheet, unwritten, () if parts else charts)
        if len(parts) > 1:
            last = 0
            for name, rows in parts.items():
                self._split[name] = f"rows {last + 1:,} to {last + rows:,} of {sheet.title}"
                last += rows
        return sum(parts.values())

    def finish(self, cover: Cover) -> None:
        """Write the cover and all that a workbook has beside its worksheets."""
        if self._split:
            why = f"A worksheet holds {_LAST_ROW - 1:,} rows at most, fewer when they are long."
            cover = Cover(cover.title, {**cover.sections, "Worksheets": {"Split": why, **self._split}})
        _write_cover(self._cover, cover)
        ExcelWriter(self._workbook, self._archive).save()

    def _further(self, title: str) -> str:
        """The name of another worksheet of a sheet."""
        self._titles.append(title)
        return sheet_names(self._titles)[-1]

    def _write(self, worksheet: Any, sheet: Sheet, unwritten: Unwritten, charts: Sequence[Chart]) -> int:
        """Write one worksheet with as many of the rows as it holds; their number."""
        worksheet._id = len(self._workbook.worksheets)
        styles = TableStyles.of(worksheet, sheet.columns, sheet.schema)
        with self._archive.open(self._archive.member(worksheet.path[1:]), "w") as member:
            member.write(_around_rows(worksheet)[0])
            member.write(rows_xml([pa.array([column.label]) for column in sheet.columns], styles.header, 1))
            rows = _write_rows(member, unwritten, styles, _LAST_ROW - 1 - len(sheet.totals))
            if unwritten.first() is None:
                member.write(_below(worksheet, sheet, styles, rows))
            worksheet.auto_filter.ref = f"A1:{get_column_letter(len(sheet.columns))}{rows + 1}"
            add_charts(worksheet, charts, sheet.columns, rows)
            member.write(_around_rows(worksheet)[1])
        return rows


def _around_rows(worksheet: Any) -> tuple[bytes, bytes]:
    """What stands in the worksheet's file before its rows and after them, as openpyxl has it now."""
    writer = WorksheetWriter(worksheet, BytesIO())
    writer.write()
    before, after = re.split(rb"<sheetData ?/>|<sheetData></sheetData>", writer.read())
    return before + b"<sheetData>", b"</sheetData>" + after


def _write_rows(member: Any, unwritten: Unwritten, styles: TableStyles, most: int) -> int:
    """Write at most so many rows from the second of the worksheet on, fewer when they are long; their number."""

    def made(given: tuple[int, pa.RecordBatch]) -> tuple[int, pa.Buffer]:
        before, rows = given
        return rows.num_rows, rows_xml(rows.columns, styles.cells, before + 2)

    written = size = 0
    with closing(in_order(made, unwritten.ahead(most))) as ready:
        for rows, xml in ready:
            size += xml.size
            if written and size > _LARGEST_XML:
                break
            member.write(xml)
            unwritten.written()
            written += rows
    return written


def _below(worksheet: Any, sheet: Sheet, styles: TableStyles, rows: int) -> bytes:
    """The totals, and before them why there are no rows when there are none."""
    xml = b""
    if not rows and sheet.no_data:
        xml += rows_xml([pa.array([f"no data: {sheet.no_data}"])], [styles.note], 2).to_pybytes()
        rows = 1
    names = [column.name for column in sheet.columns]
    for number, total in enumerate(sheet.totals, start=rows + 2):
        values = total_row(sheet.columns, total)
        looks = [total_style(worksheet, column.kind, values.get(column.name)) for column in sheet.columns]
        xml += rows_xml([pa.array([values.get(name)]) for name in names], looks, number).to_pybytes()
    return xml


def _write_cover(worksheet: Any, cover: Cover) -> None:
    worksheet.column_dimensions["A"].width = 34
    worksheet.column_dimensions["B"].width = 100
    worksheet.sheet_view.showGridLines = False
    landscape(worksheet)
    title = _text(worksheet, cover.title)
    title.font = Font(name="Calibri", bold=True, size=16)
    worksheet.append([title])
    for section, values in cover.sections.items():
        if not values:
            continue
        worksheet.append([])
        heading = _text(worksheet, section)
        heading.font = BOLD
        heading.border = Border(bottom=Side(style="thin"))
        worksheet.append([heading])
        for name, value in values.items():
            cell = _text(worksheet, value)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            worksheet.append([_text(worksheet, name), cell])


def _text(worksheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(worksheet, clean(text))
    # openpyxl takes a leading = for a formula and #N/A for an error.
    cell.data_type = "s"
    cell.quotePrefix = is_formula(text)
    return cell
