"""Reads from a source the rows that the lake lacks: new rows by the watermark, then months whose totals differ.

This module validates and commits nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.orphans import Orphans
from lending_pipelines.sources.protocol import Parts, Reader
from lending_pipelines.sources.staging import stage
from lending_pipelines.sources.totals import differing_months, is_in_months, lake_totals, month_of
from lending_pipelines.tables import Table


class StagedFiles(Protocol):
    """Reads staged files with the backend that also reads the lake's tables."""

    def read_parquet(self, paths: list[str]) -> ir.Table:
        """The rows of the files, lazily."""


class Staging(StagedFiles, Protocol):
    """The engine of the lake."""

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows, batch by batch."""


@dataclass(frozen=True)
class Reading:
    """The result of reading one table."""

    rows: ir.Table
    """The rows read from the source, without duplicates."""
    rows_read: int
    """The number of rows read, including duplicates."""
    covered: ir.Table | None
    """The lake's rows that were compared: those not in `rows` are gone from the source. None if unknown."""
    unreadable: tuple[Finding, ...]
    """The errors of values that cannot be read. These values are null in `rows`."""
    months: tuple[str, ...] = ()
    """The months that were read again because their totals differed."""
    parts: Parts | None = None
    """The loans and days that were read because their totals differed. None if the rows were read otherwise."""
    orphans: Orphans | None = None
    """Rows that were rejected because their owner does not exist. They are not in `rows`."""

    def without(self, orphans: Orphans | None) -> "Reading":
        """The reading without the rejected rows."""
        if orphans is None:
            return self
        return replace(self, rows=self.rows.anti_join(orphans.rows, orphans.rows.columns), orphans=orphans)


def read_whole(
    reader: Reader,
    table: Table,
    current: ir.Table | None,
    staged: StagedFiles,
    folder: str,
    months: tuple[str, ...] = (),
) -> Reading:
    """Read all rows of the table. `months` are the months whose totals differed, if that is the reason."""
    file = f"{folder}/{table.name}.parquet"
    read = stage(reader, table, reader.read(table), file)
    return Reading(read_staged(staged, file, table), read.rows, current, read.unreadable, months)


def read_new(
    reader: Reader, table: Table, current: ir.Table, since: datetime, staged: StagedFiles, folder: str
) -> Reading:
    """Read the rows from `since` on, then all rows of the months whose totals still differ from the lake's.

    Reads the complete table if the source cannot compute totals, or if totals still differ after the months were read.
    """
    totals = reader.month_totals(table)
    if totals is None:
        return read_whole(reader, table, current, staged, folder)
    key = list(table.key)
    new_file, again_file = f"{folder}/{table.name}.new.parquet", f"{folder}/{table.name}.months.parquet"
    first = stage(reader, table, reader.read(table, since=since), new_file)
    new = read_staged(staged, new_file, table)
    months = differing_months(totals, lake_totals(table, ibis.union(current.anti_join(new, key), new)))
    if not months:
        return Reading(new, first.rows, None, first.unreadable)
    second = stage(reader, table, reader.read(table, months=months), again_file)
    again = read_staged(staged, again_file, table)
    rows = ibis.union(new.filter(~is_in_months(month_of(table, new), months)), again)
    covered = current.filter(is_in_months(month_of(table, current), months))
    names = tuple(month or "none" for month in months)
    stays = current.anti_join(covered, key).anti_join(rows, key)
    if differing_months(totals, lake_totals(table, ibis.union(stays, rows))):
        return read_whole(reader, table, current, staged, folder, names)
    unreadable = (*first.unreadable, *second.unreadable)
    return Reading(rows, first.rows + second.rows, covered, unreadable, names)


def read_staged(staged: StagedFiles, file: str, table: Table) -> ir.Table:
    """The rows of a staged file with the table's types. Spark returns timestamps without their precision."""
    return staged.read_parquet([file]).cast(table.schema)
