"""Parquet: the rows as they are, typed, without totals. The cover is JSON in the file's metadata under `cover`, a
column's kind and label in the metadata of its field. A book of more than one table is a zip of a file per table.
"""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.exports.archive import StableZip
from lending_pipelines.exports.parallel import in_order
from lending_pipelines.exports.sheet import Sheet, sheets_of
from lending_pipelines.exports.zipped import write_tables
from lending_pipelines.reports.book import Cover, ReportBook

_GROUP_ROWS = 122_880
"""The rows of a row group, as in DuckDB."""


def write_book(book: ReportBook, sink: Any) -> int:
    """Write a book. Returns the number of rows written."""
    if len(book.tables) == 1:
        return write_sheet(next(sheets_of(book)), book.cover, sink)
    with StableZip(sink) as archive:
        return write_tables(book, "parquet", lambda sheet, member: write_sheet(sheet, book.cover, member), archive)


def write_sheet(sheet: Sheet, cover: Cover, sink: Any) -> int:
    """Write one table in row groups of equal size. Returns the number of rows written."""
    about = json.dumps({"title": cover.title, **{name: dict(values) for name, values in cover.sections.items()}})
    fields = [
        field.with_metadata({"kind": column.kind, "label": column.label})
        for field, column in zip(sheet.schema, sheet.columns, strict=True)
    ]
    schema = pa.schema(fields, {"cover": about})
    # Plain integers for amounts take half the time and two thirds of the bytes of a dictionary encoding.
    named = [field.name for field in schema if not pa.types.is_decimal(field.type)]
    with pq.ParquetWriter(
        sink, schema, compression="zstd", store_decimal_as_integer=True, use_dictionary=named
    ) as writer:

        def write(batch: pa.RecordBatch) -> int:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            return batch.num_rows

        # Writes in another thread while the next batch is read.
        return sum(in_order(write, sheet.slices(_GROUP_ROWS), workers=1))
