"""The lake for reports: each table stays at one Delta version for the whole report."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake, TableVersion
from lending_pipelines.metrics.events import known
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables import TABLES

_CLOSED_DAYS = "closed_days"


class LakeReportSource:
    """A ReportSource over the lake.

    The version of a table is fixed at its first use. Later commits, for example of a close, are not visible. The
    version of closed_days is fixed before the others, so that no day counts that is closed after a table was read.
    """

    def __init__(self, lake: Lake, conventions: Conventions):
        self.lake = lake
        self._conventions = conventions
        self._closed: TableVersion | None = None
        self._versions: dict[str, TableVersion] = {}
        self._tables: dict[str, ir.Table] = {}
        self._days: dict[str, list[date]] = {}

    @property
    def conventions(self) -> Conventions:
        """The conventions of the run."""
        return self._conventions

    def identity(self, name: str) -> TableVersion:
        """The version at which the table is read. Raises TableNotMade if it was never written."""
        if name not in self._versions:
            closed = self._closed_days()
            self._versions[name] = closed if name == _CLOSED_DAYS else self.lake.identity(name)
        return self._versions[name]

    def table(self, name: str) -> ir.Table:
        """The table's rows. Raises TableNotMade if it was never written."""
        if name not in self._tables:
            self._tables[name] = self.lake.table(name, version=self.identity(name).version)
        return self._tables[name]

    def as_known(self, name: str, known_at: datetime, corrected_after: datetime | None = None) -> ir.Table:
        """A servicing table with `posted_at`, as it was known at a past time (UTC).

        Rows posted later are left out. Rows that the source deleted or changed after `corrected_after` have their
        earlier values; by default, `corrected_after` is `known_at`.
        """
        rows = self.table(name)
        superseded = self.lake.superseded(name, corrected_after or known_at, self.identity(name).version)
        if superseded is not None:
            rows = ibis.union(rows.anti_join(superseded, list(TABLES[name].key)), superseded)
        return known(rows, ibis.literal(known_at, "timestamp(6)"))

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows of an expression over these tables in order, in batches as they are computed."""
        return self.lake.engine.batches(rows)

    def staged(self, rows: ir.Table) -> AbstractContextManager[ir.Table]:
        """Compute the rows once, to read them several times within the block."""
        return self.lake.staged(rows)

    def days(self, name: str) -> list[date]:
        """The business dates for which a daily table was made, in order; empty if it was never written."""
        if name not in self._days:
            self._days[name] = self.lake.days(name, *self._made_and_closed(name)) if self._was_made(name) else []
        return list(self._days[name])

    def thinned(self, name: str) -> list[date]:
        """The business dates whose rows housekeeping removed from a daily table, in order."""
        return self.lake.thinned(name, *self._made_and_closed(name)) if self._was_made(name) else []

    def absent(self, name: str, day: date) -> str:
        """Why a daily table has no rows of a day, and the command that computes them."""
        close = f"lending close --from {day} --to {day}"
        if day in self.thinned(name):
            return f"{day} was closed and later thinned: run `{close} --force` to compute it from current data first"
        return f"{day} is not closed: run `{close}` first"

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far."""
        return {name: read.version for name, read in self._versions.items()}

    def as_reported(self, days: Sequence[date]) -> ReportSource:
        """The same source with the days of daily tables as they were first closed.

        Raises LendingError if their reported rows are gone or the days were first closed under different conventions.
        """
        from lending_pipelines.resources.reported_source import ReportedSource

        return ReportedSource(self, days)

    def _was_made(self, name: str) -> bool:
        return name in self._versions or self.lake.has(name)

    def _closed_days(self) -> TableVersion:
        if self._closed is None:
            self._closed = self.lake.identity(_CLOSED_DAYS)
        return self._closed

    def _made_and_closed(self, name: str) -> tuple[int, int]:
        """The versions of a daily table and of closed_days."""
        return self.identity(name).version, self._closed_days().version
