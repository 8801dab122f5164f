"""A lender's files as tables: CSV, XLSX and Parquet, read in groups of rows with the values as the file has them."""

import codecs
import csv
import shutil
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.errors import did_you_mean, first_of
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.mapped.mapping import TableRule
from lending_pipelines.sources.mapped.unreadable import Unreadable

GROUP_ROWS = 10_000

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".parquet")

_SEPARATORS = (";", "\t", "|", ",")
"""The separators of CSV files. The first one counts if several fit equally well."""


@dataclass(frozen=True)
class Folder:
    """A folder of files, each of which is a table."""

    path: Path

    def columns(self, rule: TableRule) -> list[str]:
        """The columns of a file, in order. Raises Unreadable."""
        file = self._file(rule)
        with _as_unreadable(file):
            match file.suffix.lower():
                case ".xlsx":
                    with closing(_sheet_rows(file, rule.sheet)) as cells:
                        return _header(next(cells, ()))
                case ".parquet":
                    return _distinct(list(pq.read_schema(file).names))
                case _:
                    with _csv(file, rule) as rows:
                        return list(rows.columns)

    def groups(self, rule: TableRule, columns: Sequence[str]) -> Iterator[dict[str, Values]]:
        """The named columns of a file, in groups of rows. Raises Unreadable."""
        file = self._file(rule)
        with _as_unreadable(file):
            match file.suffix.lower():
                case ".xlsx":
                    yield from _xlsx_groups(file, rule.sheet, columns)
                case ".parquet":
                    with pq.ParquetFile(file) as parquet:
                        for batch in parquet.iter_batches(GROUP_ROWS, columns=list(columns)):
                            yield {name: batch[name] for name in columns}
                case _:
                    with _csv(file, rule) as rows:
                        chosen = rows.select(*map(duckdb.ColumnExpression, columns))
                        for batch in chosen.to_arrow_reader(GROUP_ROWS):
                            yield {name: batch[name] for name in columns}

    def _file(self, rule: TableRule) -> Path:
        file = self.path / rule.origin
        if not file.is_file():
            names = [each.name for each in self.path.glob("*")] if self.path.is_dir() else []
            raise Unreadable(f"there is no file {file}; {did_you_mean(rule.origin, names)}")
        if file.suffix.lower() not in SUFFIXES:
            raise Unreadable(f"{file} is not one of {', '.join(SUFFIXES)}")
        return file


@contextmanager
def _as_unreadable(file: Path) -> Iterator[None]:
    """Raise Unreadable, which names the file, for errors of the libraries that read files."""
    try:
        yield
    except (OSError, ValueError, KeyError, duckdb.Error, pa.ArrowException) as error:
        # DuckDB's message proposes options that a mapping does not have.
        message = str(error).partition("Possible fixes:")[0]
        raise Unreadable(f"{file}: {' '.join(message.split())[:300]}") from error


@contextmanager
def _csv(file: Path, rule: TableRule) -> Iterator[duckdb.DuckDBPyRelation]:
    """A CSV file as text. An empty field is null.

    DuckDB does not detect the format: its detection leaves out lines that begin with #, and lines before the header.
    """
    with TemporaryDirectory(prefix="lending_mapped_") as folder, duckdb.connect() as connection:
        utf8 = file
        if codecs.lookup(rule.encoding).name != "utf-8":
            # DuckDB reads UTF-8 only.
            utf8 = Path(folder) / file.name
            with file.open(encoding=rule.encoding, newline="") as source, utf8.open("w", newline="") as target:
                shutil.copyfileobj(source, target)
        separator, header = _csv_header(utf8, rule)
        yield connection.read_csv(
            str(utf8),
            header=True,
            columns={name or f"column {number}": "VARCHAR" for number, name in enumerate(header, start=1)},
            auto_detect=False,
            sep=separator,
            quotechar='"',
            escapechar='"',
        )


def _csv_header(file: Path, rule: TableRule) -> tuple[str, list[str]]:
    """The separator and the columns. The separator is the one that finds the most columns of the mapping."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        line = next(text, "")
    headers = {each: next(csv.reader([line], delimiter=each), []) for each in _SEPARATORS}
    separator = max(headers, key=lambda each: (len(set(rule.used) & set(headers[each])), len(headers[each])))
    return separator, _distinct(headers[separator])


def _distinct(header: list[str]) -> list[str]:
    """The names of the columns, as given. Raises ValueError if there are none, or if two are equal."""
    if not any(header):
        raise ValueError("the first row must have the names of the columns, also in a file without rows")
    # DuckDB compares names without case.
    times = Counter(name.casefold() for name in header)
    if repeated := [repr(name) for name in header if name and times[name.casefold()] > 1]:
        raise ValueError(f"columns with the same name: {first_of(repeated)}; give each its own name")
    return header


def _sheet_rows(file: Path, sheet: str) -> Generator[tuple[Any, ...], None, None]:
    """The rows of a worksheet. Raises ValueError for a formula whose value the file does not have."""
    with _worksheet(file, sheet, data_only=True) as values, _worksheet(file, sheet, data_only=False) as formulas:
        for number, (row, written) in enumerate(zip(values, formulas, strict=True), start=1):
            if any(cell is None and text is not None for cell, text in zip(row, written, strict=True)):
                raise ValueError(f"row {number} has a formula without a value: save the file in a spreadsheet program")
            yield row


@contextmanager
def _worksheet(file: Path, sheet: str, data_only: bool) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The rows of a worksheet: with `data_only`, the stored values of formulas, else the formulas."""
    from openpyxl import load_workbook

    with closing(load_workbook(file, read_only=True, data_only=data_only)) as workbook:
        if sheet and sheet not in workbook.sheetnames:
            raise ValueError(f"there is no worksheet {sheet!r}; {did_you_mean(sheet, workbook.sheetnames)}")
        cells = workbook[sheet or workbook.sheetnames[0]]
        # Some programs write a wrong size, and openpyxl would leave out the rows beyond it.
        cells.reset_dimensions()
        # A reader that stops early would leave the file open.
        with closing(cells.iter_rows(values_only=True)) as rows:
            yield rows


def _header(row: Sequence[Any]) -> list[str]:
    """The names of the columns in the first row of a worksheet."""
    return _distinct(["" if cell is None else str(cell).strip() for cell in row])


def _xlsx_groups(file: Path, sheet: str, columns: Sequence[str]) -> Iterator[dict[str, Values]]:
    """The named columns of a worksheet. Raises ValueError, after the last row, for cells with an error such as #N/A."""
    faults: list[str] = []
    with closing(_sheet_rows(file, sheet)) as rows:
        header = _header(next(rows, ()))
        places = {name: header.index(name) for name in columns}
        filled = ((number, row) for number, row in enumerate(rows, start=2) if any(cell is not None for cell in row))
        while group := list(islice(filled, GROUP_ROWS)):
            faults += _errors(group, places)
            yield {
                name: [row[place] if place < len(row) else None for _, row in group] for name, place in places.items()
            }
    if faults:
        raise ValueError(f"{first_of(faults)}: correct the formula, or empty the cell")


def _errors(group: Iterable[tuple[int, Sequence[Any]]], places: Mapping[str, int]) -> list[str]:
    """The cells whose formula has an error instead of a value, with their row and column."""
    from openpyxl.cell.cell import ERROR_CODES

    return [
        f"row {number} has {row[place]} in column {name!r}"
        for number, row in group
        for name, place in places.items()
        if place < len(row) and row[place] in ERROR_CODES
    ]
