"""The lake as the portal reads it: one DuckDB database per process over the lake's current files, updated when they
change.

A snapshot is the lake at one moment: every table at one version, for the whole of a request. Rows are not filtered
here: only scoped_lake.py and access.py use this module. stored_tables.py holds the tables.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import duckdb
import ibis.expr.types as ir

from lending_pipelines.portal.lake.stored_tables import (
    DAILY,
    LOAN_HISTORY,
    LOAN_LOSSES,
    LOAN_SPANS,
    Stored,
    StoredTables,
)
from lending_pipelines.tables import TABLES

_LOGGER = logging.getLogger(__name__)


@dataclass
class Snapshot:
    """The lake at one moment. `last_day` is the last day of which every daily table has rows; None before the first."""

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
        """A text that identifies the rows of these tables."""
        return " ".join(self.tables[name].identity for name in names)


class Snapshots:
    """Opens snapshots of the lake at a URL. Thread-safe."""

    def __init__(self, lake_url: str, memory_limit: str = "2GB", check_every: float = 1.0) -> None:
        self._stored = StoredTables(lake_url, memory_limit)
        self._check_every = check_every
        self._lock = threading.Lock()
        self._following = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._retired: list[Snapshot] = []
        self._checked_at = 0.0

    @contextmanager
    def current(self) -> Iterator[Snapshot]:
        """The current snapshot, which stays readable within the block.

        At most every `check_every` seconds, a thread checks whether the lake has changed. The caller does not wait for
        it.
        """
        if self._snapshot is None:
            self.follow(quick=True)
        elif time.monotonic() - self._checked_at >= self._check_every and not self._following.locked():
            threading.Thread(target=self._follow_and_log, name="follow the lake", daemon=True).start()
        with self._lock:
            snapshot = self._snapshot
            assert snapshot is not None
            snapshot.holders += 1
        try:
            yield snapshot
        finally:
            with self._lock:
                snapshot.holders -= 1

    def follow(self, quick: bool = False) -> None:
        """Make a new snapshot if the lake has changed. Raises LakeError when it cannot be read.

        With `quick`, large tables are not copied, because a request waits for the first snapshot. The next one copies
        them.
        """
        with self._following:
            if quick and self._snapshot is not None:
                return
            before = dict(self._snapshot.tables) if self._snapshot else {}
            tables = self._tables(before, quick)
            if self._snapshot is None or tables != before:
                self._replace(tables)
            self._checked_at = time.monotonic()

    @contextmanager
    def cursor(self, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
        """A separate connection whose tables are those of the snapshot."""
        with self._lock:
            cursor = self._stored.connection.cursor()
        try:
            cursor.execute(f"SET schema = 'memory.{snapshot.schema}'")
            yield cursor
        finally:
            cursor.close()

    def add_functions(self, rows: ir.Table) -> None:
        """Register the Python functions of an expression, such as those of charge-offs, in the database."""
        with self._lock:
            self._stored.add_functions(rows)

    def close(self) -> None:
        """Close the database."""
        with self._following:
            self._stored.close()

    def _follow_and_log(self) -> None:
        """Follow the lake. On an error, the current snapshot stays until the next check."""
        try:
            self.follow()
        except Exception:
            self._checked_at = time.monotonic()
            _LOGGER.exception("the lake cannot be read, so its data before is shown")

    def _tables(self, before: Mapping[str, Stored], quick: bool) -> dict[str, Stored]:
        """Every table at its current version."""
        tables: dict[str, Stored] = {}
        for name in TABLES:
            known = before.get(name)
            current = known is not None and self._stored.is_current(known, quick)
            stored = known if current else self._stored.store(name, quick)
            if stored is not None:
                tables[name] = stored
        tables[LOAN_SPANS.name] = self._stored.loan_spans(tables, before.get(LOAN_SPANS.name))
        if losses := self._stored.loan_losses(tables, before.get(LOAN_LOSSES.name)):
            tables[LOAN_LOSSES.name] = losses
        if history := self._stored.loan_history(tables, before.get(LOAN_HISTORY.name), quick):
            tables[LOAN_HISTORY.name] = history
        return tables

    def _replace(self, tables: Mapping[str, Stored]) -> None:
        """Make a snapshot of the tables the current one."""
        # Ignore tables without days: a table that a new release adds has none until the next close.
        made = [set(tables[name].days) for name in DAILY if name in tables and tables[name].days]
        days = sorted(set.intersection(*made)) if "loan_positions" in tables else []
        before, last = [None, None, *days][-2:]
        number = self._snapshot.number + 1 if self._snapshot else 1
        snapshot = Snapshot(number, tables, last, before)
        self._stored.publish(snapshot.schema, tables)
        with self._lock:
            if self._snapshot is not None:
                self._retired.append(self._snapshot)
            self._snapshot = snapshot
            gone = [each for each in self._retired if not each.holders]
            self._retired = [each for each in self._retired if each.holders]
            used = _objects([*self._retired, snapshot])
        self._stored.drop([each.schema for each in gone], _objects(gone) - used)


def _objects(snapshots: list[Snapshot]) -> set[str]:
    """The views and copies of the snapshots."""
    return {each for snapshot in snapshots for stored in snapshot.tables.values() for each in stored.objects}
