"""Delta tables by name: read as Ibis tables, written by one atomic commit.

Which rows a write replaces is decided here; how files are written and committed is in store.py.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import fsspec
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from deltalake import DeltaTable

from lending_pipelines import __version__
from lending_pipelines.lake.engines import Engine
from lending_pipelines.lake.files import DataFile, OpenedTable, may_hold
from lending_pipelines.lake.schema_changes import SchemaChange, schema_changes
from lending_pipelines.lake.store import NOTE, DeltaStore, Written
from lending_pipelines.tables import RECORDS, TABLES, Table

_UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END")
"""The operations of commits that change no rows (upkeep.py)."""

NEVER_WRITTEN = -1
"""The version of a record table before its first commit. It has no rows."""

CORRECTED = "corrected"
"""The note of a commit that removed rows from a table or replaced events."""


@dataclass(frozen=True)
class TableVersion:
    """A version of a Delta table.

    `files` is a hash of the names and sizes of its files. File names are unique, so equal hashes mean equal rows, even
    after a table was recreated or restored from a backup and its versions start again.
    """

    version: int
    files: str


class Lake:
    """The Delta tables under one URL, computed by one engine."""

    def __init__(self, url: str, engine: Engine, storage_options: Mapping[str, str] | None = None):
        self.url = url.rstrip("/")
        self.engine = engine
        self._store = DeltaStore(self.url, engine, dict(storage_options or {}))

    def has(self, name: str) -> bool:
        """Whether the table was ever written."""
        return self._store.has(name)

    def version(self, name: str) -> int:
        """The table's current Delta version. Raises TableNotMade when it was never written."""
        return self.identity(name).version

    def identity(self, name: str) -> TableVersion:
        """The table's current Delta version with a hash of its files. Raises TableNotMade when it was never written.

        A record table (RECORDS) that was never written has version NEVER_WRITTEN.
        """
        if name in RECORDS and not self.has(name):
            return TableVersion(NEVER_WRITTEN, "")
        version = self._store.open(TABLES[name]).version()
        files = sorted(f"{file.path} {file.size}" for file in self._store.files(TABLES[name], version))
        return TableVersion(version, hashlib.sha256("\n".join(files).encode()).hexdigest())

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
        if name in RECORDS and (version == NEVER_WRITTEN or not self.has(name)):
            return self._store.read(table, [])
        files = [f for f in self._store.files(table, version) if may_hold(table, f, first, last)]
        rows = self._store.read(table, files)
        if first is not None:
            rows = rows.filter(rows.business_date >= first)
        if last is not None:
            rows = rows.filter(rows.business_date <= last)
        return rows

    def days(self, name: str, version: int | None = None, closed_version: int | None = None) -> list[date]:
        """The business dates for which a daily table was made, in order, including days without rows.

        These are the days with a record in closed_days, and the days with rows. Thinned days are left out, unless they
        still have rows.

        Args:
            name: The daily table.
            version: Its Delta version, by default the latest one.
            closed_version: The Delta version of closed_days whose records count, by default the latest one. Days that
                were thinned later are left out too.
        """
        closed = self._closed(name, closed_version)
        made = closed.filter(closed.thinned_at.isnull()).select("business_date")
        if closed_version is not None:
            # A day is recorded as thinned before its rows are removed.
            made = made.anti_join(self._closed(name).filter(lambda row: row.thinned_at.notnull()), "business_date")
        if version is not None or self.has(name):
            made = made.union(self._dates(name, version))
        return sorted(made.distinct().to_pyarrow()["business_date"].to_pylist())

    def thinned(self, name: str, version: int | None = None, closed_version: int | None = None) -> list[date]:
        """The business dates whose rows housekeeping removed from a daily table, in order; arguments as for `days`."""
        closed = self._closed(name)
        gone = closed.filter(closed.thinned_at.notnull()).select("business_date")
        thinned = set(gone.to_pyarrow()["business_date"].to_pylist())
        return sorted(thinned.difference(self.days(name, version, closed_version))) if thinned else []

    def thin(self, name: str, days: Collection[date]) -> None:
        """Remove the rows of the days from a daily table, and record in closed_days that the days were thinned.

        The record comes first. If the run ends in between, the days still have rows and count as made.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        closed = self.table("closed_days")
        closed = closed.filter(closed.table_name == name, closed.business_date.isin(list(days)))
        records = [row | {"thinned_at": now} for row in closed.to_pyarrow().to_pylist()]
        # Releases without closed_days recorded nothing, so it is unknown when and how these days were made.
        unrecorded = set(days) - {row["business_date"] for row in records}
        unknown = {"table_name": name, "closed_at": now, "conventions": "{}", "thinned_at": now}
        records += [unknown | {"business_date": day} for day in sorted(unrecorded)]
        rows = pa.Table.from_pylist(records, schema=TABLES["closed_days"].arrow_schema)
        self.merge("closed_days", ibis.memtable(rows))
        self._store.remove_days(TABLES[name], days)

    def _closed(self, name: str, version: int | None = None) -> ir.Table:
        """The records of a daily table in closed_days."""
        closed = self.table("closed_days", version=version)
        return closed.filter(closed.table_name == name)

    def _dates(self, name: str, version: int | None) -> ir.Table:
        """The business dates with rows in a daily table."""
        if TABLES[name].partition != "business_date":
            return self.table(name, version=version).select("business_date")
        files = self._store.files(TABLES[name], version)
        days = [date.fromisoformat(str(f.partition["business_date"])) for f in files]
        return ibis.memtable(pa.table({"business_date": pa.array(days, pa.date32())}))

    def record_days(
        self,
        name: str,
        days: Sequence[date],
        known_until: datetime | None,
        conventions: Mapping[str, str],
        made_from: Mapping[str, int] | None = None,
    ) -> None:
        """Record in closed_days that a daily table was made now for the days.

        Args:
            name: The daily table.
            days: The days that were made.
            known_until: The latest posted_at among the rows that they were made from.
            conventions: The conventions by name.
            made_from: The Delta versions of the tables that they were made from; None if unknown.
        """
        record = {
            "table_name": name,
            "closed_at": datetime.now(UTC).replace(tzinfo=None),
            "known_until": known_until,
            "conventions": json.dumps(conventions, sort_keys=True),
            "made_from": json.dumps(made_from, sort_keys=True) if made_from else None,
            "program_version": __version__,
        }
        rows = [record | {"business_date": day} for day in days]
        self.merge("closed_days", ibis.memtable(pa.Table.from_pylist(rows, TABLES["closed_days"].arrow_schema)))

    def keep_reported(self, name: str, days: Collection[date]) -> None:
        """Record in reported_days where the rows of the first close are, before a daily table is made for days again.

        A day counts as closed when every daily table with records has a record of the day. Days that are already in
        reported_days stay as they are.
        """
        closed = self.table("closed_days")
        recorded = set(closed.select("table_name").distinct().to_pyarrow()["table_name"].to_pylist())
        rows = closed.filter(closed.business_date.isin(list(days))).to_pyarrow().to_pylist()
        made = Counter(row["business_date"] for row in rows)
        version_now = self.version(name) if self.has(name) else None
        columns = ("table_name", "business_date", "closed_at", "known_until", "conventions")
        kept = [
            {column: row[column] for column in columns} | {"delta_version": None if row["thinned_at"] else version_now}
            for row in rows
            if row["table_name"] == name and made[row["business_date"]] == len(recorded)
        ]
        if kept:
            table = pa.Table.from_pylist(kept, TABLES["reported_days"].arrow_schema)
            self.append("reported_days", ibis.memtable(table))

    def append(self, name: str, rows: ir.Table) -> Written:
        """Add the rows whose key is not in the table, in one commit. Concurrent runs may add the same rows."""
        table = TABLES[name]
        return self._store.rework(table, lambda stored: rows.anti_join(stored, list(table.key)), replaced=lambda _: [])

    def add(self, name: str, rows: ir.Table, note: str = "") -> Written:
        """Add rows whose keys are new, in one commit; `note` is stored with the commit, also if there are no rows."""
        return self._store.write(TABLES[name], rows, replaced=lambda file: False, note=note)

    def extend(self, name: str, rows: Callable[[ir.Table], ir.Table]) -> Written:
        """Add the rows computed from the stored ones, in one commit.

        When another run commits in between, the rows are computed again from what is stored then.
        """
        return self._store.rework(TABLES[name], rows, replaced=lambda _: [])

    def merge(self, name: str, rows: ir.Table) -> Written:
        """Update the rows whose key is in the table and add the others, in one commit.

        If all keys are new, the rows are added in a file of their own, so that the record of a close does not rewrite
        earlier records. Otherwise all files are rewritten as one.
        """
        table = TABLES[name]
        key = list(table.key)

        def merged(stored: ir.Table) -> ir.Table:
            return ibis.union(stored.anti_join(rows, key).select(*table.names), rows.select(*table.names))

        def replaced(files: list[DataFile]) -> list[DataFile]:
            return files if _any(self._store.read(table, files).semi_join(rows, key)) else []

        return self._store.rework(table, merged, replaced, all_read=False)

    def replace(self, name: str, rows: ir.Table, note: str = "") -> Written:
        """Replace all rows of the table in one commit; `note` is stored with the commit."""
        return self._store.write(TABLES[name], rows, replaced=lambda file: True, note=note)

    def correct(self, name: str, rows: ir.Table, gone: ir.Table) -> Written:
        """Update or add `rows` by key and delete the rows with a key in `gone`, in one commit.

        Files without any of these keys stay. `superseded` reads the rows that were deleted or replaced.
        """
        table = TABLES[name]
        key = list(table.key)
        touched = ibis.union(rows.select(key), gone.select(key))

        def replaced(files: list[DataFile]) -> list[DataFile]:
            return [file for file in files if _any(self._store.read(table, [file]).semi_join(touched, key))]

        def corrected(stored: ir.Table) -> ir.Table:
            return ibis.union(stored.anti_join(touched, key).select(*table.names), rows.select(*table.names))

        return self._store.rework(table, corrected, replaced, all_read=False, note=CORRECTED)

    def superseded(self, name: str, since: datetime, version: int | None = None) -> ir.Table | None:
        """The rows that corrections after `since` (UTC) deleted or replaced, as they were; None without any.

        Only corrections up to `version` count; by default, all. Replaced rows are included for tables of events only,
        because rows of other tables change regularly.
        """
        table = TABLES[name]
        key = list(table.key)
        last = self.version(name) if version is None else version
        earlier: ir.Table | None = None
        for commit in reversed(self._store.open(table, last).history()):
            at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).replace(tzinfo=None)
            if commit.get(NOTE) != CORRECTED or at <= since:
                continue
            before, after = self._exchanged(table, commit["version"] - 1, commit["version"])
            rows = before.difference(after) if table.load == "append" else before.anti_join(after, key)
            # If several corrections changed a row, the first one after `since` replaced the row known at `since`.
            earlier = rows if earlier is None else ibis.union(earlier, rows.anti_join(earlier, key))
        return earlier

    def replaced(self, name: str, version: int) -> tuple[ir.Table, ir.Table]:
        """The rows of the files that a commit removed, and of those that it added."""
        return self._exchanged(TABLES[name], version - 1, version)

    def schema_changes(self, name: str) -> list[SchemaChange]:
        """The columns that the table's files lack or have in another type, as an earlier release wrote them.

        Raises:
            TableNotMade: The table was never written.
            LakeError: A later version of this program has written the table.
        """
        return schema_changes(TABLES[name], self._store.open(TABLES[name]))

    def bring_up_to_date(self, name: str) -> None:
        """Rewrite a table of an earlier release with today's columns and types, in one commit."""
        self._store.bring_up_to_date(TABLES[name])

    def opened(self, name: str) -> OpenedTable:
        """The latest version of the table, for reading. Raises TableNotMade when it was never written."""
        return self._store.opened(TABLES[name])

    def delta(self, name: str, version: int | None = None) -> DeltaTable:
        """The Delta table itself, for its upkeep. Raises TableNotMade when it was never written."""
        return self._store.open_anew(TABLES[name], version)

    def files(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system of the lake, without a cache of listings, and the path of the lake's root in it."""
        filesystem, root = fsspec.url_to_fs(self.url, use_listings_cache=False)
        return filesystem, root.rstrip("/")

    def note(self, name: str) -> str:
        """The note of the latest commit that is not upkeep; empty if that commit has none."""
        table = self._store.open(TABLES[name])
        for limit in (1, None):
            written = [each for each in table.history(limit) if each["operation"] not in _UPKEEP]
            if written:
                return written[0].get(NOTE, "")
        return ""

    def written_at(self, name: str) -> tuple[datetime, datetime]:
        """When the table was first and last written (UTC), apart from its upkeep. Raises TableNotMade."""
        written = [each for each in self._store.open(TABLES[name]).history() if each["operation"] not in _UPKEEP]
        last, first = (
            datetime.fromtimestamp(each["timestamp"] / 1000, UTC).replace(tzinfo=None)
            for each in (written[0], written[-1])
        )
        return first, last

    def replace_days(self, name: str, rows: ir.Table, first: date, last: date) -> Written:
        """Replace the rows of the days first..last (inclusive) of a daily table in one commit; other days stay."""
        table = TABLES[name]
        if table.partition == "business_month":
            return self._store.rewrite_months(table, rows, first, last)
        return self._store.write(table, rows, replaced=lambda file: may_hold(table, file, first, last))

    def staged(self, rows: ir.Table) -> AbstractContextManager[ir.Table]:
        """Compute the rows once and store them next to the lake's tables, to read them several times in the block."""
        return self._store.staged(rows)

    def changed_rows(
        self, name: str, since: int, until: int, columns: Sequence[str] | None = None
    ) -> tuple[ir.Table, ir.Table]:
        """The rows that only the version `since` has, and those that only the version `until` has.

        Rows are compared by `columns`, by default all. Raises LakeError when files of a version are gone.
        """
        old, new = (rows.select(*(columns or rows.columns)) for rows in self._exchanged(TABLES[name], since, until))
        return old.difference(new), new.difference(old)

    def _exchanged(self, table: Table, since: int, until: int) -> tuple[ir.Table, ir.Table]:
        """The rows of the files that only the version `since` has, and of those that only the version `until` has."""
        before, after = (self._store.files(table, number) for number in (since, until))
        stayed = {file.path for file in before} & {file.path for file in after}
        old, new = ([file for file in files if file.path not in stayed] for files in (before, after))
        return self._store.read(table, old), self._store.read(table, new)


def _any(rows: ir.Table) -> bool:
    return bool(rows.limit(1).count().to_pyarrow().as_py())
