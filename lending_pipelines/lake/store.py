"""How the files of a Delta table are written, committed and read. Which rows a write replaces is decided in lake.py.

An engine first writes Parquet files under the table; one Delta transaction then adds them and removes the files that
they replace. A run that ends before its commit leaves the table unchanged. Readers never see a partial write.
"""

import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from uuid import uuid4

import fsspec
import ibis
import ibis.expr.types as ir
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lending_pipelines.lake.engines import Engine
from lending_pipelines.lake.files import (
    DataFile,
    LakeError,
    OpenedTable,
    add_action,
    conform,
    live,
    may_hold,
    stored_schema,
)
from lending_pipelines.lake.format import require_known_format, stamp_format
from lending_pipelines.lake.limits import table_amounts_in_range
from lending_pipelines.lake.schema_changes import schema_changes
from lending_pipelines.tables import Table

COMMIT_ATTEMPTS = 20

# By default, Delta's writers delete log entries older than a month at every hundredth commit.
_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}

NOTE = "lending.note"
"""The key of a commit's note in the Delta log."""

REMOVED = "lending.removed"
"""The key of the number of files that a commit removed from the table, in the Delta log."""

UPGRADED = "upgraded"
"""The note of a commit that rewrote a table of an earlier release: the same rows in today's columns and types."""


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
class DeltaStore:
    """The Delta tables under one URL, by their schema."""

    url: str
    engine: Engine
    storage_options: dict[str, str]

    @cached_property
    def _known(self) -> bool:
        """True if this program knows the lake's format. Raises LakeError if it does not."""
        require_known_format(self.url)
        return True

    @cached_property
    def _latest(self) -> dict[str, OpenedTable]:
        """The opened tables by name."""
        return {}

    @cached_property
    def _stamped(self) -> bool:
        """Write this program's format to the lake before the first commit. Always true."""
        if self._known:
            stamp_format(self.url)
        return True

    def has(self, name: str) -> bool:
        """Whether the table was ever written. Raises LakeError for a lake of a later version of this program."""
        try:
            return self._known and DeltaTable.is_deltatable(self._uri(name), self.storage_options)
        except (OSError, DeltaError) as error:
            raise self._unreadable(name, error) from error

    def write(self, table: Table, rows: ir.Table, replaced: Callable[[DataFile], bool], note: str = "") -> Written:
        """Write rows that replace the files for which `replaced` is true, in one commit."""
        started = time.monotonic()
        added = self._write_files(table, rows)

        def attempt(snapshot: DeltaTable | None) -> int:
            removed = [f for f in live(snapshot) if replaced(f)] if snapshot else []
            return self._commit(table, snapshot, added, removed, note)

        return _written(added, self._retry(table, attempt), started)

    def rework(
        self,
        table: Table,
        rows: Callable[[ir.Table], ir.Table],
        replaced: Callable[[list[DataFile]], list[DataFile]],
        all_read: bool = True,
        note: str = "",
    ) -> Written:
        """Write rows computed from the table's current rows. If another run commits meanwhile, compute them again.

        Args:
            table: The table.
            rows: Returns the rows to write, given the rows of all files (without `all_read`: of the replaced files).
            replaced: Returns the files that the new rows replace, given the files of the current version.
            all_read: Whether `rows` gets the rows of all files.
            note: Stored with the commit.
        """
        started = time.monotonic()
        added: list[AddAction] = []

        def attempt(snapshot: DeltaTable | None) -> int:
            files = live(snapshot) if snapshot else []
            removed = replaced(files)
            added[:] = self._write_files(table, rows(self.read(table, files if all_read else removed)))
            return self._commit(table, snapshot, added, removed, note)

        return _written(added, self._retry(table, attempt), started)

    def rewrite_months(self, table: Table, rows: ir.Table, first: date, last: date) -> Written:
        """Replace days within monthly files: the new files include the month's other days."""
        started = time.monotonic()
        # Staged once: when another run commits in between, only this merge is repeated, not the computation.
        with self._staged_for(table, conform(table, rows)) as staged:
            total = int(staged.count().to_pyarrow().as_py())
            added: list[AddAction] = []

            def attempt(snapshot: DeltaTable | None) -> int:
                touched = [f for f in live(snapshot) if may_hold(table, f, first, last)] if snapshot else []
                kept = self.read(table, touched)
                kept = kept.filter((kept.business_date < first) | (kept.business_date > last))
                added[:] = self._write_files(table, ibis.union(staged, kept))
                return self._commit(table, snapshot, added, touched)

            version = self._retry(table, attempt)
        return Written(total, sum(a.size for a in added), version, time.monotonic() - started)

    def _write_files(self, table: Table, rows: ir.Table) -> list[AddAction]:
        """Write the rows as Parquet files under the table. Returns the actions that add the files to it."""
        stem = uuid4().hex
        rows = conform(table, rows)
        if table.partition == "business_month":
            rows = rows.mutate(business_month=rows.business_date.strftime("%Y-%m"))
        # Disable the listing cache: engines and other runs write files that fsspec does not know of.
        filesystem, root = fsspec.url_to_fs(self._uri(table.name), use_listings_cache=False)
        filesystem.makedirs(root, exist_ok=True)
        with table_amounts_in_range(table, rows, self.engine.backend):
            self.engine.write_parquet(rows, self._uri(table.name), stem, table.partition)
        actions = []
        for path in sorted(filesystem.glob(f"{root}/**/{stem}*.parquet")):
            if (action := add_action(table, filesystem, root, path)) is not None:
                actions.append(action)
            else:
                # A file without rows is not committed.
                filesystem.rm_file(path)
        return actions

    def _commit(
        self,
        table: Table,
        snapshot: DeltaTable | None,
        added: list[AddAction],
        removed: list[DataFile],
        note: str = "",
    ) -> int:
        """Commit files to the snapshot, or create the table if there is none. Returns the Delta version."""
        schema = Schema.from_arrow(stored_schema(table))
        partition_by: list[str] = [table.partition] if table.partition else []
        # Delta would accept two concurrent additions. Without its retries, the second one fails and is computed again
        # from the version that the first one wrote: runs that write the same day or events at one time write them once.
        metadata = {REMOVED: str(len(removed))} | ({NOTE: note} if note else {})
        properties = CommitProperties(max_commit_retries=0, custom_metadata=metadata)
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
                storage_options=self.storage_options,
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
            snapshot = self.open_anew(table) if self.has(table.name) else None
            try:
                _ = self._stamped
                if snapshot is not None and schema_changes(table, snapshot):
                    self._bring_up_to_date(table, snapshot)
                    snapshot = self.open_anew(table)
                version = attempt(snapshot)
                if snapshot is not None:
                    # Keep the new version, so that reading it does not open the table again. It never changes again.
                    self._latest[table.name] = OpenedTable(snapshot, self._last_entry(table, snapshot))
                return version
            except CommitFailedError:
                time.sleep(random.uniform(0, 0.05 * (number + 1)))
            except DeltaError:
                # Two runs create the table at the same time: the second one adds to the table of the first.
                if snapshot is not None or not self.has(table.name):
                    raise
        raise LakeError(f"table {table.name}: {COMMIT_ATTEMPTS} commits conflicted with other runs: run it again later")

    def bring_up_to_date(self, table: Table) -> None:
        """Rewrite a table of an earlier release, unless it is up to date."""
        self._retry(table, lambda snapshot: snapshot.version() if snapshot else 0)

    def _bring_up_to_date(self, table: Table, snapshot: DeltaTable) -> None:
        """Rewrite a table of an earlier release in one commit: the same rows in today's types, new columns null."""
        added: list[AddAction | RemoveAction] = [*self._write_files(table, self.read(table, live(snapshot)))]
        snapshot.create_write_transaction(
            added,
            "overwrite",
            Schema.from_arrow(stored_schema(table)),
            [table.partition] if table.partition else [],
            commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={NOTE: UPGRADED}),
        )

    def read(self, table: Table, files: list[DataFile]) -> ir.Table:
        """The rows of the files, lazily. Raises LakeError when files of the version are gone."""
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

    def open(self, table: Table, version: int | None = None) -> DeltaTable:
        """The Delta table of a version, for reading; see `opened`."""
        return self.opened(table, version).table

    def files(self, table: Table, version: int | None = None) -> list[DataFile]:
        """The live files of a version; see `opened`."""
        return list(self.opened(table, version).files)

    def opened(self, table: Table, version: int | None = None) -> OpenedTable:
        """A version of the table, for reading. Raises TableNotMade when it was never written.

        A table is opened again after a commit of another run, or when it was deleted and written again.
        """
        opened = self._latest.get(table.name)
        if opened is None or not opened.entry or opened.entry != self._last_entry(table, opened.table):
            delta = self.open_anew(table)
            opened = self._latest[table.name] = OpenedTable(delta, self._last_entry(table, delta))
        if version in (None, opened.table.version()):
            return opened
        return OpenedTable(self.open_anew(table, version), "")

    def open_anew(self, table: Table, version: int | None = None) -> DeltaTable:
        """A Delta table that the caller may change. Raises TableNotMade when it was never written."""
        try:
            _ = self._known
            return DeltaTable(self._uri(table.name), version=version, storage_options=self.storage_options)
        except TableNotFoundError as error:
            command = "lending close --from D --to D" if table.daily else "lending sync"
            raise TableNotMade(f"table {table.name} was never written to {self.url}: run `{command}` first") from error
        except (OSError, DeltaError) as error:
            raise self._unreadable(table.name, error) from error

    def _last_entry(self, table: Table, opened: DeltaTable) -> str:
        """An identifier of the opened version's log entry; empty if the entry is gone or not the last one."""
        filesystem, log = fsspec.url_to_fs(f"{self._uri(table.name)}/_delta_log", use_listings_cache=False)
        own, following = (f"{log}/{opened.version() + number:020}.json" for number in (0, 1))
        try:
            return "" if filesystem.exists(following) else filesystem.ukey(own)
        except OSError:
            return ""

    def _unreadable(self, name: str, error: Exception) -> LakeError:
        """The error for a table that Delta cannot read, with Delta's message in one line."""
        # Delta's error messages have several lines, colours and frames of its stack.
        cause = " ".join(re.sub(r"\x1b\[\d*m|↳|(?m:^ *\d+: .*)|(?m:^ +at .*)", "", str(error)).split())
        return LakeError(f"table {name} cannot be read from {self.url}: {cause}")

    def _uri(self, name: str) -> str:
        return f"{self.url}/{name}"

    def remove_days(self, table: Table, days: Collection[date]) -> None:
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
            self.rework(
                table,
                lambda held: held.filter(~held.business_date.isin(kept)),
                replaced=lambda files: [file for file in files if touched(file)],
                all_read=False,
            )

    @contextmanager
    def staged(self, rows: ir.Table) -> Iterator[ir.Table]:
        """Compute the rows once and store them next to the lake's tables, to read them several times in the block."""
        with self.engine.scratch() as folder:
            self.engine.write_parquet(rows, folder, "staged", None)
            yield self.engine.read_parquet([f"{folder}/*.parquet"])

    @contextmanager
    def _staged_for(self, table: Table, rows: ir.Table) -> Iterator[ir.Table]:
        """`staged` for rows of the table: the error for an amount that is too large names column and key."""
        with ExitStack() as stack:
            with table_amounts_in_range(table, rows, self.engine.backend):
                staged = stack.enter_context(self.staged(rows))
            yield staged


def _written(added: list[AddAction], version: int, started: float) -> Written:
    rows = sum(json.loads(a.stats)["numRecords"] for a in added)
    return Written(rows, sum(a.size for a in added), version, time.monotonic() - started)
