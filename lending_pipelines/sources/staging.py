"""Puts a source's rows on disk before they are judged: a stream in, one Parquet file out, a few batches in memory."""

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

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
    """What was written: the number of rows, and the columns' faults. A value that cannot be read is null."""

    rows: int
    unreadable: tuple[Finding, ...]


def stage(
    reader: Reader,
    table: Table,
    file: str,
    since: datetime | None = None,
    months: Collection[str | None] | None = None,
) -> Staged:
    """Write the table's rows, or those asked for, to the file (a path or an fsspec URL).

    SourceError when a batch has other columns.
    """
    rows = 0
    unreadable: list[Finding] = []
    # Closed at once when a batch is refused: a source may hold a connection while it streams.
    with (
        closing(reader.read(table, since, months)) as batches,
        fsspec.open(file, "wb") as sink,
        pq.ParquetWriter(sink, table.arrow_schema) as writer,
    ):
        for group in _grouped(_read_to_the_end(batches, unreadable)):
            _check_schema(reader, table, group)
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            rows += group.num_rows
    return Staged(rows, tuple(unreadable))


def _read_to_the_end(batches: Iterator[pa.RecordBatch], unreadable: list[Finding]) -> Iterator[pa.RecordBatch]:
    """The batches; faults that the adapter raises after the last one are added to the list."""
    try:
        yield from batches
    except UnreadableValues as error:
        unreadable.extend(error.findings)


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together until they fill a row group: small groups make slow files."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if held and batch.schema != held[0].schema:
            yield pa.Table.from_batches(held)
            held = []
        held.append(batch)
        if sum(b.num_rows for b in held) >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _check_schema(reader: Reader, table: Table, rows: pa.Table) -> None:
    expected = {field.name: field.type for field in table.arrow_schema}
    found = {field.name: field.type for field in rows.schema}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise SourceError(
                f"{reader.name}: {table.name}.{name} must be {expected.get(name, 'left out')}, "
                f"but the adapter returns {found.get(name, 'no such column')}"
            )
    if list(expected) != list(found):
        raise SourceError(f"{reader.name}: {table.name} must have its columns in the order {', '.join(expected)}")
