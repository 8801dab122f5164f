"""Delta tables by name: read as Ibis tables, written by one atomic commit.

An engine first writes Parquet files under the table; one Delta transaction then adds them and removes the files that
they replace. A run that ends before its commit leaves the table unchanged. Readers never see a partial write.
"""

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from lending_pipelines.lake.limits import within_table
from lending_pipelines.tables import RECORDS, TABLES, Table

COMMIT_ATTEMPTS = 20

# By default, Delta's writers delete log entries older than a month at every hundredth commit.
_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}

NOTE = "lending.note"
"""The key of a commit's note in the Delta log."""

_UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END")
"""The operations of commits that change no rows (upkeep.py)."""

CORRECTED = "corrected"
"""The note of a commit that removed rows from a table or replaced events."""


class TableNotMade(LakeError):
    """The table was never written."""


@dataclass(frozen=True)
class Written:
    """The result of one commit: rows and bytes of the added files, the new Delta version, and the total seconds."""

    rows: int
    bytes: int
    version: int
    seconds: float


@dataclass(frozen=True)
class TableVersion:
    """A version of a Delta table.

    `files` is a hash of its file names. File names are unique, so equal hashes mean equal rows, even after a table was
    recreated or restored from a backup and its versions start again.
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
        """Whether the table was ever written."""
        try:
            return DeltaTable.is_deltatable(self._uri(name), self._storage_options)
        except (OSError, DeltaError) as error:
            raise self._unreadable(name, error) from error

    def version(self, name: str) -> int:
        """The table's current Delta version. Raises TableNotMade when it was never written."""
        return self.identity(name).version

    def identity(self, name: str) -> TableVersion:
        """The table's current Delta version with a hash of its files. Raises TableNotMade when it was never written.

        A record table (RECORDS) that was never written has version -1.
        """
        if name in RECORDS and not self.has(name):
            return TableVersion(-1, "")
        snapshot = self._open(TABLES[name])
        files = sorted(f"{file.path} {file.size}" for file in live(snapshot))
        return TableVersion(snapshot.version(), hashlib.sha256("\n".join(files).encode()).hexdigest())

    def table(
        self, name: str, first: date | None = None, last: date | None = None, version: int | None = None
    ) -> ir.Table:
        """The table's rows, lazily, with the columns and types of tables/.

        Args:
            name: The table.
            first: The first day of a daily table to read; files of other days are not opened.
            last: The last day of a daily table to read, inclusive.
            version: An earlier Delta version to read.

        Raises:
            TableNotMade: The table was never written. A record table (RECORDS) is empty then instead.
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
        """The business dates for which a daily table was made, in order, including days without rows.

        Thinned days are not among them. With `version`: the business dates with rows in that Delta version.
        """
        made = self.table("closed_days")
        made = made.filter(made.table_name == name, made.thinned_at.isnull()).select("business_date")
        if version is not None or self.has(name):
            made = made.union(self._dates(name, version))
        return sorted(made.distinct().to_pyarrow()["business_date"].to_pylist())

    def thinned(self, name: str) -> list[date]:
        """The business dates whose rows housekeeping removed from a daily table, in order."""
        closed = self.table("closed_days")
        gone = closed.filter(closed.table_name == name, closed.thinned_at.notnull()).select("business_date")
        thinned = set(gone.to_pyarrow()["business_date"].to_pylist())
        return sorted(thinned.difference(self.days(name))) if thinned else []

    def thin(self, name: str, days: Collection[date]) -> None:
        """Remove the rows of the days from a daily table, and record in closed_days that the days were thinned.

        The record comes first. If the run ends in between, the days still have rows and count as made.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        closed = self.table("closed_days")
        closed = closed.filter(closed.table_name == name, closed.business_date.isin(list(days)))
        records = [row | {"thinned_at": now} for row in closed.to_pyarrow().to_pylist()]
        # Releases before closed_days recorded nothing: when and how these days were made is unknown.
        unrecorded = set(days) - {row["business_date"] for row in records}
        unknown = {"table_name": name, "closed_at": now, "conventions": "{}", "thinned_at": now}
        records += [unknown | {"business_date": day} for day in sorted(unrecorded)]
        rows = pa.Table.from_pylist(records, schema=TABLES["closed_days"].arrow_schema)
        self.merge("closed_days", ibis.memtable(rows))
        self._remove_days(TABLES[name], days)

    def _remove_days(self, table: Table, days: Collection[date]) -> None:
        """Remove the rows of the days from a daily table, in one commit."""
        by_day = table.partition == "business_date"
        folders = {day.strftime("%Y-%m-%d" if by_day else "%Y-%m") for day in days}

        def touched(file: DataFile) -> bool:
            return str(file.partition[str(table.partition)]) in folders

        def remove(held: DeltaTable | None) -> int:
            return self._commit(table, held, [], [file for file in live(held) if touched(file)] if held else [])

        if by_day:
            self._retry(table, remove)
        else:
            kept = list(days)
            self._rework(table, lambda held: held.filter(~held.business_date.isin(kept)), touched, all_read=False)

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
        """Record in closed_days that a daily table was made now for the days, and the latest posted_at included."""
        closed_at = datetime.now(UTC).replace(tzinfo=None)
        stamp = json.dumps(conventions, sort_keys=True)
        rows = [(name, day, closed_at, known_until, stamp, None) for day in days]
        columns = dict(zip(TABLES["closed_days"].names, map(list, zip(*rows, strict=True)), strict=True))
        self.merge("closed_days", ibis.memtable(pa.table(columns, schema=TABLES["closed_days"].arrow_schema)))

    def append(self, name: str, rows: ir.Table) -> Written:
        """Add the rows whose key is not in the table, in one commit. Concurrent runs may add the same rows."""
        table = TABLES[name]
        return self._rework(table, lambda stored: rows.anti_join(stored, list(table.key)), replaced=lambda file: False)

    def merge(self, name: str, rows: ir.Table) -> Written:
        """Update the rows whose key is in the table and add the others, in one commit."""
        table = TABLES[name]

        def merged(stored: ir.Table) -> ir.Table:
            return ibis.union(stored.anti_join(rows, list(table.key)).select(*table.names), rows.select(*table.names))

        return self._rework(table, merged, replaced=lambda file: True)

    def replace(self, name: str, rows: ir.Table, note: str = "") -> Written:
        """Replace all rows of the table in one commit; `note` is stored with the commit."""
        return self._write(TABLES[name], rows, replaced=lambda file: True, note=note)

    def correct(self, name: str, rows: ir.Table, gone: ir.Table) -> Written:
        """Update or add `rows` by key and delete the rows with a key in `gone`, in one commit.

        Files without any of these keys stay. `superseded` reads the rows that were deleted or replaced.
        """
        table = TABLES[name]
        key = list(table.key)
        touched = ibis.union(rows.select(key), gone.select(key))

        def holds(file: DataFile) -> bool:
            return bool(self._read(table, [file]).semi_join(touched, key).count().to_pyarrow().as_py())

        def corrected(stored: ir.Table) -> ir.Table:
            return ibis.union(stored.anti_join(touched, key).select(*table.names), rows.select(*table.names))

        return self._rework(table, corrected, replaced=holds, all_read=False, note=CORRECTED)

    def superseded(self, name: str, since: datetime, version: int | None = None) -> ir.Table | None:
        """The rows that corrections after `since` (UTC) deleted or replaced, as they were; None without any.

        Only corrections up to `version` count; by default, all. Replaced rows are included for tables of events only,
        because rows of other tables change regularly.
        """
        table = TABLES[name]
        key = list(table.key)
        last = self.version(name) if version is None else version
        earlier: ir.Table | None = None
        for commit in reversed(self._open(table, last).history()):
            at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).replace(tzinfo=None)
            if commit.get(NOTE) != CORRECTED or at <= since:
                continue
            before, after = self._replaced_in(table, commit["version"])
            rows = before.difference(after) if table.load == "append" else before.anti_join(after, key)
            # If several corrections changed a row, the first one after `since` replaced the row known at `since`.
            earlier = rows if earlier is None else ibis.union(earlier, rows.anti_join(earlier, key))
        return earlier

    def delta(self, name: str) -> DeltaTable:
        """The Delta table itself, for its upkeep. Raises TableNotMade when it was never written."""
        return self._open(TABLES[name])

    def note(self, name: str) -> str:
        """The note of the latest commit that wrote rows, not of the table's upkeep; empty if it has none."""
        table = self._open(TABLES[name])
        for limit in (1, None):
            written = [each for each in table.history(limit) if each["operation"] not in _UPKEEP]
            if written:
                return written[0].get(NOTE, "")
        return ""

    def replace_days(self, name: str, rows: ir.Table, first: date, last: date) -> Written:
        """Replace the rows of the days first..last (inclusive) of a daily table in one commit; other days stay."""
        table = TABLES[name]
        if table.partition == "business_month":
            return self._rewrite_months(table, rows, first, last)
        return self._write(table, rows, replaced=lambda file: may_hold(table, file, first, last))

    @contextmanager
    def staged(self, rows: ir.Table) -> Iterator[ir.Table]:
        """Compute the rows once and store them next to the lake's tables, to read them several times in the block."""
        with self.engine.scratch() as folder:
            self.engine.write_parquet(rows, folder, "staged", None)
            yield self.engine.read_parquet([f"{folder}/*.parquet"])

    @contextmanager
    def _staged_for(self, table: Table, rows: ir.Table) -> Iterator[ir.Table]:
        """`staged` for rows of the table: an amount that is too large is named by column and key."""
        with ExitStack() as stack:
            with within_table(table, rows, self.engine.backend):
                staged = stack.enter_context(self.staged(rows))
            yield staged

    def _replaced_in(self, table: Table, version: int) -> tuple[ir.Table, ir.Table]:
        """The rows of the files that a commit removed, and of those that it added."""
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
        """Write rows computed from the table's current rows; repeat when another run commits in between."""
        started = time.monotonic()
        added: list[AddAction] = []

        def attempt(snapshot: DeltaTable | None) -> int:
            files = live(snapshot) if snapshot else []
            removed = [f for f in files if replaced(f)]
            added[:] = self._write_files(table, rows(self._read(table, files if all_read else removed)))
            return self._commit(table, snapshot, added, removed, note)

        return _written(added, self._retry(table, attempt), started)

    def _rewrite_months(self, table: Table, rows: ir.Table, first: date, last: date) -> Written:
        """Replace days within monthly files: the new files include the month's other days."""
        started = time.monotonic()
        # Staged once: when another run commits in between, only this merge is repeated, not the computation.
        with self._staged_for(table, conform(table, rows)) as staged:
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
        # Disable the listing cache: engines and other runs write files that fsspec does not know of.
        filesystem, root = fsspec.url_to_fs(self._uri(table.name), use_listings_cache=False)
        filesystem.makedirs(root, exist_ok=True)
        with within_table(table, rows, self.engine.backend):
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
        # Delta would accept two concurrent additions. Here each is computed from the version that the other left, so
        # runs that write the same day or the same events at the same time write them once.
        properties = CommitProperties(max_commit_retries=0, custom_metadata={NOTE: note} if note else None)
        if snapshot is None:
            create_table_with_add_actions(
                self._uri(table.name),
                schema,
                added,
                mode="error",
                partition_by=partition_by,
                name=table.name,
                description=table.description,
                configuration=_KEEP_LOG,
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
        """Commit to the newest version; repeat when another run commits in between."""
        for number in range(COMMIT_ATTEMPTS):
            snapshot = self._open(table) if self.has(table.name) else None
            try:
                if snapshot is not None and _is_of_an_earlier_release(table, snapshot):
                    self._bring_up_to_date(table, snapshot)
                    snapshot = self._open(table)
                return attempt(snapshot)
            except CommitFailedError:
                time.sleep(random.uniform(0, 0.05 * (number + 1)))
            except DeltaError:
                # Two runs create the table at the same time: the second one adds to the table of the first.
                if snapshot is not None or not self.has(table.name):
                    raise
        raise LakeError(f"table {table.name}: {COMMIT_ATTEMPTS} commits conflicted with other runs: run it again later")

    def _bring_up_to_date(self, table: Table, snapshot: DeltaTable) -> None:
        """Rewrite a table of an earlier release in one commit: the same rows in today's types, new columns null."""
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
        try:
            return table.shape(self.engine.read_files(paths, table, table.partition))
        except Exception as error:
            filesystem, _ = fsspec.url_to_fs(self.url, use_listings_cache=False)
            if gone := [path for path in paths if not filesystem.exists(path)]:
                raise LakeError(
                    f"table {table.name}: this version is no longer readable, because {len(gone)} of its"
                    f" {len(paths)} files are gone, such as {gone[0]}: housekeeping removes files of old versions that"
                    " no sale, tape or report refers to"
                ) from error
            raise

    def _open(self, table: Table, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(self._uri(table.name), version=version, storage_options=self._storage_options)
        except TableNotFoundError as error:
            command = "lending close --from D --to D" if table.daily else "lending sync"
            raise TableNotMade(f"table {table.name} was never written to {self.url}: run `{command}` first") from error
        except (OSError, DeltaError) as error:
            raise self._unreadable(table.name, error) from error

    def _unreadable(self, name: str, error: Exception) -> LakeError:
        # Delta's error messages have several lines and colours.
        cause = " ".join(re.sub(r"\x1b\[\d*m|↳", "", str(error)).split())
        return LakeError(f"table {name} cannot be read from {self.url}: {cause}")

    def _uri(self, name: str) -> str:
        return f"{self.url}/{name}"


def _is_of_an_earlier_release(table: Table, snapshot: DeltaTable) -> bool:
    """Whether the table's files lack columns, or have other types than the columns have now."""
    stored = {field.name: field.type for field in snapshot.schema().fields}
    return any(stored.get(field.name) != field.type for field in Schema.from_arrow(stored_schema(table)).fields)


def _written(added: list[AddAction], version: int, started: float) -> Written:
    rows = sum(json.loads(a.stats)["numRecords"] for a in added)
    return Written(rows, sum(a.size for a in added), version, time.monotonic() - started)
