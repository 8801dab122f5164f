"""The tables of a book as files of one format in a zip, for formats that have one table per file."""

from collections.abc import Callable
from typing import Any

from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.names import file_names
from lending_pipelines.exports.sheet import Sheet, sheets_of
from lending_pipelines.reports.book import ReportBook


def write_tables(book: ReportBook, suffix: str, write: Callable[[Sheet, Any], int], archive: StableZip) -> int:
    """Write every table with `write` as a member named after its title. Returns the number of rows written."""
    rows = 0
    for sheet, name in zip(sheets_of(book), file_names(table.title for table in book.tables), strict=True):
        with archive.open(archive.member(f"{name}.{suffix}"), "w", force_zip64=True) as member:
            rows += write(sheet, member)
    return rows
