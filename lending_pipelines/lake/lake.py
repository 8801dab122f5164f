"""Delta tables by name: read as Ibis tables, written by one atomic commit.

An engine writes Parquet files under the table first, unseen; one Delta transaction then adds them and removes what they
replace. A run that dies before its commit leaves the table as it was, and readers never see half of a write.
"""

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import uuid4

import fsspec
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lending_pipelines.lake.engines import Engine
from lending_pipelines.lake.files import DataFile, LakeError, add_action, conform, live, may_hold, stored_schema
from lending_pipelines.tables import RECORDS, TABLES, Table

COMMIT_ATTEMPTS = 20

# Delta's writers otherwise delete the log of versions older than a month with every hundredth commit.
_FOR_GOOD = {"delta.enableExpiredLogCleanup": "false"}

_NOTE = "lending.note"
"""The key of a commit's note in Delta's log."""

CORRECTED = "corrected"
"""The note of a commit that took rows out of a table, or replaced events."""


class TableNotMade(LakeError):
    """The table has never been written."""


@dataclass(frozen=True)
class Written:
    """What one commit wrote: rows and bytes of the files added, the Delta version it made, seconds in all."""

    rows: int
    bytes: int
    version: int
    seconds: float


@dataclass(frozen=True)
class TableVersion:
    """A version of a Delta table.

    `files` is a hash of the names of its files. No two files ever have one name, so equal hashes mean equal rows, also
    after a table was made again or restored from a backup and its versions are counted again.
    """

    version: int
    files: str


class Lake:
    """The Delta tables under one URL, computed by one engine."""

    def __init__(self, url: str, engine: Engine, storage_options: Mapping[str, str] | None = None):
        self.url = url.rstrip("/")
        self.engine = engine
        self._storage_options = dict(storage_options or {})

    def has(self, name: str) -> bool:
        """Whether the table has ever been written."""
        try:
            return DeltaTable.is_deltatable(self._uri(name), self._storage_options)
        except (OSError, DeltaError) as error:
            raise self._unreadable(name, error) from error

    def version(self, name: str) -> int:
        """The table's current Delta version; TableNotMade when it was never written."""
        return self.identity(name).version

    def identity(self, name: str) -> TableVersion:
        """The table's current Delta version and what tells it from any other; TableNotMade when never written.

        What the lake records of its own writing has version -1 then.
        """
        if name in RECORDS and not self.has(name):
            return TableVersion(-1, "")
        snapshot = self._open(TABLES[name])
        files = sorted(f"{file.path} {file.size}" for file in live(snapshot))
        return TableVersion(snapshot.version(), hashlib.sha256("\n".join(files).encode()).hexdigest())

    def table(
        self, name: str, first: date | None = None, last: date | None = None, version: int | None = None
    ) -> ir.Table:
        """The table's rows, lazily, in the columns and types of tables/.

        `first` and `last` restrict a daily table to those days (inclusive), opening no other day's files; `version`
        reads an earlier Delta version. TableNotMade when it was never written; what the lake records of its own
        writing has no rows then.
        """
        table = TABLES[name]
        if name in RECORDS and not self.has(name):
            return self._read(table, [])
        snapshot = self._open(table, version)
        files = [f for f in live(snapshot) if may_hold(table, f, first, last)]
        rows = self._read(table, files)
        if first is not None:
            rows = rows.filter(rows.business_date >= first)
        if last is not None:
            rows = rows.filter(rows.business_date <= last)
        return rows

    def days(self, name: str, version: int | None = None) -> list[date]:
        """The business dates for which a daily table was made, in order, those without rows too.

        `version` looks at the rows of an earlier Delta version.
        """
        made = self.table("closed_days")
        made = made.filter(made.table_name == name).select("business_date")
        if version is not None or self.has(name):
            made = made.union(self._dates(name, version))
        return sorted(made.distinct().to_pyarrow()["business_date"].to_pylist())

    def _dates(self, name: str, version: int | None) -> ir.Table:
        """The business dates with rows in a daily table."""
        if TABLES[name].partition != "business_date":
            return self.table(name, version=version).select("business_date")
        files = live(self._open(TABLES[name], version))
        days = [date.fromisoformat(str(f.partition["business_date"])) for f in files]
        return ibis.memtable(pa.table({"business_date": pa.array(days, pa.date32())}))

    def record_days(
        self, name: str, days: Sequence[date], known_until: datetime | None, conventions: Mapping[str, str]
    ) -> None:
        """Record in closed_days that a daily table was made for the days now, and from what was known until when."""
        closed_at = datetime.now(UTC).replace(tzinfo=None)
        stamp = json.dumps(conventions, sort_keys=True)
        rows = [(name, day, closed_at, known_until, stamp) for day in days]
        columns = dict(zip(TABLES["closed_days"].names, map(list, zip(*rows, strict=True)), strict=True))
        self.merge("closed_days", ibis.memtable(pa.table(columns, schema=TABLES["closed_days"].arrow_schema)))

    def append(self, name: str, rows: ir.Table) -> Written:
        """Add the rows whose key the table does not have, in one commit; two runs may add the same rows at once."""
        table = TABLES[name]
        return self._rework(table, lambda held: rows.anti_join(held, list(table.key)), replaced=lambda file: False)

    def merge(self, name: str, rows: ir.Table) -> Written:
        """Put the rows in the place of those that have their key, and add the others, in one commit."""
        table = TABLES[name]

        def merged(held: ir.Table) -> ir.Table:
            return ibis.union(held.anti_join(rows, list(table.key)).select(*table.names), rows.select(*table.names))

        return self._rework(table, merged, replaced=lambda file: True)

    def replace(self, name: str, rows: ir.Table, note: str = "") -> Written:
        """Replace all rows of the table in one commit; `note` is kept with the commit."""
        return self._write(TABLES[name], rows, replaced=lambda file: True, note=note)

    def correct(self, name: str, rows: ir.Table, gone: ir.Table) -> Written:
        """Put the rows in the place of those with their key, and take out those with a key in `gone`, in one commit.

        Files that hold none of these keys stay. What was taken out or replaced can be read with `superseded`.
        """
        table = TABLES[name]
        key = list(table.key)
        touched = ibis.union(rows.select(key), gone.select(key))

        def holds(file: DataFile) -> bool:
            return bool(self._read(table, [file]).semi_join(touched, key).count().to_pyarrow().as_py())

        def corrected(held: ir.Table) -> ir.Table:
            return ibis.union(held.anti_join(touched, key).select(*table.names), rows.select(*table.names))

        return self._rework(table, corrected, replaced=holds, all_read=False, note=CORRECTED)

    def superseded(self, name: str, since: datetime, version: int | None = None) -> ir.Table | None:
        """The rows that corrections after `since` (UTC) took out or replaced, as they were then; None without any.

        Up to `version`, or the current one. A row that changed is among them only if the table holds events: rows of
        other tables change in the ordinary way.
        """
        table = TABLES[name]
        key = list(table.key)
        last = self.version(name) if version is None else version
        found: ir.Table | None = None
        for commit in reversed(self._open(table, last).history()):
            at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).replace(tzinfo=None)
            if commit.get(_NOTE) != CORRECTED or at <= since:
                continue
            before, after = self._replaced_in(table, commit["version"])
            rows = before.difference(after) if table.load == "append" else before.anti_join(after, key)
            # Of several corrections of a row, the first after the instant replaced what was known then.
            found = rows if found is None else ibis.union(found, rows.anti_join(found, key))
        return found

    def note(self, name: str) -> str:
        """The note of the table's latest commit, empty without one."""
        return self._open(TABLES[name]).history(1)[0].get(_NOTE, "")

    def replace_days(self, name: str, rows: ir.Table, first: date, last: date) -> Written:
        """Replace the rows of the days first..last (inclusive) of a daily table in one commit; other days stay."""
        table = TABLES[name]
        if table.partition == "business_month":
            return self._rewrite_months(table, rows, first, last)
        return self._write(table, rows, replaced=lambda file: may_hold(table, file, first, last))

    @contextmanager
    def staged(self, rows: ir.Table) -> Iterator[ir.Table]:
        """The rows computed once and kept beside the lake's tables, for reading them again within the block."""
        with self.engine.scratch() as folder:
            self.engine.write_parquet(rows, folder, "staged", None)
            yield self.engine.read_parquet([f"{folder}/*.parquet"])

    def _replaced_in(self, table: Table, version: int) -> tuple[ir.Table, ir.Table]:
        """The rows of the files that a commit took away, and of those that it added."""
        before, after = (live(self._open(table, number)) for number in (version - 1, version))
        stayed = {file.path for file in before} & {file.path for file in after}
        old, new = ([file for file in files if file.path not in stayed] for files in (before, after))
        return self._read(table, old), self._read(table, new)

    def _write(self, table: Table, rows: ir.Table, replaced: Callable[[DataFile], bool], note: str = "") -> Written:
        started = time.monotonic()
        added = self._write_files(table, rows)

        def attempt(snapshot: DeltaTable | None) -> int:
            removed = [f for f in live(snapshot) if replaced(f)] if snapshot else []
            return self._commit(table, snapshot, added, removed, note)

        return _written(added, self._retry(table, attempt), started)

    def _rework(
        self,
        table: Table,
        rows: Callable[[ir.Table], ir.Table],
        replaced: Callable[[DataFile], bool],
        all_read: bool = True,
        note: str = "",
    ) -> Written:
        """Write rows worked out from those that the table holds, again when another run's commit came between."""
        started = time.monotonic()
        added: list[AddAction] = []

        def attempt(snapshot: DeltaTable | None) -> int:
            files = live(snapshot) if snapshot else []
            removed = [f for f in files if replaced(f)]
            added[:] = self._write_files(table, rows(self._read(table, files if all_read else removed)))
            return self._commit(table, snapshot, added, removed, note)

        return _written(added, self._retry(table, attempt), started)

    def _rewrite_months(self, table: Table, rows: ir.Table, first: date, last: date) -> Written:
        """Replace days inside monthly files: the months' other days are carried over into the new files."""
        started = time.monotonic()
        # Staged once, so that another run's commit in between repeats only this merge, not the computation.
        with self.staged(conform(table, rows)) as staged:
            total = int(staged.count().to_pyarrow().as_py())
            added: list[AddAction] = []

            def attempt(snapshot: DeltaTable | None) -> int:
                touched = [f for f in live(snapshot) if may_hold(table, f, first, last)] if snapshot else []
                kept = self._read(table, touched)
                kept = kept.filter((kept.business_date < first) | (kept.business_date > last))
                added[:] = self._write_files(table, ibis.union(staged, kept))
                return self._commit(table, snapshot, added, touched)

            version = self._retry(table, attempt)
        return Written(total, sum(a.size for a in added), version, time.monotonic() - started)

    def _write_files(self, table: Table, rows: ir.Table) -> list[AddAction]:
        stem = uuid4().hex
        rows = conform(table, rows)
        if table.partition == "business_month":
            rows = rows.mutate(business_month=rows.business_date.strftime("%Y-%m"))
        # Engines and other runs write unseen by fsspec: what an object store was seen to list before is not believed.
        filesystem, root = fsspec.url_to_fs(self._uri(table.name), use_listings_cache=False)
        filesystem.makedirs(root, exist_ok=True)
        self.engine.write_parquet(rows, self._uri(table.name), stem, table.partition)
        return [
            action
            for path in sorted(filesystem.glob(f"{root}/**/{stem}*.parquet"))
            if (action := add_action(table, filesystem, root, path)) is not None
        ]

    def _commit(
        self,
        table: Table,
        snapshot: DeltaTable | None,
        added: list[AddAction],
        removed: list[DataFile],
        note: str = "",
    ) -> int:
        schema = Schema.from_arrow(stored_schema(table))
        partition_by: list[str] = [table.partition] if table.partition else []
        # Delta would let two additions pass side by side; here each is worked out on what the other left, so that
        # runs that write the same day or the same events at once leave them once.
        properties = CommitProperties(max_commit_retries=0, custom_metadata={_NOTE: note} if note else None)
        if snapshot is None:
            create_table_with_add_actions(
                self._uri(table.name),
                schema,
                added,
                mode="error",
                partition_by=partition_by,
                name=table.name,
                description=table.description,
                configuration=_FOR_GOOD,
                storage_options=self._storage_options,
                commit_properties=properties,
            )
            return 0
        actions: list[AddAction | RemoveAction] = [*added, *(f.remove() for f in removed)]
        if actions or note:
            snapshot.create_write_transaction(actions, "append", schema, partition_by, commit_properties=properties)
            snapshot.update_incremental()
        return snapshot.version()

    def _retry(self, table: Table, attempt: Callable[[DeltaTable | None], int]) -> int:
        """Commit on the newest version, again when another run's commit came between."""
        for number in range(COMMIT_ATTEMPTS):
            snapshot = self._open(table) if self.has(table.name) else None
            try:
                if snapshot is not None and _is_narrower(table, snapshot):
                    self._widen(table, snapshot)
                    snapshot = self._open(table)
                return attempt(snapshot)
            except CommitFailedError:
                time.sleep(random.uniform(0, 0.05 * (number + 1)))
            except DeltaError:
                # Two runs creating the table at once: the loser finds it there and adds to it.
                if snapshot is not None or not self.has(table.name):
                    raise
        raise LakeError(
            f"table {table.name}: {COMMIT_ATTEMPTS} attempts to commit met other runs' commits; run it again alone"
        )

    def _widen(self, table: Table, snapshot: DeltaTable) -> None:
        """Rewrite a table that an earlier release wrote with narrower types, in one commit: the same rows, wider."""
        added: list[AddAction | RemoveAction] = [*self._write_files(table, self._read(table, live(snapshot)))]
        snapshot.create_write_transaction(
            added,
            "overwrite",
            Schema.from_arrow(stored_schema(table)),
            [table.partition] if table.partition else [],
            commit_properties=CommitProperties(max_commit_retries=0),
        )

    def _read(self, table: Table, files: list[DataFile]) -> ir.Table:
        if not files:
            return ibis.memtable(table.arrow_schema.empty_table(), schema=table.schema)
        paths = [f"{self._uri(table.name)}/{f.path}" for f in files]
        # Files of an earlier release may have narrower types.
        return self.engine.read_files(paths, table, table.partition).cast(table.schema)

    def _open(self, table: Table, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(self._uri(table.name), version=version, storage_options=self._storage_options)
        except TableNotFoundError as error:
            command = "lending close --from D --to D" if table.daily else "lending sync"
            raise TableNotMade(f"table {table.name} was never written to {self.url}: run `{command}` first") from error
        except (OSError, DeltaError) as error:
            raise self._unreadable(table.name, error) from error

    def _unreadable(self, name: str, error: Exception) -> LakeError:
        # Delta's errors are drawn over several lines, in colours.
        cause = " ".join(re.sub(r"\x1b\[\d*m|↳", "", str(error)).split())
        return LakeError(f"table {name} cannot be read from {self.url}: {cause}")

    def _uri(self, name: str) -> str:
        return f"{self.url}/{name}"


def _is_narrower(table: Table, snapshot: DeltaTable) -> bool:
    """Whether the table was written with other types than its columns have now."""
    wanted = {field.name: field.type for field in Schema.from_arrow(stored_schema(table)).fields}
    return any(field.type != wanted.get(field.name, field.type) for field in snapshot.schema().fields)


def _written(added: list[AddAction], version: int, started: float) -> Written:
    rows = sum(json.loads(a.stats)["numRecords"] for a in added)
    return Written(rows, sum(a.size for a in added), version, time.monotonic() - started)
