"""Runs of the same Dagster jobs as the UI's, from the command line: launched here, recorded in DAGSTER_HOME, told as
they go.

What a job does is in jobs.py and assets/. No command is parsed here.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg

from lending_pipelines.assets import closed_days, summarize
from lending_pipelines.assets.run_events import failed_checks, failure_reason
from lending_pipelines.close_summary import CloseSummary
from lending_pipelines.definitions import definitions
from lending_pipelines.errors import LendingError
from lending_pipelines.event_log import open_instance
from lending_pipelines.jobs import PROCESS_TAG, report_job_name, report_run_config
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import open_engine
from lending_pipelines.partitions import business_days, last_ended_day
from lending_pipelines.processes import this_process
from lending_pipelines.register import Register
from lending_pipelines.settings import Settings

# Run monitoring ends runs past their time, as report jobs have one.
INSTANCE_CONFIG = "telemetry: {enabled: false}\nnux: {enabled: false}\nrun_monitoring: {enabled: true}\n"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# So that the UI counts the run among those of its job.
_REPOSITORY_TAG = ".dagster/repository"
_REPOSITORY = "__repository__@lending_pipelines.definitions"
_POLL_SECONDS = 2.0
_STATUS_MEMORY = "2GB"
# Dagster's own switches for runs of many days, which it otherwise plans by an event for each day of each asset, in a
# transaction of its own: seconds of planning instead of minutes. In return a failed run's days are not marked as
# failed; they keep what they had, which is what the lake did.
_RANGES = {"DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true", "DAGSTER_EVENT_BATCH_SIZE": "1000"}

Progress = Callable[[str, float], None]
"""Told of each step that ended: its name and its seconds."""


class RunFailed(LendingError):
    """A run did not succeed; `trace` is what Dagster recorded of it."""

    def __init__(self, message: str, trace: str):
        super().__init__(message)
        self.trace = trace


@dataclass(frozen=True)
class Finished:
    """A run that succeeded: its id, the seconds of each step, the metadata of each asset it materialised."""

    run_id: str
    seconds: dict[str, float]
    metadata: dict[str, dict[str, Any]]
    warnings: list[str]


def instance_home(settings: Settings) -> Path:
    """DAGSTER_HOME, which is made if it is not there: by default the folder dagster in LENDING_HOME.

    What Dagster's processes take from the environment is set. LendingError when the folder cannot be made.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster").absolute()
    os.environ.update({**_RANGES, **os.environ, "DAGSTER_HOME": str(home)})
    try:
        home.mkdir(parents=True, exist_ok=True)
        config = home / "dagster.yaml"
        if not config.exists():
            config.write_text(INSTANCE_CONFIG, encoding="utf-8")
    except OSError as error:
        raise LendingError(f"Dagster's folder cannot be made: {error}; see DAGSTER_HOME and LENDING_HOME") from error
    return home


def run_job(
    name: str,
    run_config: Mapping[str, Any] | None = None,
    days: tuple[date, date] | None = None,
    progress: Progress = lambda step, seconds: None,
) -> Finished:
    """Run a job to its end, for a range of business dates if it is partitioned.

    RunFailed when it does not succeed; LendingError when a day has no partition.
    """
    home = instance_home(Settings.from_environment())
    tags = {_REPOSITORY_TAG: _REPOSITORY, PROCESS_TAG: this_process()}
    if days is not None:
        business_days(*days)
        tags |= {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[1].isoformat(),
        }
    run_id = str(uuid4())
    with open_instance(home) as instance, _reported(instance, run_id, progress):
        result = definitions.resolve_job_def(name).execute_in_process(
            run_config={**_QUIET, **(run_config or {})},
            instance=instance,
            tags=tags,
            run_id=run_id,
            raise_on_error=False,
        )
        if not result.success:
            raise _failure(name, run_id, result.all_events)
        return Finished(
            run_id,
            {str(event.step_key): _seconds(event) for event in result.all_events if event.is_step_success},
            {
                event.asset_key.path[-1]: {key: value.value for key, value in event.materialization.metadata.items()}
                for event in result.all_events
                if event.is_step_materialization and event.asset_key
            },
            failed_checks(result.all_events),
        )


def open_days(first: date, last: date) -> list[date]:
    """The days first..last that are not closed yet: those that some daily asset of the close has not materialised.

    LendingError when one of them has no partition.
    """
    days = business_days(first, last)
    with open_instance(instance_home(Settings.from_environment())) as instance:
        closed = closed_days(instance)
    return [day for day in days if day not in closed]


def status_of_closes() -> CloseSummary:
    """The summary of the last closed day, as things stand now."""
    settings = Settings.from_environment()
    register = Register(settings.register_url)
    register.upgrade()
    engine = open_engine(settings, settings.lake_url, _STATUS_MEMORY)
    try:
        with open_instance(instance_home(settings)) as instance:
            lake = Lake(settings.lake_url, engine)
            return summarize(instance, lake, register, closed_days(instance), last_ended_day())
    finally:
        engine.close()
        register.dispose()


@contextmanager
def _reported(instance: dg.DagsterInstance, run_id: str, progress: Progress) -> Iterator[None]:
    """Tell of every step that ends while the block runs."""
    ended = threading.Event()
    told: set[str] = set()

    def tell() -> None:
        for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS):
            event = record.get_dagster_event()
            if event.step_key not in told:
                told.add(str(event.step_key))
                progress(str(event.step_key), _seconds(event))

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        tell()


def _seconds(event: dg.DagsterEvent) -> float:
    return event.step_success_data.duration_ms / 1000


def _failure(job: str, run_id: str, events: Sequence[dg.DagsterEvent]) -> RunFailed:
    """The error of a run that failed, with the reason and Dagster's traces."""
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    traces = "\n".join(error.to_string() for error in errors if error)
    return RunFailed(f"{job}: {failure_reason(events)} (run {run_id})", traces)


def run_report(
    report_type: str,
    parameters: Mapping[str, str],
    output_format: str,
    requested_by: str = "command line",
    progress: Progress = lambda step, seconds: None,
) -> dict[str, Any]:
    """Make a report; returns the metadata of its materialisation, `file` among it. LendingError when it cannot be."""
    config = report_run_config(report_type, parameters, output_format=output_format, requested_by=requested_by)
    finished = run_job(report_job_name(report_type), config, progress=progress)
    return finished.metadata[report_type]
