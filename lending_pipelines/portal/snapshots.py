"""The lake as the portal reads it: one DuckDB database per process over the lake's current files, followed as they
change.

A snapshot is the lake at one moment: every table at one version, for the whole of a request. Small tables and the last
days of large ones are kept in memory; the rest is read from the lake's files. Rows are not filtered here: only
scoped_lake.py uses this module.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb
import fsspec
import ibis
import ibis.expr.types as ir

from lending_pipelines.lake import Lake, TableNotMade
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions
from lending_pipelines.metrics.timeline import MIN_DATE
from lending_pipelines.tables import DERIVED, RECORDS, TABLES
from lending_pipelines.tables.schema import Table, day, text

_LOGGER = logging.getLogger(__name__)

RESIDENT_ROWS = 500_000
"""A table of at most this many rows is kept in memory."""

RECENT_DAYS = 2
"""The last days of a larger daily table are kept in memory too: the last closed day, and the day before it."""

_STORED = "stored"

LOAN_SPANS = Table(
    "loan_spans",
    "Whose each loan was and when: spans of days [starts_on, ends_on) with one owner in every dimension.",
    ("loan_id", "starts_on"),
    (
        text("loan_id"),
        day("starts_on"),
        day("ends_on"),
        text("branch_id"),
        text("officer_id", nullable=True),
        text("portfolio_id", nullable=True),
        text("investor_id", nullable=True),
        text("borrower_id"),
    ),
)
"""Computed from the tables that it is named for, whenever one of them changes."""

_SPANS_READ = ("loans", "products", "officer_assignments", "portfolio_membership", "loan_ownership", "closed_days")
DAILY = tuple(name for name, table in DERIVED.items() if table.daily)


@dataclass(frozen=True)
class Stored:
    """A table at one version, as it is in the database.

    `objects` are the names of its views and tables there, the one to read first. `identity` identifies its rows.
    """

    name: str
    objects: tuple[str, ...]
    identity: str
    stamp: Any
    days: tuple[date, ...] = ()


@dataclass
class Snapshot:
    """The lake at one moment. `last_day` is the last day for which every daily table is made; None before the first."""

    number: int
    tables: Mapping[str, Stored]
    last_day: date | None
    day_before: date | None
    holders: int = field(default=0)

    @property
    def schema(self) -> str:
        """The schema of the database with a view per table."""
        return f"snapshot_{self.number}"

    def identity(self, names: tuple[str, ...]) -> str:
        """What identifies the rows of these tables."""
        return " ".join(self.tables[name].identity for name in names)


class Snapshots:
    """Opens snapshots of the lake at a URL. Thread-safe."""

    def __init__(self, lake_url: str, memory_limit: str = "2GB", check_every: float = 1.0) -> None:
        self._engine = DuckDBEngine(memory_limit)
        self._lake = Lake(lake_url, self._engine)
        self._check_every = check_every
        self._filesystem, self._root = fsspec.url_to_fs(self._lake.url, use_listings_cache=False)
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._retired: list[Snapshot] = []
        self._checked_at = 0.0
        self._numbers = 0
        self._connection = self._engine.backend.con.cursor()
        self._engine.backend.raw_sql(f"CREATE SCHEMA {_STORED}")

    @contextmanager
    def current(self) -> Iterator[Snapshot]:
        """The current snapshot, which stays readable within the block."""
        self._follow()
        with self._lock:
            snapshot = self._snapshot
            assert snapshot is not None
            snapshot.holders += 1
        try:
            yield snapshot
        finally:
            with self._lock:
                snapshot.holders -= 1

    @contextmanager
    def cursor(self, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own whose tables are those of the snapshot."""
        with self._lock:
            cursor = self._connection.cursor()
        try:
            cursor.execute(f"SET schema = '{snapshot.schema}'")
            yield cursor
        finally:
            cursor.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
        self._engine.close()

    def _follow(self) -> None:
        """Make a new snapshot if the lake has changed. One thread does; others go on with the one before."""
        if self._snapshot is not None and time.monotonic() - self._checked_at < self._check_every:
            return
        if not self._refreshing.acquire(blocking=self._snapshot is None):
            return
        try:
            if self._snapshot is None or time.monotonic() - self._checked_at >= self._check_every:
                self._refresh()
                self._checked_at = time.monotonic()
        finally:
            self._refreshing.release()

    def _refresh(self) -> None:
        before = dict(self._snapshot.tables) if self._snapshot else {}
        tables: dict[str, Stored] = {}
        for name in TABLES:
            known = before.get(name)
            if known is not None and self._stamp(name, known.stamp[0]) == known.stamp:
                tables[name] = known
            elif stored := self._store(name):
                tables[name] = stored
        tables[LOAN_SPANS.name] = self._loan_spans(tables, before)
        if self._snapshot is not None and tables == before:
            return
        snapshot = self._publish(tables)
        with self._lock:
            if self._snapshot is not None:
                self._retired.append(self._snapshot)
            self._snapshot = snapshot
        self._drop_retired()

    def _stamp(self, name: str, version: int) -> tuple[Any, ...]:
        """What tells that a table's version is still its last one: the file of its commit, and that there is no next.

        Reading the log itself takes a hundred times as long.
        """
        log = f"{self._root}/{name}/_delta_log"
        try:
            info = self._filesystem.info(f"{log}/{version:020d}.json") if version >= 0 else {}
        except FileNotFoundError:
            return (version, None)
        seen = tuple(str(info.get(key)) for key in ("size", "mtime", "ino", "ETag", "LastModified"))
        return (version, seen, self._filesystem.exists(f"{log}/{version + 1:020d}.json"))

    def _store(self, name: str) -> Stored | None:
        """The table's current version in the database; None if it was never written."""
        if name in RECORDS and not self._lake.has(name):
            version, identity, rows = -1, f"{name}:-1", 0
        else:
            try:
                found = self._lake.identity(name)
            except TableNotMade:
                return None
            version, identity = found.version, f"{name}:{found.version}:{found.files}"
            rows = self._rows(name)
        stamp = self._stamp(name, version)
        days = tuple(self._lake.days(name)) if name in DAILY else ()
        return Stored(name, self._write(name, rows, days), identity, stamp, days)

    def _rows(self, name: str) -> int:
        """The number of rows by the Delta log."""
        actions = self._lake.delta(name).get_add_actions(flatten=True).to_struct_array().to_pylist()
        return sum(action["num_records"] or 0 for action in actions)

    def _write(self, name: str, rows: int, days: tuple[date, ...]) -> tuple[str, ...]:
        """Create the table or view with the rows, and return the names of what was created."""
        if rows <= RESIDENT_ROWS:
            return (self._keep(name, self._lake.table(name)),)
        if TABLES[name].partition != "business_date" or len(days) <= RECENT_DAYS:
            return (self._view(name, self._lake.table(name)),)
        since = days[-RECENT_DAYS]
        kept = self._keep(name, self._lake.table(name, since))
        recent = self._engine.backend.table(kept, database=_STORED)
        return self._view(name, ibis.union(recent, self._lake.table(name, last=since - timedelta(days=1)))), kept

    def _keep(self, name: str, rows: ir.Table) -> str:
        stored_as = self._new_name(name)
        self._engine.backend.create_table(stored_as, rows, database=_STORED)
        return stored_as

    def _view(self, name: str, rows: ir.Table) -> str:
        stored_as = self._new_name(name)
        self._engine.backend.create_view(stored_as, rows, database=_STORED)
        return stored_as

    def _new_name(self, name: str) -> str:
        self._numbers += 1
        return f"{name}_{self._numbers}"

    def _loan_spans(self, tables: Mapping[str, Stored], before: Mapping[str, Stored]) -> Stored:
        """The table LOAN_SPANS for these tables."""
        name = LOAN_SPANS.name
        last = max((day for each in tables.values() for day in each.days), default=None)
        read = " ".join(tables[each].identity for each in _SPANS_READ if each in tables and each != "closed_days")
        identity = f"{name}:{hash((read, last))}"
        if name in before and before[name].identity == identity:
            return before[name]
        if last is None or "loans" not in tables:
            empty = ibis.memtable(LOAN_SPANS.arrow_schema.empty_table(), schema=LOAN_SPANS.schema)
            return Stored(name, (self._keep(name, empty),), identity, None)

        def table(each: str) -> ir.Table:
            if each in tables:
                return self._engine.backend.table(tables[each].objects[0], database=_STORED)
            return ibis.memtable(TABLES[each].arrow_schema.empty_table(), schema=TABLES[each].schema)

        spans = positions.assigned(table, MIN_DATE, last)
        loans = table("loans").select("loan_id", "branch_id", "borrower_id")
        spans = spans.inner_join(loans, "loan_id").rename(starts_on="on", ends_on="until")
        return Stored(name, (self._keep(name, LOAN_SPANS.shape(spans)),), identity, None)

    def _publish(self, tables: Mapping[str, Stored]) -> Snapshot:
        """Create the schema of a snapshot with a view per table."""
        self._numbers += 1
        made = [set(tables[name].days) for name in DAILY if name in tables]
        days = sorted(set.intersection(*made)) if len(made) == len(DAILY) else []
        last, before = ([None, None, *days])[-1], ([None, None, *days])[-2]
        snapshot = Snapshot(self._numbers, tables, last, before)
        run = self._engine.backend.raw_sql
        run(f"CREATE SCHEMA {snapshot.schema}")
        for name, stored in tables.items():
            run(f'CREATE VIEW {snapshot.schema}."{name}" AS FROM {_STORED}."{stored.objects[0]}"')
        return snapshot

    def _drop_retired(self) -> None:
        """Drop the earlier snapshots that no request holds, and what only they used."""
        with self._lock:
            gone = [each for each in self._retired if not each.holders]
            self._retired = [each for each in self._retired if each.holders]
            kept = [*self._retired, *([self._snapshot] if self._snapshot else [])]
        used = {each for snapshot in kept for stored in snapshot.tables.values() for each in stored.objects}
        unused = {each for snapshot in gone for stored in snapshot.tables.values() for each in stored.objects} - used
        for snapshot in gone:
            self._engine.backend.raw_sql(f"DROP SCHEMA {snapshot.schema} CASCADE")
        # Views first: some read a table that goes too.
        for kind in ("view", "table"):
            listed = self._engine.backend.raw_sql(
                f"SELECT {kind}_name FROM duckdb_{kind}s() WHERE schema_name = '{_STORED}'"
            )
            for (name,) in listed.fetchall():
                if name in unused:
                    self._engine.backend.raw_sql(f'DROP {kind} {_STORED}."{name}"')
