"""The sync: copies servicing tables from a source into the lake, all from one snapshot.

Each table is staged on disk, validated (rules.py), compared with the lake (reading.py, changes.py) and committed in one
step. A table that breaks a rule is rejected and keeps its earlier rows in the lake; the other tables are still synced.
A row whose owner does not exist (orphans.py) is rejected by itself.
"""

import time
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources.changes import Changes, changes, counts, in_future, listed, warnings
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.orphans import find_orphans
from lending_pipelines.sources.protocol import Reader, Source, SourceError
from lending_pipelines.sources.reading import Reading, StagedFiles, read_new, read_whole
from lending_pipelines.sources.rules import findings
from lending_pipelines.tables import REQUIRED, Table
from lending_pipelines.tables.references import owners

OVERLAP = timedelta(days=1)
"""How far before the lake's watermark an incremental sync reads again.

A servicing system stamps a row when its transaction starts and shows it when that commits: rows committed late carry
an earlier posted_at than rows already read. What was read before is recognised by its key.
"""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the source's clock may be ahead of ours before its instants lie in the future."""

ABSENT, OFFERED = "absent", "offered"
"""Notes of a table's first commit: whether the source had the table."""


class SyncError(LendingError):
    """A source's rows cannot be read or break a rule of their table; nothing was committed."""


class _Written(Protocol):
    """What the lake says of a commit."""

    @property
    def version(self) -> int: ...


class _Engine(StagedFiles, Protocol):
    def scratch(self) -> AbstractContextManager[str]: ...


class Lake(Protocol):
    """What the sync needs of the lake; each write is one atomic commit."""

    @property
    def engine(self) -> _Engine:
        """Reads the staged files, on the backend of the lake's own tables."""

    def has(self, name: str) -> bool:
        """Whether the table has ever been written."""

    def version(self, name: str) -> int:
        """The table's current version."""

    def note(self, name: str) -> str:
        """The note of the table's latest commit."""

    def table(self, name: str, *, version: int | None = None) -> ir.Table:
        """The table's rows, lazily: at a version, or the current ones."""

    def append(self, name: str, rows: ir.Table) -> _Written:
        """Add the rows whose key the table does not have."""

    def merge(self, name: str, rows: ir.Table) -> _Written:
        """Put the rows in the place of those that have their key, and add the others."""

    def replace(self, name: str, rows: ir.Table, note: str = "") -> _Written:
        """Replace all rows."""

    def correct(self, name: str, rows: ir.Table, gone: ir.Table) -> _Written:
        """Put the rows in the place of those with their key, and take out those with a key in `gone`."""


@dataclass(frozen=True)
class SyncResult:
    """What one sync of one table did."""

    rows_read: int = 0
    """Rows that the source gave."""
    rows_added: int = 0
    """Rows whose key the lake did not have."""
    rows_updated: int = 0
    """Rows whose key the lake had with other content."""
    rows_removed: int = 0
    """Rows of the lake that the source no longer has."""
    watermark: datetime | None = None
    """The latest posted_at or updated_at in the lake that is not in the future; None without one, or without rows."""
    version: int = 0
    """The table's Delta version, a new one only if something changed."""
    seconds: float = 0.0
    months_read_again: tuple[str, ...] = ()
    """The months in which source and lake did not agree."""
    absent: bool = False
    """Whether the source does not have the table: there is no data, and the lake's table is empty."""
    warnings: tuple[str, ...] = ()
    """What a user must know: rows that vanished or changed, and instants in the future, by key."""
    refused_rows: tuple[Finding, ...] = ()
    """The rows that were not taken in because their owner does not exist, for each reference."""
    notes: Mapping[str, int | str] = field(default_factory=dict)
    """What the source says of the table."""


def sync_tables(
    source: Source,
    tables: Iterable[Table],
    lake: Lake,
    conventions: Conventions,
    full: bool = False,
    reload: Collection[str] = (),
) -> Generator[tuple[Table, SyncResult | LendingError], None, None]:
    """Bring tables in, all of one moment of the source, each by how it changes (`table.load`).

    A table with a watermark is read from the lake's watermark less OVERLAP on, with the months that differ from the
    source's totals; any other, or every table when `full`, is read whole. The first sync writes a table even when it
    is empty. Tables named in `reload` are reloaded: they are read in full, and one that the source no longer has is
    emptied instead of rejected. What the lake had stays readable (`Lake.superseded`).

    Yields:
        Each table with what was done, or with the error for which it is refused: SourceError when it cannot be read,
        SyncError when its rows break a rule. A refused table keeps what the lake had.

    Raises:
        SourceError: The source cannot be opened.
    """
    tables = list(tables)
    # Before the snapshot is taken: what another sync brings in meanwhile is not what the source no longer has.
    versions = {table.name: lake.version(table.name) if lake.has(table.name) else None for table in tables}
    lost_rows: set[str] = set()
    with source.snapshot() as reader:
        for table in tables:
            # Rows whose owner is gone are found only when all of them are read.
            whole = full or any(parent in lost_rows for parent, _ in owners(table.name).values())
            try:
                one = _TableSync(reader, table, lake, versions[table.name], conventions, table.name in reload)
                result = one.run(whole)
            except (SourceError, SyncError) as error:
                yield table, error
            else:
                if result.rows_removed:
                    lost_rows.add(table.name)
                yield table, result


def preview_reload(
    source: Source, tables: Iterable[Table], lake: Lake, conventions: Conventions
) -> Generator[tuple[Table, list[str] | LendingError], None, None]:
    """What reloading tables would change, without a commit.

    Yields:
        Each table with a line for the rows added, changed and gone, each with the first keys; or with the error for
        which it would be rejected.

    Raises:
        SourceError: The source cannot be opened.
    """
    reloaded: dict[str, ir.Table] = {}
    with source.snapshot() as reader, ExitStack() as scratch:
        for table in tables:
            version = lake.version(table.name) if lake.has(table.name) else None
            one = _TableSync(reader, table, lake, version, conventions, reload=True)
            try:
                yield table, one.preview(scratch.enter_context(lake.engine.scratch()), reloaded)
            except (SourceError, SyncError) as error:
                yield table, error


class _TableSync:
    """The sync of one table at one moment of the source."""

    def __init__(
        self,
        reader: Reader,
        table: Table,
        lake: Lake,
        version: int | None,
        conventions: Conventions,
        reload: bool = False,
    ):
        self._reader, self._table, self._lake, self._conventions = reader, table, lake, conventions
        self._reload = reload
        self._name = table.name
        self._current = None if version is None else lake.table(table.name, version=version)
        self._now = datetime.now(UTC).replace(tzinfo=None) + CLOCK_SKEW

    def run(self, full: bool) -> SyncResult:
        """Read, judge and commit the table."""
        if self._name in self._reader.absent:
            return self._absent()
        started = time.monotonic()
        with self._lake.engine.scratch() as folder:
            reading = self._read(folder, full or self._reload)
            self._refuse_broken(reading)
            reading = reading.without(find_orphans(self._table, reading.rows, self._rows_of))
            found = changes(self._table, reading, self._held())
            told = warnings(self._table, reading, found)
            version = self._commit(reading, found)
        now_held = self._lake.table(self._name, version=version) if found or self._current is None else self._current
        return SyncResult(
            rows_read=reading.rows_read,
            rows_added=found.rows_added,
            rows_updated=found.rows_changed,
            rows_removed=found.rows_gone,
            watermark=self._watermark(now_held),
            version=version,
            seconds=time.monotonic() - started,
            months_read_again=reading.months,
            warnings=(*told, *in_future(self._table, now_held, self._now)),
            notes=self._reader.notes(self._table),
            refused_rows=reading.orphans.findings if reading.orphans else (),
        )

    def preview(self, folder: str, reloaded: dict[str, ir.Table]) -> list[str]:
        """What `run` would change, as lines with the first keys; nothing is committed.

        `reloaded` holds the rows of tables previewed before, and gets this table's, which stay in the folder.
        """
        if self._name in self._reader.absent:
            self._require_optional()
            [rows] = counts(self._held())
            return [f"{rows:,} gone (the source does not have the table)"] if rows else []
        reading = self._read(folder, full=True)
        self._refuse_broken(reading)
        reading = reading.without(
            find_orphans(
                self._table, reading.rows, lambda name: reloaded[name] if name in reloaded else self._rows_of(name)
            )
        )
        reloaded[self._name] = reading.rows
        lines = listed(self._table, changes(self._table, reading, self._held()))
        orphans = reading.orphans.findings if reading.orphans else ()
        return [*lines, *(f"rejected: {self._name}.{each}" for each in orphans)]

    def _held(self) -> ir.Table:
        return self._nothing() if self._current is None else self._current

    def _rows_of(self, name: str) -> ir.Table | None:
        return self._lake.table(name) if self._lake.has(name) else None

    def _read(self, folder: str, full: bool) -> Reading:
        watermark = self._watermark(self._current)
        if full or self._current is None or watermark is None:
            return read_whole(self._reader, self._table, self._current, self._lake.engine, folder)
        since = watermark - OVERLAP
        return read_new(self._reader, self._table, self._current, since, self._lake.engine, folder)

    def _refuse_broken(self, reading: Reading) -> None:
        current = None if self._reload else self._current
        broken = findings(self._table, reading.rows, current, self._conventions, reading.unreadable)
        if broken:
            raise SyncError(
                f"{self._reader.name}: table {self._name} is rejected and keeps its earlier rows: "
                + "; ".join(f"{self._name}.{finding}" for finding in broken)
            )

    def _commit(self, reading: Reading, found: Changes) -> int:
        if self._current is None:
            return self._lake.replace(self._name, reading.rows, note=OFFERED).version
        if found.rows_gone or (found.rows_changed and (self._reload or self._table.load == "append")):
            return self._lake.correct(self._name, ibis.union(found.added, found.changed), found.gone).version
        if found:
            write = {"append": self._lake.append, "merge": self._lake.merge, "replace": self._lake.replace}
            return write[self._table.load](self._name, reading.rows).version
        if self._lake.note(self._name) == ABSENT:
            return self._lake.replace(self._name, reading.rows, note=OFFERED).version
        return self._lake.version(self._name)

    def _absent(self) -> SyncResult:
        """Handle a table that the source lacks: empty in the lake; an error if it is required or was synced before."""
        self._require_optional()
        removed = 0
        if self._reload and self._current is not None:
            [removed] = counts(self._current)
            if removed:
                self._lake.correct(self._name, self._nothing(), self._current)
            self._lake.replace(self._name, self._nothing(), note=ABSENT)
        elif self._current is not None and (
            any(counts(self._current)) or self._lake.note(self._name) not in ("", ABSENT)
        ):
            raise SourceError(
                f"{self._reader.name}: table {self._name} is missing, but an earlier sync read it; the lake keeps its "
                "rows: provide the table again, as an empty view if it is no longer used; if it was provided by "
                f"mistake, run `lending sync --reload {self._name}`"
            )
        if self._current is None:
            self._lake.replace(self._name, self._nothing(), note=ABSENT)
        return SyncResult(version=self._lake.version(self._name), rows_removed=removed, absent=True)

    def _require_optional(self) -> None:
        if self._name in REQUIRED:
            raise SourceError(
                f"{self._reader.name}: table {self._name} is missing: {', '.join(REQUIRED)} are required; provide "
                "each as a table or view"
            )

    def _watermark(self, rows: ir.Table | None) -> datetime | None:
        if rows is None or self._table.watermark is None:
            return None
        watermark = rows[self._table.watermark]
        return rows.filter(watermark <= self._now)[self._table.watermark].max().to_pyarrow().as_py()

    def _nothing(self) -> ir.Table:
        return ibis.memtable(self._table.arrow_schema.empty_table(), schema=self._table.schema)
