"""The sync: copies servicing tables from a source into the lake, all from one snapshot.

Each table is staged on disk, validated (rules.py), compared with the lake (reading.py, changes.py) and committed in one
step. A table that breaks a rule is rejected and keeps its earlier rows in the lake; the other tables are still synced.
A row whose owner does not exist (orphans.py) is rejected; the other rows of its table are committed.
"""

import time
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources.by_loan import MOST_PARTS, read_by_loan
from lending_pipelines.sources.changes import Changes, changes, counts, in_future, listed, warnings
from lending_pipelines.sources.destination import Lake
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.history import ChangesInPlace, Moment, in_force, with_history
from lending_pipelines.sources.orphans import find_orphans
from lending_pipelines.sources.protocol import (
    ComputesTotalsAhead,
    FindsContradictions,
    Reader,
    Source,
    SourceError,
    TotalsByLoan,
)
from lending_pipelines.sources.reading import Reading, read_new, read_whole
from lending_pipelines.sources.results import Preview, SyncError, SyncResult
from lending_pipelines.sources.rules import findings
from lending_pipelines.tables import REQUIRED, Table
from lending_pipelines.tables.references import owners

OVERLAP = timedelta(days=1)
"""How far before the lake's watermark an incremental sync reads again.

A servicing system sets posted_at when its transaction starts, and the row is visible after the commit. Rows committed
late can have an earlier posted_at than rows already read. Rows that were read before are recognised by their key.
"""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the source's clock may be ahead before a timestamp counts as in the future."""

ABSENT, OFFERED = "absent", "offered"
"""Notes of a table's first commit: whether the source had the table."""


def sync_tables(
    source: Source,
    tables: Iterable[Table],
    lake: Lake,
    conventions: Conventions,
    full: bool = False,
    reload: Collection[str] = (),
) -> Generator[tuple[Table, SyncResult | LendingError], None, None]:
    """Sync tables from one snapshot of the source, each by its mode (`table.load`).

    A table with a watermark is read from the lake's watermark less OVERLAP, and months whose totals differ are read
    again. Other tables are read completely. The first sync writes a table even if it is empty.

    Args:
        source: The servicing system.
        tables: The servicing tables, in order.
        lake: The lake.
        conventions: They decide which journal lines are allowed.
        full: Read every table completely.
        reload: Names of tables to read completely and to accept as they are: a table that the source no longer has is
            emptied instead of rejected. `Lake.superseded` still returns the earlier rows.

    Yields:
        Each table with its result, or with the error for which it is rejected: SourceError if it cannot be read,
        SyncError if its rows break a rule. A rejected table keeps its earlier rows.

    Raises:
        SourceError: The source cannot be opened.
    """
    tables = list(tables)
    # Read the versions before the snapshot. Otherwise rows that another sync adds in between would count as gone.
    versions = {table.name: lake.version(table.name) if lake.has(table.name) else None for table in tables}
    # Tables that lost rows or are new in the lake, so that rows of other tables may have lost or gained an owner.
    other_owners: set[str] = set()
    with source.snapshot() as reader:
        if isinstance(reader, ComputesTotalsAhead) and not full:
            reader.compute_totals_ahead(
                table
                for table in tables
                if table.watermark and versions[table.name] is not None and table.name not in {*reload, *reader.absent}
            )
        for table in tables:
            # Only the complete table has the earlier rows whose owner is now gone, or whose owners can now be checked.
            read_all = full or any(parent in other_owners for parent, _ in owners(table.name).values())
            try:
                table_sync = _TableSync(reader, table, lake, versions[table.name], conventions, table.name in reload)
                result = table_sync.run(read_all)
            except (SourceError, SyncError) as error:
                yield table, error
            else:
                if result.rows_removed or versions[table.name] is None:
                    other_owners.add(table.name)
                yield table, result


@contextmanager
def preview_reload(
    source: Source, tables: Iterable[Table], lake: Lake, conventions: Conventions
) -> Generator[list[Preview], None, None]:
    """The changes that a reload would make, without a commit.

    Yields:
        The preview of each table. Its rows can be read inside the `with` block.

    Raises:
        SourceError: The source cannot be opened.
    """
    known: dict[str, ir.Table] = {}
    previews: list[Preview] = []
    with source.snapshot() as reader, lake.engine.scratch() as folder:
        for table in tables:
            version = lake.version(table.name) if lake.has(table.name) else None
            table_sync = _TableSync(reader, table, lake, version, conventions, reload=True)
            try:
                previews.append(table_sync.preview(folder, known))
            except SourceError as error:
                previews.append(Preview(table, error=error))
        yield previews


class _TableSync:
    """The sync of one table from one snapshot."""

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
        """Read, validate and commit the table."""
        if self._name in self._reader.absent:
            return self._absent()
        started = time.monotonic()
        with self._lake.engine.scratch() as folder:
            reading = self._read(folder, full or self._reload)
            if error := self._broken(reading):
                raise error
            reading = self._with_history(reading, folder)
            # A source that changes rows in place adds reversals of rows that are gone.
            if reading.rows_read or isinstance(self._reader, ChangesInPlace):
                reading = reading.without(find_orphans(self._table, reading.rows, self._rows_of))
            diff = changes(self._table, reading, self._lake_rows())
            warned = warnings(self._table, reading, diff)
            version = self._commit(reading, diff)
            contradictions = self._contradictions(self._compared_loans(full or self._reload, reading, diff))
        rows_after = self._lake.table(self._name, version=version) if diff or self._current is None else self._current
        return SyncResult(
            rows_read=reading.rows_read,
            rows_added=diff.rows_added,
            rows_updated=diff.rows_changed,
            rows_removed=diff.rows_gone,
            watermark=self._watermark(rows_after),
            version=version,
            seconds=time.monotonic() - started,
            months_read_again=reading.months,
            loans_read=None if reading.parts is None else len(reading.parts.loans),
            warnings=(*warned, *in_future(self._table, rows_after, self._now), *contradictions),
            notes={**self._reader.notes(self._table), **self._history_note()},
            rejected_rows=reading.orphans.findings if reading.orphans else (),
        )

    def preview(self, folder: str, known: dict[str, ir.Table]) -> Preview:
        """The changes that `run` would make. Nothing is committed.

        `known` has the rows of the tables that were previewed before, to check references to these tables. This method
        adds the rows of its table. If the table would be rejected, they are added only if the lake has no earlier rows.
        """
        if self._name in self._reader.absent:
            self._require_optional()
            [gone] = counts(self._lake_rows())
            return Preview(
                self._table, changes=(f"{gone:,} gone (the source does not have the table)",) if gone else ()
            )
        reading = self._read(folder, full=True)
        error = self._broken(reading)
        reading = reading.without(
            find_orphans(self._table, reading.rows, lambda name: known[name] if name in known else self._rows_of(name))
        )
        if error is None or self._current is None:
            known[self._name] = reading.rows
        return Preview(
            self._table,
            reading.rows,
            () if error else tuple(listed(self._table, changes(self._table, reading, self._lake_rows()))),
            reading.orphans.findings if reading.orphans else (),
            error,
        )

    def _lake_rows(self) -> ir.Table:
        return self._nothing() if self._current is None else self._current

    def _rows_of(self, name: str) -> ir.Table | None:
        return self._lake.table(name) if self._lake.has(name) else None

    def _read(self, folder: str, full: bool) -> Reading:
        if full or self._current is None:
            return read_whole(self._reader, self._table, self._current, self._lake.engine, folder)
        if by_loan := read_by_loan(self._reader, self._table, self._current, self._in_force, self._lake.engine, folder):
            return by_loan
        watermark = self._watermark(self._current)
        if watermark is None:
            return read_whole(self._reader, self._table, self._current, self._lake.engine, folder)
        since = watermark - OVERLAP
        return read_new(self._reader, self._table, self._current, since, self._lake.engine, folder)

    def _in_force(self, rows: ir.Table) -> ir.Table:
        return in_force(self._table, rows) if isinstance(self._reader, ChangesInPlace) else rows

    def _with_history(self, reading: Reading, folder: str) -> Reading:
        """The reading with history, if the source changes rows in place. A reload replaces the history."""
        if not isinstance(self._reader, ChangesInPlace) or self._current is None or self._reload:
            return reading
        moment = Moment(self._now - CLOCK_SKEW, self._lake.written_at(self._name)[1], self._conventions.timezone)
        current = self._current if reading.covered is None else reading.covered
        return with_history(self._reader, self._table, reading, current, moment, self._lake.engine, folder)

    def _contradictions(self, loans: Sequence[str] | None) -> Sequence[str]:
        return (
            self._reader.find_contradictions(self._table, loans)
            if isinstance(self._reader, FindsContradictions)
            else ()
        )

    def _compared_loans(self, full: bool, reading: Reading, diff: Changes) -> Sequence[str] | None:
        """The loans in which contradictions are looked for: those that this sync read; None for all."""
        if reading.parts is not None:
            return reading.parts.loans
        if full or self._current is None or self._name != "loans" or not isinstance(self._reader, TotalsByLoan):
            return None
        ids = ibis.union(diff.added, diff.changed).loan_id.as_table().limit(MOST_PARTS + 1).to_pyarrow()
        return ids["loan_id"].to_pylist() if len(ids) <= MOST_PARTS else None

    def _history_note(self) -> dict[str, str]:
        """The note that says from when on the lake keeps the history, for a source that changes rows in place."""
        if not isinstance(self._reader, ChangesInPlace) or "posted_at" not in self._table.names:
            return {}
        since = self._lake.written_at(self._name)[0]
        return {"reconstructed before": since.isoformat(sep=" ", timespec="seconds")}

    def _broken(self, reading: Reading) -> SyncError | None:
        """The error with every rule that the rows break; None if they break none."""
        current = None if self._reload else self._current
        broken: Sequence[Finding] = reading.unreadable
        if reading.rows_read:
            broken = findings(self._table, reading.rows, current, self._conventions, reading.unreadable)
        if not broken:
            return None
        faults = [f"{self._name}.{finding}" for finding in broken]
        kept = "" if self._current is None else " and keeps its earlier rows"
        return SyncError(f"{self._reader.name}: table {self._name} is rejected{kept}: {'; '.join(faults)}", faults)

    def _commit(self, reading: Reading, diff: Changes) -> int:
        if self._current is None:
            return self._lake.replace(self._name, reading.rows, note=OFFERED).version
        if diff.rows_gone or (diff.rows_changed and (self._reload or self._table.load == "append")):
            return self._lake.correct(self._name, ibis.union(diff.added, diff.changed), diff.gone).version
        if diff:
            write = {"append": self._lake.append, "merge": self._lake.merge, "replace": self._lake.replace}
            # The rows that were read of some loans must not replace the rows of other loans.
            load = "merge" if reading.parts is not None and self._table.load == "replace" else self._table.load
            return write[load](self._name, reading.rows).version
        if self._lake.note(self._name) == ABSENT:
            return self._lake.replace(self._name, reading.rows, note=OFFERED).version
        return self._lake.version(self._name)

    def _absent(self) -> SyncResult:
        """Handle a table that the source lacks: the lake's table is empty.

        It is an error if the table is required, or if an earlier sync read it and this is no reload.
        """
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
