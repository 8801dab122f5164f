"""The lake as a resource, and the IO manager that passes daily assets as Ibis tables."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir
from pydantic import Field, PrivateAttr

from lending_pipelines.lake import Lake, Written
from lending_pipelines.lake.engines import open_engine
from lending_pipelines.partitions import business_days, first_and_last
from lending_pipelines.register import PeriodLocks
from lending_pipelines.resources.conventions import ConventionsResource
from lending_pipelines.resources.failures import message_first
from lending_pipelines.resources.register import RegisterResource
from lending_pipelines.settings import Settings
from lending_pipelines.tables import TABLES

DAYS_BEFORE = "days_before"
"""The metadata key of an asset's input for the number of days before the run's first day that it includes."""


_DAY = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

DAYS_TAG = "lending/days"
"""The tag of a run with its business dates, such as `2025-03-31` or `2025-03-01 to 2025-03-31`."""


class LakeResource(dg.ConfigurableResource):
    """The lake and its engine, one per run."""

    url: str = Field(default="", description="Folder or object store URL of the lake. Empty: LENDING_LAKE.")
    memory_limit: str = Field(default="6GB", description="Memory that the engine may use before it spills to disk.")

    _lake: Lake = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["LakeResource", None, None]:
        """The resource; it closes its engine when the run ends."""
        _tag_days(context)
        settings = Settings.from_environment()
        url = self.url or settings.lake_url
        engine = open_engine(settings, url, self.memory_limit)
        self._lake = Lake(url, engine)
        try:
            yield self
        finally:
            engine.close()

    @property
    def lake(self) -> Lake:
        """The lake."""
        return self._lake

    def table_or_empty(self, name: str) -> ir.Table:
        """The table, which is empty until a sync writes it."""
        if self._lake.has(name):
            return self._lake.table(name)
        return ibis.memtable(TABLES[name].arrow_schema.empty_table(), schema=TABLES[name].schema)

    def write_days(
        self,
        name: str,
        rows: ir.Table,
        first: date,
        last: date,
        conventions: ConventionsResource,
        register: RegisterResource,
        known_until: datetime | None = None,
        made_from: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Replace the days first..last of a daily table in one commit and record them in closed_days.

        Returns:
            The metadata of the materialization.

        Raises:
            PeriodLocked: A day is in a locked period. Nothing is written.
        """
        require_open(register, first, last)
        self._lake.keep_reported(name, business_days(first, last))
        written = self._lake.replace_days(name, rows, first, last)
        self._lake.record_days(name, business_days(first, last), known_until, conventions.get().stamp(), made_from)
        return self.metadata(name, written)

    def metadata(self, name: str, written: Written) -> dict[str, Any]:
        """The metadata of a materialization: what was written, and where."""
        return {
            "dagster/row_count": written.rows,
            "bytes": written.bytes,
            "delta_version": written.version,
            "seconds": round(written.seconds, 3),
            "dagster/uri": f"{self._lake.url}/{name}",
        }


class LakeIOManager(dg.ConfigurableIOManager):
    """Loads and stores assets of the lake as Ibis tables, for one partition or a range.

    The asset's name is the table's. The run's days are replaced in one commit and recorded in closed_days.
    """

    lake: dg.ResourceDependency[LakeResource]
    conventions: dg.ResourceDependency[ConventionsResource]
    locks: dg.ResourceDependency[RegisterResource]

    _latest: dict[str, datetime | None] = PrivateAttr(default_factory=dict)
    """For each table that was read, the latest posted_at that is not in the future; None without one."""
    _versions: dict[str, int] = PrivateAttr(default_factory=dict)
    """For each table that was read, its Delta version."""

    @message_first
    def handle_output(self, context: dg.OutputContext, obj: ir.Table) -> None:
        """Compute the expression and commit its rows."""
        name = context.asset_key.path[-1]
        if context.has_asset_partitions:
            days = first_and_last(context.asset_partition_key_range)
            metadata = self.lake.write_days(
                name, obj, *days, self.conventions, self.locks, self._known_until(), self._versions
            )
        else:
            metadata = self.lake.metadata(name, self.lake.lake.replace(name, obj))
        context.add_output_metadata(metadata)

    @message_first
    def load_input(self, context: dg.InputContext) -> ir.Table:
        """The upstream table on the run's days, and on the earlier days that the input's metadata requests."""
        name = context.asset_key.path[-1]
        if not context.has_asset_partitions:
            return self.read(name)
        first, last = first_and_last(context.asset_partition_key_range)
        before = timedelta(days=(context.definition_metadata or {}).get(DAYS_BEFORE, 0))
        return self.lake.lake.table(name, first - before, last)

    def read(self, name: str) -> ir.Table:
        """A table without partitions, for an asset that does not always need it as an input.

        Its version is recorded with the days that the run makes.
        """
        self._versions[name] = self.lake.lake.version(name)
        rows = self.lake.lake.table(name, version=self._versions[name])
        self._latest[name] = _latest_posted(rows) if "posted_at" in rows.columns else None
        return rows

    def _known_until(self) -> datetime | None:
        """The latest posted_at of the tables that this run has read so far."""
        return max((at for at in self._latest.values() if at is not None), default=None)


def require_open(register: RegisterResource, first: date, last: date) -> None:
    """Raise PeriodLocked if a day of first..last is in a locked period."""
    with register.register.session() as session:
        PeriodLocks(session).require_open(business_days(first, last))


def _tag_days(context: dg.InitResourceContext) -> None:
    """Tag the run with its business dates, if it has any.

    This is done when the run opens the lake, because that happens however the run was started.
    """
    run, instance = context.run, context.instance
    if run is None or instance is None:
        return
    first = run.tags.get(_RANGE[0], run.tags.get(_DAY))
    last = run.tags.get(_RANGE[1], first)
    if first and last:
        instance.add_run_tags(run.run_id, {DAYS_TAG: first if first == last else f"{first} to {last}"})


def _latest_posted(rows: ir.Table) -> datetime | None:
    """The latest posted_at that is not in the future."""
    now = ibis.literal(datetime.now(UTC).replace(tzinfo=None), "timestamp(6)")
    return rows.posted_at.max(where=rows.posted_at <= now).to_pyarrow().as_py()
