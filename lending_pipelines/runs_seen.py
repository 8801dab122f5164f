"""Runs as Dagster has recorded them, for pages that show and follow them. Nothing is run here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.execution.stats import RunStepKeyStatsSnapshot, StepEventStatus

from lending_pipelines.event_log import open_instance
from lending_pipelines.processes import PROCESS_TAG

_FIRST, _LAST, _DAY = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end", "dagster/partition"
_STATUS = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "failed",
    dg.DagsterRunStatus.QUEUED: "queued",
}


@dataclass(frozen=True)
class RunSeen:
    """A run as pages show it.

    `status` is queued, running, succeeded or failed. `started_at` is UTC. `seconds` counts until now while the run is
    active. `first` and `last` are the run's business dates; empty if it has none.
    """

    run_id: str
    job: str
    status: str
    started_at: datetime | None
    seconds: float | None
    first: str
    last: str


@dataclass(frozen=True)
class StepSeen:
    """A step of a run: `seconds` is None while it runs."""

    name: str
    status: str
    seconds: float | None


@dataclass(frozen=True)
class RunProgress:
    """A run and its steps in the order of their start; `planned` is the number of all of them."""

    run: RunSeen
    steps: tuple[StepSeen, ...]
    planned: int

    @property
    def done(self) -> int:
        """The number of steps that ended."""
        return sum(step.status != "running" for step in self.steps)


def recent_runs(home: Path, limit: int) -> list[RunSeen]:
    """The latest runs of a DAGSTER_HOME; empty when nothing was run there yet."""
    with _instance(home) as instance:
        return [_seen(record) for record in instance.get_run_records(limit=limit)] if instance else []


def runs_of_process(home: Path, process: str) -> list[RunProgress]:
    """The runs that a process executes or has executed, the earliest first."""
    with _instance(home) as instance:
        if instance is None:
            return []
        records = instance.get_run_records(dg.RunsFilter(tags={PROCESS_TAG: process}))
        return [_progress(instance, record) for record in reversed(records)]


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance | None]:
    if not (home / "dagster.yaml").exists():
        yield None
        return
    with open_instance(home) as instance:
        yield instance


def _seen(record: dg.RunRecord) -> RunSeen:
    run = record.dagster_run
    started = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else datetime.now(UTC)
    first, last = (run.tags.get(tag, run.tags.get(_DAY, "")) for tag in (_FIRST, _LAST))
    return RunSeen(
        run.run_id,
        run.job_name,
        _STATUS.get(run.status, "running"),
        started,
        (ended - started).total_seconds() if started else None,
        first,
        last,
    )


def _progress(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunProgress:
    run = record.dagster_run
    steps = sorted(instance.get_run_step_stats(run.run_id), key=lambda step: step.start_time or 0)
    plan_id = run.execution_plan_snapshot_id
    plan = instance.get_execution_plan_snapshot(plan_id) if plan_id else None
    seen = tuple(_step(step) for step in steps)
    return RunProgress(_seen(record), seen, len(plan.step_keys_to_execute) if plan else len(steps))


def _step(step: RunStepKeyStatsSnapshot) -> StepSeen:
    if step.end_time is None:
        return StepSeen(step.step_key, "running", None)
    status = "succeeded" if step.status is StepEventStatus.SUCCESS else "failed"
    return StepSeen(step.step_key, status, step.end_time - step.start_time if step.start_time else None)
