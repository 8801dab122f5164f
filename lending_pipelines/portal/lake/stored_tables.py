"""The tables of the lake in the portal's DuckDB database: copies of small tables and recent days, views of the rest.

Copies are in a temporary file, compressed, so that memory is bounded. They are sorted by loan, so that the rows of one
loan are found without reading the others. Which copies make a snapshot is decided in snapshots.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import fsspec
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from lending_pipelines.lake import Lake, TableNotMade
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.lake.files import live
from lending_pipelines.metrics import positions, vintages
from lending_pipelines.metrics.timeline import MIN_DATE
from lending_pipelines.processes import temporary_folder
from lending_pipelines.tables import DERIVED, RECORDS, TABLES
from lending_pipelines.tables.schema import Table, day, money, text

SMALL_ROWS, COPIED_ROWS = 300_000, 10_000_000
"""The maximum number of rows of a table that is copied at the first start, and of one that is copied later."""

RECENT_DAYS = 2
"""The number of last days that are copied of a table with a folder per day that is not small."""

HISTORY_DAYS = 62
"""LOAN_HISTORY has this number of last days, and the last day of every month."""

DAILY = tuple(name for name, table in DERIVED.items() if table.daily)

_VIEWS, _COPIES = "memory.views", "copies.main"

LOAN_SPANS = Table(
    "loan_spans",
    "Whose each loan was and when: spans of days [starts_on, ends_on) with one owner in every dimension.",
    ("loan_id", "starts_on"),
    (
        text("loan_id"),
        day("starts_on"),
        day("ends_on"),
        text("branch_id"),
        text("officer_id", nullable=True, personal=True),
        text("portfolio_id", nullable=True),
        text("investor_id", nullable=True),
        text("borrower_id", personal=True),
        text("currency"),
    ),
)
"""Computed from _SPANS_READ whenever one of them changes."""

_HISTORY_COLUMNS = (
    "business_date",
    "loan_id",
    "portfolio_id",
    "branch_id",
    "officer_id",
    "investor_id",
    "borrower_id",
    "currency",
    "status",
    "principal_outstanding",
    "past_due_amount",
    "days_past_due",
    "bucket",
)
LOAN_HISTORY = Table(
    "loan_history",
    "Some columns of loan_positions: for the history of one loan, which is found in a millisecond.",
    ("business_date", "loan_id"),
    tuple(TABLES["loan_positions"].column(name) for name in _HISTORY_COLUMNS),
)

LOAN_LOSSES = Table(
    "loan_losses",
    "What was charged off and recovered, by loan and day, up to the last closed day.",
    ("loan_id", "on"),
    (text("loan_id"), day("on"), money("charged_off"), money("recovered")),
)
"""metrics/vintages.py defines it. It is computed in advance, because sorting all transactions takes a second."""

OWN_TABLES: dict[str, Table] = TABLES | {table.name: table for table in (LOAN_SPANS, LOAN_HISTORY, LOAN_LOSSES)}
"""Every table of a snapshot by its name: those of the lake, and those that are derived here."""

_SPANS_READ = ("loans", "products", "officer_assignments", "portfolio_membership", "loan_ownership")


@dataclass(frozen=True)
class Stored:
    """A table at one version, as it is in the database.

    `objects` are its views and copies there, the one to read first. `identity` identifies its rows. `stamp` shows
    whether it is still the last version. `days` are the days of a daily table, `files` the files of each.
    `quick`: it is a view of files, and a copy, which is read faster, is made later. `written_at` is the time of the
    version's commit.
    """

    name: str
    objects: tuple[str, ...]
    identity: str
    stamp: tuple[Any, ...] = ()
    days: tuple[date, ...] = ()
    files: Mapping[date, frozenset[str]] = field(default_factory=dict, repr=False)
    quick: bool = False
    written_at: datetime | None = None


class StoredTables:
    """The database. One thread at a time changes it; others read it with cursors."""

    def __init__(self, lake_url: str, memory_limit: str) -> None:
        self._engine = DuckDBEngine(memory_limit)
        self._lake = Lake(lake_url, self._engine)
        self._filesystem, self._root = fsspec.url_to_fs(self._lake.url, use_listings_cache=False)
        self._folder = temporary_folder("portal")
        self._numbers = 0
        self.run = self._engine.backend.raw_sql
        self.run(f"ATTACH '{self._folder.name}/copies.duckdb' AS copies")
        self.run(f"CREATE SCHEMA {_VIEWS}")
        self.connection = self._engine.backend.con.cursor()
        # The engine's own connection is busy while it copies a large table.
        self._functions = ibis.duckdb.from_connection(self.connection.cursor())
        self._known_functions: set[str] = set()

    def add_functions(self, rows: ir.Table) -> None:
        """Register the Python functions of an expression in the database, each once. One thread at a time."""
        new = {type(function).__name__ for function in rows.op().find(ops.ScalarUDF)} - self._known_functions
        if new:
            self._functions._register_udfs(rows)
            self._known_functions |= new

    def close(self) -> None:
        """Close the database and delete its copies."""
        self._functions.disconnect()
        self.connection.close()
        self._engine.close()
        self._folder.cleanup()

    def is_current(self, stored: Stored, quick: bool) -> bool:
        """Whether the table has no later version, and no copy is left to make (unless `quick`)."""
        return (quick or not stored.quick) and self._stamp(stored.name, stored.stamp[0]) == stored.stamp

    def store(self, name: str, quick: bool) -> Stored | None:
        """Store the table's current version; None if it was never written. `quick`: copy small tables only."""
        if name in RECORDS and not self._lake.has(name):
            empty = ibis.memtable(TABLES[name].arrow_schema.empty_table(), schema=TABLES[name].schema)
            return Stored(name, (self._copy(TABLES[name], empty),), f"{name}:-1", self._stamp(name, -1))
        try:
            found = self._lake.identity(name)
        except TableNotMade:
            return None
        stamp = self._stamp(name, found.version)
        days = tuple(self._lake.days(name)) if name in DAILY else ()
        files = self._files_by_day(name) if TABLES[name].partition == "business_date" else {}
        objects, is_quick = self._write(name, days, quick)
        identity = f"{name}:{found.version}:{found.files}"
        return Stored(name, objects, identity, stamp, days, files, is_quick, self._written_at(name))

    def loan_spans(self, tables: Mapping[str, Stored], before: Stored | None) -> Stored:
        """LOAN_SPANS of these tables: `before` if nothing that it is computed from has changed."""
        last = max((day for each in tables.values() for day in each.days), default=None)
        read = [tables[name].identity for name in _SPANS_READ if name in tables]
        identity = f"{LOAN_SPANS.name}:{last}:{' '.join(read)}"
        if before is not None and before.identity == identity:
            return before
        if last is None or "loans" not in tables:
            rows = ibis.memtable(LOAN_SPANS.arrow_schema.empty_table(), schema=LOAN_SPANS.schema)
        else:
            rows = self._spans(tables, last)
        return Stored(LOAN_SPANS.name, (self._copy(LOAN_SPANS, rows),), identity)

    def loan_losses(self, tables: Mapping[str, Stored], before: Stored | None) -> Stored | None:
        """LOAN_LOSSES of these tables: `before` if nothing that it is computed from has changed."""
        posted, held = tables.get("transactions"), tables.get("loan_positions")
        if posted is None or held is None or not held.days:
            return None
        identity = f"{LOAN_LOSSES.name}:{held.days[-1]}:{posted.identity}"
        if before is not None and before.identity == identity:
            return before
        rows = vintages.losses(self._table(posted.objects[0]), held.days[-1])
        return Stored(LOAN_LOSSES.name, (self._copy(LOAN_LOSSES, rows),), identity)

    def loan_history(self, tables: Mapping[str, Stored], before: Stored | None, quick: bool) -> Stored | None:
        """LOAN_HISTORY of these tables. Only days whose files have changed are read from the lake."""
        held = tables.get("loan_positions")
        if held is None:
            return None
        identity = f"{LOAN_HISTORY.name}:{held.identity}"
        if before is not None and before.identity == identity and not before.quick:
            return before
        if quick or _is_copy(held.objects[0]):
            rows = self._table(held.objects[0]).filter(lambda t: t.business_date.isin(_history_days(held.days)))
            objects = (self._view(LOAN_HISTORY, rows.select(*_HISTORY_COLUMNS)),)
            return Stored(LOAN_HISTORY.name, objects, identity, quick=not _is_copy(held.objects[0]))
        files = {each: held.files.get(each, frozenset()) for each in _history_days(held.days)}
        kept = [each for each in files if before is not None and before.files.get(each) == files[each]]
        parts = [self._lake.table("loan_positions").filter(lambda t: t.business_date.isin(_without(files, kept)))]
        if before is not None and kept:
            parts.append(self._table(before.objects[0]).filter(lambda t: t.business_date.isin(kept)))
        rows = ibis.union(*(part.select(*_HISTORY_COLUMNS) for part in parts)) if len(parts) > 1 else parts[0]
        return Stored(LOAN_HISTORY.name, (self._copy(LOAN_HISTORY, rows),), identity, files=files)

    def publish(self, schema: str, tables: Mapping[str, Stored]) -> None:
        """Create a schema in which every table has its own name."""
        self.run(f"CREATE SCHEMA memory.{schema}")
        for name, stored in tables.items():
            self.run(f'CREATE VIEW memory.{schema}."{name}" AS FROM {stored.objects[0]}')

    def drop(self, schemas: Collection[str], objects: Collection[str]) -> None:
        """Drop schemas, and views and copies that no other schema reads."""
        for schema in schemas:
            self.run(f"DROP SCHEMA memory.{schema} CASCADE")
        # Drop views first: some read a copy that is dropped too.
        for each in sorted(objects, key=_is_copy):
            self.run(f"DROP {'TABLE' if _is_copy(each) else 'VIEW'} {each}")

    def _stamp(self, name: str, version: int) -> tuple[Any, ...]:
        """Changes when a table gets a new version: the file of the commit, and whether a next one exists.

        Reading the log itself takes a hundred times as long.
        """
        log = f"{self._root}/{name}/_delta_log"
        try:
            info = self._filesystem.info(f"{log}/{version:020d}.json") if version >= 0 else {}
        except FileNotFoundError:
            return (version, None)
        seen = tuple(str(info.get(key)) for key in ("size", "mtime", "ino", "ETag", "LastModified"))
        return (version, seen, self._filesystem.exists(f"{log}/{version + 1:020d}.json"))

    def _written_at(self, name: str) -> datetime:
        """The time of the last commit of a table, UTC."""
        return datetime.fromtimestamp(self._lake.delta(name).history(1)[0]["timestamp"] / 1000, UTC)

    def _write(self, name: str, days: Sequence[date], quick: bool) -> tuple[tuple[str, ...], bool]:
        """Create the copies and views of a table, the one to read first; and whether copies are left for later."""
        actions = self._lake.delta(name).get_add_actions(flatten=True).to_struct_array().to_pylist()
        number = sum(action["num_records"] or 0 for action in actions)
        table, rows = TABLES[name], self._lake.table(name)
        by_day = table.partition == "business_date" and len(days) > RECENT_DAYS
        if number <= (SMALL_ROWS if quick or by_day else COPIED_ROWS):
            return (self._copy(table, rows),), False
        if not by_day:
            return (self._view(table, rows),), number <= COPIED_ROWS
        since = days[-RECENT_DAYS]
        recent = self._copy(table, self._lake.table(name, since))
        older = self._lake.table(name, last=since - timedelta(days=1))
        return (self._view(table, ibis.union(self._table(recent), older)), recent), False

    def _files_by_day(self, name: str) -> dict[date, frozenset[str]]:
        found: dict[date, set[str]] = {}
        for file in live(self._lake.delta(name)):
            found.setdefault(date.fromisoformat(str(file.partition["business_date"])), set()).add(file.path)
        return {day: frozenset(paths) for day, paths in found.items()}

    def _spans(self, tables: Mapping[str, Stored], last: date) -> ir.Table:
        """LOAN_SPANS computed from the stored tables."""

        def table(name: str) -> ir.Table:
            if name in tables:
                return self._table(tables[name].objects[0])
            return ibis.memtable(TABLES[name].arrow_schema.empty_table(), schema=TABLES[name].schema)

        loans = table("loans").select("loan_id", "branch_id", "borrower_id", "currency")
        spans = positions.assigned(table, MIN_DATE, last).inner_join(loans, "loan_id")
        return spans.rename(starts_on="on", ends_on="until")

    def _copy(self, table: Table, rows: ir.Table) -> str:
        """Copy the rows, sorted by loan. Returns the name of the copy."""
        order = sorted(table.key, key=lambda name: name != "loan_id")
        return self._create("TABLE", _COPIES, table, table.shape(rows).order_by(order))

    def _view(self, table: Table, rows: ir.Table) -> str:
        """Create a view of the rows. Returns its name."""
        return self._create("VIEW", _VIEWS, table, table.shape(rows))

    def _create(self, kind: str, schema: str, table: Table, rows: ir.Table) -> str:
        self._numbers += 1
        name = f'{schema}."{table.name}_{self._numbers}"'
        backend = self._engine.backend
        backend._run_pre_execute_hooks(rows)
        self.run(f"CREATE {kind} {name} AS {backend.compile(rows)}")
        return name

    def _table(self, stored_as: str) -> ir.Table:
        catalog, schema, name = stored_as.split(".", 2)
        return self._engine.backend.table(name.strip('"'), database=(catalog, schema))


def _is_copy(stored_as: str) -> bool:
    return stored_as.startswith(_COPIES)


def _history_days(days: Sequence[date]) -> list[date]:
    """The days of LOAN_HISTORY."""
    return [each for each in days if (each + timedelta(days=1)).day == 1 or each in days[-HISTORY_DAYS:]]


def _without(days: Collection[date], kept: Collection[date]) -> list[date]:
    return sorted(set(days) - set(kept))
