"""CSV: UTF-8, a header of column names, ISO dates, plain decimals, text in quotes, an empty field for null.

Totals are left out, so that summing a column gives its total. A book of one table is one file; a book of several tables
is a zip with a file per table and cover.csv.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.injection import quoted, quoted_column
from lending_pipelines.exports.parallel import in_order
from lending_pipelines.exports.sheet import Sheet, sheets_of
from lending_pipelines.exports.zipped import write_tables
from lending_pipelines.reports.book import Cover, Kind, ReportBook

# Six decimals as in rates; more would be printed with an exponent.
_FRACTION = pa.decimal128(38, 6)


def write_book(book: ReportBook, sink: Any) -> int:
    """Write a book. Returns the number of rows written."""
    if len(book.tables) == 1:
        return write_sheet(next(sheets_of(book)), sink)
    with StableZip(sink) as archive:
        with archive.open(archive.member("cover.csv"), "w") as member:
            _write_cover(book.cover, member)
        return write_tables(book, "csv", write_sheet, archive)


def write_sheet(sheet: Sheet, sink: Any) -> int:
    """Write one table in slices. Returns the number of rows written."""
    header = [quoted(column.name) for column in sheet.columns]
    schema = pa.schema(
        [
            (name, _type(sheet.schema.field(i).type, c.kind))
            for i, (name, c) in enumerate(zip(header, sheet.columns, strict=True))
        ]
    )
    csv.write_csv(schema.empty_table(), sink)
    rows = 0
    for count, lines in in_order(lambda rows: (rows.num_rows, _lines(rows, sheet, schema)), sheet.slices()):
        sink.write(lines)
        rows += count
    if not rows and sheet.no_data:
        reason = quoted(f"no data: {sheet.no_data}").replace('"', '""')
        sink.write(f'"{reason}"{"," * (len(header) - 1)}\n'.encode())
    return rows


def _lines(batch: pa.RecordBatch, sheet: Sheet, schema: pa.Schema) -> pa.Buffer:
    lines = pa.BufferOutputStream()
    rows = pa.RecordBatch.from_arrays([*_cells(batch, sheet, schema)], schema=schema)
    csv.write_csv(rows, lines, csv.WriteOptions(include_header=False))
    return lines.getvalue()


def _cells(batch: pa.RecordBatch, sheet: Sheet, schema: pa.Schema) -> Iterator[pa.Array]:
    for column, values, field in zip(sheet.columns, batch.columns, schema, strict=True):
        if column.kind == "instant":
            values = pc.strftime(values.cast(pa.timestamp("s"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
        values = values.cast(field.type)
        yield quoted_column(values) if column.kind == "text" else values


def _type(arrow_type: pa.DataType, kind: Kind) -> pa.DataType:
    if kind in ("text", "instant"):
        return pa.string()
    return _FRACTION if pa.types.is_floating(arrow_type) else arrow_type


def _write_cover(cover: Cover, sink: Any) -> None:
    lines = [(section, name, value) for section, values in cover.sections.items() for name, value in values.items()]
    columns = [quoted_column(pa.array(column, pa.string())) for column in zip(*lines, strict=True)]
    csv.write_csv(pa.table(columns, names=["section", "name", "value"]), sink)
