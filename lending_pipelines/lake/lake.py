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
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lending_pipelines.errors import LendingError
from lending_pipelines.lake.engines import Engine
from lending_pipelines.tables import RECORDS, TABLES, Table

COMMIT_ATTEMPTS = 20

# Delta's writers otherwise delete the log of versions older than a month with every hundredth commit.
_FOR_GOOD = {"delta.enableExpiredLogCleanup": "false"}


class LakeError(LendingError):
    """The lake cannot do what was asked."""


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


@dataclass(frozen=True)
class _File:
    """A live file of a table."""

    path: str
    size: int
    partition: dict[str, str | None]

    def remove(self) -> RemoveAction:
        return RemoveAction(self.path, True, _now_ms(), self.size, self.partition)


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
        files = sorted(f"{file.path} {file.size}" for file in _live(snapshot))
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
        files = [f for f in _live(snapshot) if _may_hold(table, f, first, last)]
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
        files = _live(self._open(TABLES[name], version))
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

    def replace(self, name: str, rows: ir.Table) -> Written:
        """Replace all rows of the table in one commit."""
        return self._write(TABLES[name], rows, replaced=lambda file: True)

    def replace_days(self, name: str, rows: ir.Table, first: date, last: date) -> Written:
        """Replace the rows of the days first..last (inclusive) of a daily table in one commit; other days stay."""
        table = TABLES[name]
        if table.partition == "business_month":
            return self._rewrite_months(table, rows, first, last)
        return self._write(table, rows, replaced=lambda file: _may_hold(table, file, first, last))

    @contextmanager
    def staged(self, rows: ir.Table) -> Iterator[ir.Table]:
        """The rows computed once and kept beside the lake's tables, for reading them again within the block."""
        with self.engine.scratch() as folder:
            self.engine.write_parquet(rows, folder, "staged", None)
            yield self.engine.read_parquet([f"{folder}/*.parquet"])

    def _write(self, table: Table, rows: ir.Table, replaced: Callable[[_File], bool]) -> Written:
        started = time.monotonic()
        added = self._write_files(table, rows)

        def attempt(snapshot: DeltaTable | None) -> int:
            removed = [f for f in _live(snapshot) if replaced(f)] if snapshot else []
            return self._commit(table, snapshot, added, removed)

        return _written(added, self._retry(table, attempt), started)

    def _rework(self, table: Table, rows: Callable[[ir.Table], ir.Table], replaced: Callable[[_File], bool]) -> Written:
        """Write rows worked out from those that the table holds, again when another run's commit came between."""
        started = time.monotonic()
        added: list[AddAction] = []

        def attempt(snapshot: DeltaTable | None) -> int:
            files = _live(snapshot) if snapshot else []
            added[:] = self._write_files(table, rows(self._read(table, files)))
            return self._commit(table, snapshot, added, [f for f in files if replaced(f)])

        return _written(added, self._retry(table, attempt), started)

    def _rewrite_months(self, table: Table, rows: ir.Table, first: date, last: date) -> Written:
        """Replace days inside monthly files: the months' other days are carried over into the new files."""
        started = time.monotonic()
        # Staged once, so that another run's commit in between repeats only this merge, not the computation.
        with self.staged(_conform(table, rows)) as staged:
            total = int(staged.count().to_pyarrow().as_py())
            added: list[AddAction] = []

            def attempt(snapshot: DeltaTable | None) -> int:
                touched = [f for f in _live(snapshot) if _may_hold(table, f, first, last)] if snapshot else []
                kept = self._read(table, touched)
                kept = kept.filter((kept.business_date < first) | (kept.business_date > last))
                added[:] = self._write_files(table, ibis.union(staged, kept))
                return self._commit(table, snapshot, added, touched)

            version = self._retry(table, attempt)
        return Written(total, sum(a.size for a in added), version, time.monotonic() - started)

    def _write_files(self, table: Table, rows: ir.Table) -> list[AddAction]:
        stem = uuid4().hex
        rows = _conform(table, rows)
        if table.partition == "business_month":
            rows = rows.mutate(business_month=rows.business_date.strftime("%Y-%m"))
        # Engines and other runs write unseen by fsspec: what an object store was seen to list before is not believed.
        filesystem, root = fsspec.url_to_fs(self._uri(table.name), use_listings_cache=False)
        filesystem.makedirs(root, exist_ok=True)
        self.engine.write_parquet(rows, self._uri(table.name), stem, table.partition)
        return [
            action
            for path in sorted(filesystem.glob(f"{root}/**/{stem}*.parquet"))
            if (action := _add_action(table, filesystem, root, path)) is not None
        ]

    def _commit(self, table: Table, snapshot: DeltaTable | None, added: list[AddAction], removed: list[_File]) -> int:
        schema = Schema.from_arrow(_stored_schema(table))
        partition_by: list[str] = [table.partition] if table.partition else []
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
            )
            return 0
        actions: list[AddAction | RemoveAction] = [*added, *(f.remove() for f in removed)]
        if actions:
            # Delta would let two additions pass side by side; here each is worked out on what the other left, so that
            # runs that write the same day or the same events at once leave them once.
            alone = CommitProperties(max_commit_retries=0)
            snapshot.create_write_transaction(actions, "append", schema, partition_by, commit_properties=alone)
            snapshot.update_incremental()
        return snapshot.version()

    def _retry(self, table: Table, attempt: Callable[[DeltaTable | None], int]) -> int:
        """Commit on the newest version, again when another run's commit came between."""
        for number in range(COMMIT_ATTEMPTS):
            snapshot = self._open(table) if self.has(table.name) else None
            try:
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

    def _read(self, table: Table, files: list[_File]) -> ir.Table:
        if not files:
            return ibis.memtable(table.arrow_schema.empty_table(), schema=table.schema)
        paths = [f"{self._uri(table.name)}/{f.path}" for f in files]
        return self.engine.read_files(paths, table, table.partition)

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


def _conform(table: Table, rows: ir.Table) -> ir.Table:
    missing = [name for name in table.names if name not in rows.columns]
    if missing:
        raise LakeError(f"table {table.name}: rows lack the columns {', '.join(missing)}")
    return rows.select(*table.names).cast(table.schema)


def _stored_schema(table: Table):
    schema = table.arrow_schema
    if table.partition == "business_month":
        return schema.append(ibis.schema({"business_month": "string"}).to_pyarrow().field(0))
    return schema


def _add_action(table: Table, filesystem: fsspec.AbstractFileSystem, root: str, path: str) -> AddAction | None:
    with filesystem.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        rows = parquet.metadata.num_rows
        # An engine may widen a type unseen by Ibis: found here, before the commit, not by the next reader.
        if wrong := [field for field in parquet.schema_arrow if field.type != _stored_type(table, field.name)]:
            raise LakeError(f"table {table.name}: the engine wrote {', '.join(map(str, wrong))}")
    if rows == 0:
        return None
    relative = path.removeprefix(root).lstrip("/")
    partition = dict(part.split("=", 1) for part in relative.split("/")[:-1])
    return AddAction(relative, filesystem.size(path), partition, _now_ms(), True, json.dumps({"numRecords": rows}))


def _stored_type(table: Table, column: str) -> pa.DataType:
    return table.arrow_schema.field(column).type


def _live(snapshot: DeltaTable) -> list[_File]:
    actions = snapshot.get_add_actions(flatten=False)
    partitioned = "partition" in actions.schema.names
    return [
        _File(
            row["path"],
            row["size_bytes"],
            {key: str(value) for key, value in row["partition"].items()} if partitioned else {},
        )
        for row in actions.to_struct_array().to_pylist()
    ]


def _may_hold(table: Table, file: _File, first: date | None, last: date | None) -> bool:
    """Whether a file can hold rows of the days first..last, by its folder."""
    if table.partition is None:
        return True
    key = str(file.partition[table.partition])
    form = "%Y-%m" if table.partition == "business_month" else "%Y-%m-%d"
    return (first is None or key >= first.strftime(form)) and (last is None or key <= last.strftime(form))


def _written(added: list[AddAction], version: int, started: float) -> Written:
    rows = sum(json.loads(a.stats)["numRecords"] for a in added)
    return Written(rows, sum(a.size for a in added), version, time.monotonic() - started)


def _now_ms() -> int:
    return int(datetime.now().timestamp() * 1000)
