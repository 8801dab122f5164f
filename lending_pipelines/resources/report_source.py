"""The lake as reports see it: every table at one version, from its first reading to the end of the report."""

from contextlib import AbstractContextManager
from datetime import date

import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake


class LakeReportSource:
    """A ReportSource over the lake."""

    def __init__(self, lake: Lake, conventions: Conventions):
        self._lake = lake
        self._conventions = conventions
        self._versions: dict[str, int] = {}

    @property
    def conventions(self) -> Conventions:
        """The conventions of the run."""
        return self._conventions

    def table(self, name: str) -> ir.Table:
        """The table at the version at which it was first read here; TableNotMade when it was never written."""
        if name not in self._versions:
            self._versions[name] = self._lake.version(name)
        return self._lake.table(name, version=self._versions[name])

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows of an expression over these tables as they are computed, in order."""
        return self._lake.engine.batches(rows)

    def staged(self, rows: ir.Table) -> AbstractContextManager[ir.Table]:
        """The rows computed once, for reading them again within a block."""
        return self._lake.staged(rows)

    def days(self, name: str) -> list[date]:
        """The business dates present in a daily table, in order."""
        return self._lake.days(name)

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far."""
        return dict(self._versions)
