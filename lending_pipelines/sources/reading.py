"""Reads of a source what the lake lacks: what is new by the watermark, then the months that do not agree.

Nothing is judged or committed here.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import ibis
import ibis.expr.types as ir

from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.orphans import Orphans
from lending_pipelines.sources.protocol import Reader
from lending_pipelines.sources.staging import stage
from lending_pipelines.sources.totals import differing_months, lake_totals, month_of, within
from lending_pipelines.tables import Table


class StagedFiles(Protocol):
    """Reads staged files, on the backend of the lake's own tables."""

    def read_parquet(self, paths: list[str]) -> ir.Table:
        """The rows of the files, lazily."""


@dataclass(frozen=True)
class Reading:
    """What one reading of a table gave."""

    rows: ir.Table
    """The source's rows that were read, each once."""
    rows_read: int
    """How many rows the source gave, those that it gave twice included."""
    covered: ir.Table | None
    """The lake's rows for which `rows` is all that the source has: those not in `rows` are gone. None: unknown."""
    unreadable: tuple[Finding, ...]
    """The faults of values that cannot be read; they are null in `rows`."""
    months: tuple[str, ...] = ()
    """The months that were read again, as their totals differed."""
    orphans: Orphans | None = None
    """Rows that were read and rejected by themselves: they are not in `rows`."""

    def without(self, orphans: Orphans | None) -> "Reading":
        """The reading without rows that are rejected by themselves."""
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
    """All rows of the table; `months` are those that differed, if that is why."""
    file = f"{folder}/{table.name}.parquet"
    read = stage(reader, table, file)
    return Reading(_rows(staged, file, table), read.rows, current, read.unreadable, months)


def read_new(
    reader: Reader, table: Table, current: ir.Table, since: datetime, staged: StagedFiles, folder: str
) -> Reading:
    """The rows from `since` on, and all rows of the months whose totals then still differ from the lake's.

    The whole table is read where the source cannot add up, or where reading the months did not settle the difference.
    """
    totals = reader.month_totals(table)
    if totals is None:
        return read_whole(reader, table, current, staged, folder)
    key = list(table.key)
    new_file, again_file = f"{folder}/{table.name}.new.parquet", f"{folder}/{table.name}.months.parquet"
    first = stage(reader, table, new_file, since=since)
    new = _rows(staged, new_file, table)
    months = differing_months(totals, lake_totals(table, ibis.union(current.anti_join(new, key), new)))
    if not months:
        return Reading(new, first.rows, None, first.unreadable)
    second = stage(reader, table, again_file, months=months)
    again = _rows(staged, again_file, table)
    rows = ibis.union(new.filter(~within(month_of(table, new), months)), again)
    covered = current.filter(within(month_of(table, current), months))
    names = tuple(month or "none" for month in months)
    stays = current.anti_join(covered, key).anti_join(rows, key)
    if differing_months(totals, lake_totals(table, ibis.union(stays, rows))):
        return read_whole(reader, table, current, staged, folder, names)
    unreadable = (*first.unreadable, *second.unreadable)
    return Reading(rows, first.rows + second.rows, covered, unreadable, names)


def _rows(staged: StagedFiles, file: str, table: Table) -> ir.Table:
    """The rows of a staged file in the table's own types: Spark gives instants without their precision."""
    return staged.read_parquet([file]).cast(table.schema)
