"""The sync: brings a servicing table from a source into the lake. Rows in, one atomic commit or an error out.

Rows are streamed to disk, judged there as a set (rules.py), and committed by the lake's engine, so that memory stays
flat however large the table. A table that breaks a rule is not committed: the lake keeps what it had.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.protocol import Source
from lending_pipelines.sources.rules import contradictions, findings
from lending_pipelines.sources.staging import stage
from lending_pipelines.tables import Table

OVERLAP = timedelta(days=1)
"""How far before the lake's watermark an incremental sync reads again.

A servicing system stamps a row when its transaction starts and shows it when that commits: rows committed late carry
an earlier posted_at than rows already read. What was read before is recognised by its key.
"""


class SyncError(LendingError):
    """A source's rows cannot be read or break a rule of their table; nothing was committed."""


class _Written(Protocol):
    """What the lake says of a commit."""

    @property
    def version(self) -> int: ...


class _Engine(Protocol):
    def scratch(self) -> AbstractContextManager[str]: ...

    def read_parquet(self, paths: list[str]) -> ir.Table: ...


class Lake(Protocol):
    """What the sync needs of the lake; each write is one atomic commit."""

    @property
    def engine(self) -> _Engine:
        """Reads the staged files, on the backend of the lake's own tables."""

    def has(self, name: str) -> bool:
        """Whether the table has ever been written."""

    def version(self, name: str) -> int:
        """The table's current version."""

    def table(self, name: str) -> ir.Table:
        """The table's current rows, lazily."""

    def append(self, name: str, rows: ir.Table) -> _Written:
        """Add the rows whose key the table does not have."""

    def merge(self, name: str, rows: ir.Table) -> _Written:
        """Put the rows in the place of those that have their key, and add the others."""

    def replace(self, name: str, rows: ir.Table) -> _Written:
        """Replace all rows."""


@dataclass(frozen=True)
class SyncResult:
    """What one sync of one table did."""

    rows_read: int
    """Rows that the source gave."""
    rows_added: int
    """Rows whose key the lake did not have."""
    rows_updated: int
    """Rows whose key the lake had with other content."""
    rows_removed: int
    """Rows of the lake that the source no longer has; only a table read whole can tell."""
    watermark: datetime | None
    """The latest posted_at or updated_at in the lake; None without one, or without rows."""
    version: int
    """The table's Delta version, a new one only if something changed."""
    seconds: float
    notes: Mapping[str, int | str] = field(default_factory=dict)
    """What the source says of the table."""


@dataclass(frozen=True)
class _Changes:
    """How staged rows differ from what the lake holds."""

    added: int
    updated: int
    removed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def sync_table(
    source: Source, table: Table, lake: Lake, full: bool = False, conventions: Conventions | None = None
) -> SyncResult:
    """Bring one table in, by how it changes (`table.load`): append new events, merge changed rows, or replace all.

    Tables with a watermark are read from the lake's watermark less OVERLAP on, or whole when `full`. The first sync
    writes a table even when it is empty. SourceError when the source cannot be read; SyncError names source, table,
    column and rows of every value that cannot be read and every rule that is broken. In both cases the lake keeps what
    it had. `conventions` are the defaults unless given.
    """
    started = time.monotonic()
    current = lake.table(table.name) if lake.has(table.name) else None
    held = _watermark(table, current)
    since = held - OVERLAP if held and not full else None
    with lake.engine.scratch() as folder:
        file = f"{folder}/{table.name}.parquet"
        read = stage(source, table, since, file)
        staged = lake.engine.read_parquet([file])
        _refuse(source, table, findings(table, staged, current, conventions or Conventions(), read.unreadable))
        changes = _changes(table, staged, current, read.rows)
        if current is None:
            version = lake.replace(table.name, staged).version
        elif changes:
            version = _commit(table, staged, lake)
        else:
            version = lake.version(table.name)
        seen = [mark for mark in (held, _watermark(table, staged)) if mark]
    return SyncResult(
        rows_read=read.rows,
        rows_added=changes.added,
        rows_updated=changes.updated,
        rows_removed=changes.removed,
        watermark=max(seen, default=None),
        version=version,
        seconds=time.monotonic() - started,
        notes=_notes(source, table),
    )


def _refuse(source: Source, table: Table, broken: list[Finding]) -> None:
    if broken:
        raise SyncError(
            f"{source.name}: table {table.name} is refused and the lake keeps what it had: "
            + "; ".join(f"{table.name}.{finding}" for finding in broken)
        )


def _changes(table: Table, staged: ir.Table, current: ir.Table | None, rows_read: int) -> _Changes:
    if current is None:
        return _Changes(rows_read, 0, 0)
    key = list(table.key)
    return _Changes(
        added=_count(staged.anti_join(current, key)),
        # An event that changed has been refused already.
        updated=0 if table.load == "append" else _count(contradictions(table, staged, current)),
        removed=_count(current.anti_join(staged, key)) if table.load == "replace" else 0,
    )


def _commit(table: Table, staged: ir.Table, lake: Lake) -> int:
    match table.load:
        case "append":
            return lake.append(table.name, staged).version
        case "merge":
            return lake.merge(table.name, staged).version
        case _:
            return lake.replace(table.name, staged).version


def _watermark(table: Table, rows: ir.Table | None) -> datetime | None:
    if rows is None or table.watermark is None:
        return None
    return rows[table.watermark].max().to_pyarrow().as_py()


def _notes(source: Source, table: Table) -> Mapping[str, int | str]:
    if table.name in source.absent:
        return {"absent": f"the source {source.name} has no {table.name}"}
    return source.notes(table)


def _count(rows: ir.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())
