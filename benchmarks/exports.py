"""A tape of 40 columns as CSV, XLSX and Parquet, compared with DuckDB's COPY of the same query and with openpyxl.

openpyxl runs as fast as possible (write-only mode, one styled cell per column reused for every row), with the same
formats and layout.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from benchmarks.harness import Options, Row, compare
from lending_pipelines.exports.export import export_rows
from lending_pipelines.exports.xlsx_styles import FORMATS, lay_out
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.reports.book import Cover
from lending_pipelines.reports.columns import report_column
from lending_pipelines.tapes.catalogue import CATALOGUE

FIELDS = tuple(CATALOGUE.values())[:40]
COLUMNS = tuple(report_column(field.column) for field in FIELDS)
COVER = Cover("Tape", {"Tape": {"Made by": "benchmarks"}})
# The minimum ratios: COPY takes at least 1 ÷ 1.5 of this project's time, openpyxl five times as long.
COPY_AIM, OPENPYXL_AIM = 1 / 1.5, 5.0

_VALUES = {
    "string": "'K' || ({hash} % 1000)",
    "date": "date '2015-01-01' + ({hash} % 4000)::int",
    "decimal(18, 2)": "(({hash} % 100000000) / 100)::decimal(18, 2)",
    "decimal(9, 6)": "(({hash} % 300000) / 1000000)::decimal(9, 6)",
    "int64": "({hash} % 400)::bigint",
    "boolean": "{hash} % 2 = 0",
}


def csv(tape: str, folder: str) -> int:
    """This project."""
    return _export(tape, folder, "csv")


def xlsx(tape: str, folder: str) -> int:
    """This project."""
    return _export(tape, folder, "xlsx")


def parquet(tape: str, folder: str) -> int:
    """This project."""
    return _export(tape, folder, "parquet")


def duckdb_csv(tape: str, folder: str) -> int:
    """DuckDB's COPY."""
    return _copy(tape, f"{folder}/duckdb.csv", "format csv, header")


def duckdb_parquet(tape: str, folder: str) -> int:
    """DuckDB's COPY with the same compression."""
    return _copy(tape, f"{folder}/duckdb.parquet", "format parquet, compression zstd")


def openpyxl_write_only(tape: str, folder: str) -> int:
    """openpyxl in its fastest mode."""
    workbook = Workbook(write_only=True)
    worksheet = workbook.create_sheet("Tape")
    lay_out(worksheet, COLUMNS, None)
    worksheet.append([column.label for column in COLUMNS])
    cells = [WriteOnlyCell(worksheet) for _ in COLUMNS]
    for cell, column in zip(cells, COLUMNS, strict=True):
        cell.number_format = FORMATS[column.kind]
    written = 0
    for batch in _rows(tape):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for cell, value in zip(cells, row, strict=True):
                cell.value = value
            worksheet.append(cells)
        written += batch.num_rows
    workbook.save(f"{folder}/openpyxl.xlsx")
    return written


def run(options: Options) -> list[Row]:
    """200,000 rows, and 50,000 for openpyxl; 1,000,000 with `--full`."""
    rows, few = (1_000_000, 1_000_000) if options.full else (200_000, 50_000)
    tape = make_tape(rows, options.folder)

    def measured(size: int, ours: Callable, other: Callable, aim: float | None = None, once: bool = False) -> list[Row]:
        case = f"{ours.__name__}, {size:,} rows x {len(COLUMNS)}"
        single = [other] if once else []
        aims = {other.__name__: aim} if aim else {}
        files = str(make_tape(size, options.folder)), str(options.folder)
        return compare("exports", case, [ours, other], *files, amount=size, unit="rows", once=single, aims=aims)

    found = measured(rows, csv, duckdb_csv, COPY_AIM)
    found += measured(rows, parquet, duckdb_parquet)
    for file in ("csv", "parquet"):
        _same(f"{options.folder}/tape.{file}", f"{options.folder}/duckdb.{file}")
    found += measured(few, xlsx, openpyxl_write_only, OPENPYXL_AIM, once=True)
    if rows > few:
        files = str(tape), str(options.folder)
        found += compare("exports", f"xlsx, {rows:,} rows x 40", [xlsx], *files, amount=rows, unit="rows", rounds=1)
    return found


def make_tape(rows: int, folder: Path) -> Path:
    """A generated tape as Parquet, created once and kept in the folder."""
    path = folder / f"tape-{rows}.parquet"
    if not path.exists():
        columns = ", ".join(f"{_value(number, field.type)} as {field.name}" for number, field in enumerate(FIELDS))
        columns = columns.replace(_value(1, "string"), "'LN-' || lpad(n::varchar, 9, '0')")
        duckdb.sql(f"copy (select {columns} from range({rows}) loans(n)) to '{path}' (format parquet)")
    return path


def _value(number: int, kind: str) -> str:
    value = _VALUES[kind].format(hash=f"hash(n * {len(FIELDS)} + {number})")
    # One loan in three lacks dates.
    return f"if(n % 3 = {number % 3}, null, {value})" if kind == "date" else value


def _rows(tape: str) -> pa.RecordBatchReader:
    """The rows of the tape from the engine, as in the asset of tapes."""
    engine = DuckDBEngine()
    return engine.batches(engine.read_parquet([tape]).order_by("loan_id"))


def _export(tape: str, folder: str, output_format: str) -> int:
    return export_rows(_rows(tape), COLUMNS, output_format, f"{folder}/tape", COVER).rows


def _copy(tape: str, target: str, how: str) -> int:
    query = f"select * from read_parquet('{tape}') order by loan_id"
    connection: Any = DuckDBEngine().backend.con
    connection.execute(f"copy ({query}) to '{target}' ({how})")
    return connection.fetchall()[0][0]


def _same(ours: str, theirs: str) -> None:
    """Stop if two files have different rows, because the comparison is then invalid."""

    def checksum(file: str) -> Any:
        return duckdb.execute(f"select count(*), sum(hash(row)) from '{file}' as row").fetchall()

    if checksum(ours) != checksum(theirs):
        sys.exit(f"{ours} and {theirs} hold different rows")
