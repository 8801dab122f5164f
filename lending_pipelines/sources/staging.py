"""Writes a source's rows to one Parquet file on disk before they are validated. Only a few batches are in memory."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.sources.batches import UnreadableValues
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.protocol import Reader, SourceError
from lending_pipelines.tables import Table

ROW_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class Staged:
    """The result of `stage`: the number of rows, and the errors of the columns.

    A value that cannot be read is null in the file.
    """

    rows: int
    unreadable: tuple[Finding, ...]


def stage(reader: Reader, table: Table, rows_read: Generator[pa.RecordBatch, None, None], file: str) -> Staged:
    """Write rows of the table to the file (a path or an fsspec URL).

    Args:
        reader: The source of the rows.
        table: The servicing table.
        rows_read: The rows as the source streams them.
        file: Where they are written.

    Raises:
        SourceError: A batch has different columns.
    """
    rows = 0
    unreadable: list[Finding] = []
    # Close the stream at once if a batch is rejected, because a source may keep a connection while it streams.
    with (
        closing(rows_read) as batches,
        fsspec.open(file, "wb") as sink,
        pq.ParquetWriter(sink, table.arrow_schema) as writer,
    ):
        for group in _grouped(_read_to_the_end(batches, unreadable)):
            _check_schema(reader, table, group)
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            rows += group.num_rows
    return Staged(rows, tuple(unreadable))


def write_batches(batches: Iterable[pa.RecordBatch], file: str, schema: pa.Schema) -> None:
    """Write batches to the file (a path or an fsspec URL)."""
    with fsspec.open(file, "wb") as sink, pq.ParquetWriter(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))


def _read_to_the_end(batches: Iterator[pa.RecordBatch], unreadable: list[Finding]) -> Iterator[pa.RecordBatch]:
    """The batches. Errors that the adapter raises after the last batch are added to `unreadable`."""
    try:
        yield from batches
    except UnreadableValues as error:
        unreadable.extend(error.findings)


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Combine batches to full row groups. Files with small row groups are slow."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        if group and batch.schema != group[0].schema:
            yield pa.Table.from_batches(group)
            group = []
        group.append(batch)
        if sum(b.num_rows for b in group) >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(group)
            group = []
    if group:
        yield pa.Table.from_batches(group)


def _check_schema(reader: Reader, table: Table, rows: pa.Table) -> None:
    expected = {field.name: field.type for field in table.arrow_schema}
    columns = {field.name: field.type for field in rows.schema}
    for name in sorted(expected.keys() | columns.keys()):
        if expected.get(name) != columns.get(name):
            raise SourceError(
                f"{reader.name}: {table.name}.{name} must be {expected.get(name, 'left out')}, "
                f"but the adapter returns {columns.get(name, 'no such column')}"
            )
    if list(expected) != list(columns):
        raise SourceError(f"{reader.name}: {table.name} must have its columns in the order {', '.join(expected)}")
