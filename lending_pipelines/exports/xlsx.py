"""XLSX: a workbook with a cover, a worksheet per table, native charts beside them.

openpyxl makes the workbook: styles, layout, cover and charts. The rows of the tables are written from Arrow directly
into the archive, so that memory use is constant. A table with more rows than a worksheet can have continues in the
next one, and the cover says so.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.writer.excel import ExcelWriter

from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.charts import drawable
from lending_pipelines.exports.first_page import first_charts, headline_figures
from lending_pipelines.exports.lender import UNNAMED, Lender
from lending_pipelines.exports.names import sheet_names
from lending_pipelines.exports.parallel import in_order
from lending_pipelines.exports.printed import total_row
from lending_pipelines.exports.sheet import Sheet, UnwrittenRows, sheets_of
from lending_pipelines.exports.xlsx_charts import ON_COVER, ChartedTable, add_charts, draw
from lending_pipelines.exports.xlsx_cover import write_cover
from lending_pipelines.exports.xlsx_rows import clean, row_xml, rows_xml
from lending_pipelines.exports.xlsx_styles import (
    TableStyles,
    head_and_foot,
    header_height,
    lay_out,
    stand_out,
    total_style,
)
from lending_pipelines.reports.book import Chart, Cover, ReportBook, ReportTable

# The currencies that a formula may compare with: other text could be a wildcard, or end the formula's string.
_CODE = re.compile("[A-Za-z0-9]*")
_LAST_ROW = 1_048_576
# Excel does not open the ZIP64 format that Python writes above 2 GiB; the rest of a worksheet fits in 1 MiB.
_LARGEST_XML = 2**31 - 2**20
# Three times as fast as zlib's default for a quarter more bytes: a million rows are two gigabytes of XML.
_DEFLATE_LEVEL = 2
# A workbook must have a time of creation; a fixed one keeps equal books equal.
_CREATED = datetime(2000, 1, 1)
_TITLE_HEIGHT = 21.0
# The first row of the charts on the cover, and the rows from one to the next.
_COVER_CHARTS, _COVER_CHART_ROWS = 5, 16


def write_book(book: ReportBook, sink: Any, lender: Lender = UNNAMED) -> int:
    """Write a book. Returns the number of rows written."""
    with _Archive(sink, _DEFLATE_LEVEL) as archive:
        workbook = _Workbook(book.cover, [table.title for table in book.tables], archive, lender)
        tables = {table.title: table for table in book.tables}
        total = 0
        for sheet in sheets_of(book):
            charts = [c for c in book.charts if c.table == sheet.title and drawable(c, book.charted(c))]
            total += workbook.add(sheet, tables[sheet.title], charts)
        workbook.finish(book.cover, book)
    return total


def write_workbook(cover: Cover, sheet: Sheet, sink: Any) -> int:
    """Write a cover and a sheet, in as many worksheets as it needs. Returns the number of rows written."""
    with _Archive(sink, _DEFLATE_LEVEL) as archive:
        workbook = _Workbook(cover, [sheet.title], archive)
        total = workbook.add(sheet)
        workbook.finish(cover)
    return total


class _Archive(StableZip):
    """The workbook's archive. openpyxl writes worksheets again, without rows; this does not replace the members."""

    def write(self, filename: Any, arcname: Any = None, *args: Any, **kwargs: Any) -> None:
        """Like StableZip.write, unless the archive already has the member."""
        if arcname not in self.NameToInfo:
            super().write(filename, arcname, *args, **kwargs)


class _Workbook:
    """A workbook that is written to an archive: `add` the sheets in the order of `titles`, then `finish`."""

    def __init__(self, cover: Cover, titles: Sequence[str], archive: _Archive, lender: Lender = UNNAMED) -> None:
        self._workbook = Workbook(write_only=True)
        properties = self._workbook.properties
        properties.creator, properties.title = "lending_pipelines", clean(cover.title)
        properties.created = properties.modified = _CREATED
        self._archive = archive
        self._titles = ["Cover", *titles]
        self._names = iter(sheet_names(self._titles))
        self._cover = self._workbook.create_sheet(next(self._names))
        self._split: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._charted: dict[str, ChartedTable] = {}
        self._lender = lender
        about = cover.sections.get("Report", {})
        day = about.get("As of", "")
        self._margins = (lender.name, cover.title, f"as of {day}" if day else "")
        head_and_foot(self._cover, *self._margins)

    def add(self, sheet: Sheet, table: ReportTable | None = None, charts: Sequence[Chart] = ()) -> int:
        """Write the sheet. Returns the number of its rows. The charts show the rows of its first worksheet."""
        unwritten = UnwrittenRows(sheet.slices())
        sample = unwritten.first()
        parts: dict[str, int] = {}
        while not parts or unwritten.first() is not None:
            worksheet = self._workbook.create_sheet(self._further(sheet.title) if parts else next(self._names))
            lay_out(worksheet, sheet, sample)
            head_and_foot(worksheet, *self._margins)
            first = not parts
            parts[worksheet.title] = self._write(worksheet, sheet, unwritten, (table if first else None), charts)
            self._links.setdefault(sheet.title, worksheet.title)
        if len(parts) > 1:
            last = 0
            for name, rows in parts.items():
                self._split[name] = f"rows {last + 1:,} to {last + rows:,} of {sheet.title}"
                last += rows
        return sum(parts.values())

    def finish(self, cover: Cover, book: ReportBook | None = None) -> None:
        """Write the cover and the parts of the workbook that are not worksheets."""
        if self._split:
            why = f"A worksheet holds {_LAST_ROW - 1:,} rows at most, fewer when they are long."
            cover = Cover(cover.title, {**cover.sections, "Worksheets": {"Split": why, **self._split}})
        figures = headline_figures(book) if book else []
        previous = book.previous.name if book and book.previous else ""
        charts = first_charts(book) if book else []
        last = _COVER_CHARTS + _COVER_CHART_ROWS * len(charts)
        alerts = book.alerts if book else ()
        write_cover(self._cover, cover, self._links, figures, previous, alerts, self._lender, last if charts else 0)
        for number, (chart, table) in enumerate(charts):
            place = f"G{_COVER_CHARTS + _COVER_CHART_ROWS * number}"
            self._cover.add_chart(draw(self._charted[table.title], chart, ON_COVER), place)
        ExcelWriter(self._workbook, self._archive).save()

    def _further(self, title: str) -> str:
        """The name of another worksheet of a sheet."""
        self._titles.append(title)
        return sheet_names(self._titles)[-1]

    def _write(
        self, worksheet: Any, sheet: Sheet, unwritten: UnwrittenRows, table: ReportTable | None, charts: Sequence[Chart]
    ) -> int:
        """Write one worksheet with as many of the rows as fit. Returns their number."""
        worksheet._id = len(self._workbook.worksheets)
        styles = TableStyles.of(worksheet, sheet.columns, sheet.schema)
        header = sheet.header_row
        end = get_column_letter(len(sheet.columns))
        with self._archive.open(self._archive.member(worksheet.path[1:]), "w") as member:
            member.write(_around_rows(worksheet)[0])
            member.write(_banner(sheet, styles))
            labels = [pa.array([column.label]) for column in sheet.columns]
            member.write(row_xml(labels, styles.header, header, height=header_height(worksheet, sheet)))
            rows = _write_rows(member, unwritten, styles, header + 1, _LAST_ROW - header - len(sheet.totals))
            if unwritten.first() is None:
                # A total over several worksheets is not the sum of the cells of one, so it has no formula.
                sums = sheet.sums if table is not None else ()
                member.write(_below(worksheet, sheet, styles, rows, sums))
            worksheet.auto_filter.ref = f"A{header}:{end}{header + rows}"
            stand_out(worksheet, sheet, header + rows)
            if table is not None:
                self._charted[sheet.title] = ChartedTable(worksheet, table, header, rows)
                covered = add_charts(self._charted[sheet.title], charts)
                if covered:
                    # Print the charts beside a long table on a page of their own.
                    worksheet.print_area = f"A1:{end}{header + max(rows, 1) + len(sheet.totals)},{covered}"
            if sheet.banner:
                place = f"{get_column_letter(sheet.folded_first + 1)}2"
                worksheet._hyperlinks.append(Hyperlink(ref=place, location=f"'{self._cover.title}'!A1"))
            member.write(_around_rows(worksheet)[1])
        return rows


def _around_rows(worksheet: Any) -> tuple[bytes, bytes]:
    """The content of the worksheet's file before its rows and after them, as openpyxl writes it at this moment."""
    writer = WorksheetWriter(worksheet, BytesIO())
    writer.write()
    before, after = re.split(rb"<sheetData ?/>|<sheetData></sheetData>", writer.read())
    return before + b"<sheetData>", b"</sheetData>" + after


def _banner(sheet: Sheet, styles: TableStyles) -> bytes:
    """The lines above the header: the title, then the others."""
    looks = (styles.banner[0], *[styles.banner[1]] * len(sheet.banner))
    return b"".join(
        row_xml(
            [*[pa.nulls(1, pa.string())] * sheet.folded_first, pa.array([line])],
            [look] * (sheet.folded_first + 1),
            number,
            height=0.0 if number > 1 else _TITLE_HEIGHT,
        )
        for number, (line, look) in enumerate(zip(sheet.banner, looks, strict=False), start=1)
    )


def _write_rows(member: Any, unwritten: UnwrittenRows, styles: TableStyles, first: int, most: int) -> int:
    """Write at most `most` rows from row `first` of the worksheet on, fewer if they are long. Returns their number."""

    def made(given: tuple[int, pa.RecordBatch]) -> tuple[int, pa.Buffer]:
        before, rows = given
        return rows.num_rows, rows_xml(rows.columns, styles.cells, before + first)

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


def _below(worksheet: Any, sheet: Sheet, styles: TableStyles, rows: int, sums: Sequence[frozenset[str]]) -> bytes:
    """The totals; before them the reason, if there are no rows."""
    xml = b""
    first = sheet.header_row + 1
    if not rows and sheet.no_data:
        xml += rows_xml([pa.array([f"no data: {sheet.no_data}"])], [styles.note], first).to_pybytes()
        rows = 1
    for number, total in enumerate(sheet.totals):
        values = total_row(sheet.columns[sheet.folded_first :], total)
        looks = [total_style(worksheet, column.kind, values.get(column.name)) for column in sheet.columns]
        cells = [pa.array([values.get(column.name)]) for column in sheet.columns]
        summed = sums[number] if sums else frozenset()
        formulas = {
            place: _sum(sheet, place, total.get("currency"), first, rows)
            for place, column in enumerate(sheet.columns)
            if column.name in summed and _CODE.fullmatch(total.get("currency") or "")
        }
        xml += row_xml(cells, looks, first + rows + number, formulas)
    return xml


def _sum(sheet: Sheet, place: int, currency: str | None, first: int, rows: int) -> str:
    """The formula of a total: the sum of a column's rows, only those of `currency` if the total has one."""
    names = [column.name for column in sheet.columns]

    def cells(at: int) -> str:
        letter = get_column_letter(at + 1)
        return f"{letter}${first}:{letter}${first + rows - 1}"

    if currency is None or "currency" not in names:
        return f"SUM({cells(place)})"
    return f'SUMIFS({cells(place)},${cells(names.index("currency"))},"{currency}")'
