"""Writes a report book or a stream of rows to a location in a file format."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from lending_pipelines.exports import csv, json, parquet, pdf, xml
from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.lender import UNNAMED, Lender
from lending_pipelines.exports.sheet import Sheet
from lending_pipelines.places import PlacedFile, placing
from lending_pipelines.reports.book import Cover, ReportBook, ReportColumn


def _write_xlsx_book(book: ReportBook, sink: Any, lender: Lender) -> int:
    from lending_pipelines.exports import xlsx  # Slow: openpyxl takes a sixth of a second to load.

    return xlsx.write_book(book, sink, lender)


def _write_xlsx_sheet(cover: Cover, sheet: Sheet, sink: Any) -> int:
    from lending_pipelines.exports import xlsx

    return xlsx.write_workbook(cover, sheet, sink)


_BOOK_WRITERS: dict[str, Callable[[ReportBook, Any, Lender], int]] = {
    "csv": lambda book, sink, _: csv.write_book(book, sink),
    "xlsx": _write_xlsx_book,
    "pdf": pdf.write_book,
    "json": lambda book, sink, _: json.write_book(book, sink),
    "parquet": lambda book, sink, _: parquet.write_book(book, sink),
}
WITH_FIRST_PAGE = ("xlsx", "pdf")
"""The formats with a first page: the lender, headline numbers with their change, and a chart."""

# Formats that have one table per file.
_ZIPPED = ("csv", "parquet")


def export(book: ReportBook, output_format: str, url: str, lender: Lender = UNNAMED) -> PlacedFile:
    """Write the book to `url`. The format's suffix (.csv, .xlsx, .pdf, …) is added if the url does not end with it.

    A book of several tables is a zip in CSV and Parquet. Equal books give equal bytes.

    Raises:
        ExportError: The format is unknown or the location cannot be written.
    """
    if output_format not in _BOOK_WRITERS:
        raise ExportError(f"unknown report format {output_format!r}: write one of {', '.join(_BOOK_WRITERS)}")
    if output_format not in WITH_FIRST_PAGE:
        book = book.for_programs()
    zipped = output_format in _ZIPPED and len(book.tables) > 1
    with placing(_suffixed(url, "zip" if zipped else output_format)) as sink:
        rows = _BOOK_WRITERS[output_format](book, sink, lender)
    return sink.placed(rows)


def export_rows(
    reader: pa.RecordBatchReader,
    columns: Sequence[ReportColumn],
    output_format: str,
    url: str,
    cover: Cover,
    shape: xml.XmlShape | None = None,
) -> PlacedFile:
    """Write rows while they are read, in constant memory, to `url` plus the suffix: .csv, .xlsx, .parquet, .xml.

    Args:
        reader: The rows; its columns are those of `columns`, in order.
        columns: The columns.
        output_format: The format.
        url: The location without suffix.
        cover: A worksheet in XLSX and metadata in Parquet. CSV and XML have no cover.
        shape: The structure of the XML; required for XML only.

    Raises:
        ExportError: The format is unknown or the location cannot be written.
    """
    names = [column.name for column in columns]
    if reader.schema.names != names:
        raise ExportError(f"{url}: the rows have the columns {reader.schema.names}, expected {names}")
    sheet = Sheet(cover.title, tuple(columns), reader.schema, iter(reader))
    writers: dict[str, Any] = {
        "csv": lambda sink: csv.write_sheet(sheet, sink),
        "xlsx": lambda sink: _write_xlsx_sheet(cover, sheet, sink),
        "parquet": lambda sink: parquet.write_sheet(sheet, cover, sink),
    }
    if shape:
        writers["xml"] = lambda sink: xml.write_sheet(sheet, shape, sink)
    if output_format not in writers:
        raise ExportError(f"unknown row format {output_format!r}: write one of {', '.join(writers)}")
    with placing(_suffixed(url, output_format)) as sink:
        rows = writers[output_format](sink)
    return sink.placed(rows)


def _suffixed(url: str, suffix: str) -> str:
    return url if url.endswith(f".{suffix}") else f"{url}.{suffix}"
