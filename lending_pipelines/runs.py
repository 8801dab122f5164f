"""Runs Dagster jobs from the command line: executed in this process, recorded in DAGSTER_HOME, with progress.

Jobs are defined in jobs.py and assets/; commands are parsed in cli/.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg

from lending_pipelines.assets import closed_days, summarize
from lending_pipelines.assets.housekeeping import plan, policy
from lending_pipelines.assets.run_events import failed_checks, failure_reason
from lending_pipelines.close_summary import CloseSummary, not_closed
from lending_pipelines.definitions import definitions
from lending_pipelines.errors import LendingError
from lending_pipelines.event_log import open_instance, require_usable
from lending_pipelines.housekeeping import Chore, Places
from lending_pipelines.jobs import report_job_name, report_run_config
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import open_engine
from lending_pipelines.partitions import business_days, last_ended_day
from lending_pipelines.processes import PROCESS_TAG, this_process
from lending_pipelines.register import COMMAND_PATIENCE, Register
from lending_pipelines.resources import ConventionsResource
from lending_pipelines.settings import Settings
from lending_pipelines.settling import settle

# Run monitoring stops runs that exceed their maximum time, such as report runs. At the level DEBUG, Dagster would print
# every event of a run in the terminal of `lending ui`. The run's page in the UI shows all of them anyway.
INSTANCE_CONFIG = """\
telemetry: {enabled: false}
nux: {enabled: false}
run_monitoring: {enabled: true}
python_logs: {python_log_level: INFO}
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_POLL_SECONDS = 2.0
_STATUS_MEMORY = "2GB"
# Dagster settings for runs of many days. By default Dagster plans such a run with one event, in its own transaction,
# for each day of each asset; with these, planning takes seconds instead of minutes. In return, the days of a failed run
# are not marked as failed; they keep their earlier status, like the data in the lake.
_RANGES = {"DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true", "DAGSTER_EVENT_BATCH_SIZE": "1000"}

Progress = Callable[[str, float], None]
"""Called for each finished step with its name and seconds."""


class RunFailed(LendingError):
    """A run failed; `trace` is Dagster's record of the errors."""

    def __init__(self, message: str, trace: str):
        super().__init__(message)
        self.trace = trace


@dataclass(frozen=True)
class Finished:
    """A successful run: its id, the seconds of each step, the metadata of each materialized asset, and its warnings."""

    run_id: str
    seconds: dict[str, float]
    metadata: dict[str, dict[str, Any]]
    warnings: list[str]


def instance_home(settings: Settings) -> Path:
    """The folder DAGSTER_HOME, created if needed; by default `dagster` in LENDING_HOME.

    Sets the environment variables that Dagster's processes read. Raises LendingError when the folder cannot be created.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster").absolute()
    os.environ.update({**_RANGES, **os.environ, "DAGSTER_HOME": str(home)})
    try:
        home.mkdir(parents=True, exist_ok=True)
        config = home / "dagster.yaml"
        if not config.exists():
            # Another process may start at the same time: write the content elsewhere and link the complete file, once.
            written = home / f".{uuid4().hex}.yaml"
            written.write_text(INSTANCE_CONFIG, encoding="utf-8")
            with suppress(FileExistsError):
                os.link(written, config)
            written.unlink()
    except OSError as error:
        raise LendingError(f"Dagster's folder cannot be created: {error}; see DAGSTER_HOME and LENDING_HOME") from error
    return home


def run_job(
    name: str,
    run_config: Mapping[str, Any] | None = None,
    days: tuple[date, date] | None = None,
    progress: Progress = lambda step, seconds: None,
    assets: Sequence[str] | None = None,
) -> Finished:
    """Run a job to its end, for a range of business dates if it is partitioned.

    Args:
        name: The job.
        run_config: Its run config.
        days: The first and the last business date.
        progress: Called for each finished step.
        assets: Only these assets of the job; None for all.

    Returns:
        The finished run.

    Raises:
        RunFailed: The run failed.
        LendingError: A day has no partition.
    """
    home = settle_home()
    tags = {PROCESS_TAG: this_process()}
    if days is not None:
        business_days(*days)
        tags |= {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[1].isoformat(),
        }
    run_id = str(uuid4())
    with open_instance(home) as instance, _cancelable(instance, run_id), _reported(instance, run_id, progress):
        result = definitions.resolve_job_def(name).execute_in_process(
            run_config={**_QUIET, **(run_config or {})},
            instance=instance,
            tags=tags,
            run_id=run_id,
            asset_selection=None if assets is None else [dg.AssetKey(asset) for asset in assets],
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


def settle_home() -> Path:
    """Clean up after killed processes of this home (see settling.py). Returns the folder DAGSTER_HOME.

    Raises:
        LendingError: The register or Dagster's storage cannot be used.
    """
    settings = Settings.from_environment()
    home = instance_home(settings)
    register = Register(settings.register_url, COMMAND_PATIENCE)
    try:
        register.upgrade()
        require_usable(home, COMMAND_PATIENCE)
        with open_instance(home) as instance:
            settle(instance, register)
    finally:
        register.dispose()
    return home


def open_days(first: date, last: date) -> list[date]:
    """The days first..last that are not closed: some daily asset of the close was not materialized for them.

    Raises LendingError when a day has no partition.
    """
    days = business_days(first, last)
    with open_instance(instance_home(Settings.from_environment())) as instance:
        closed = closed_days(instance)
    return [day for day in days if day not in closed]


def days_missing(last: date) -> list[date]:
    """The days up to `last` that should be closed and are not. `last` itself is included whenever it is not closed."""
    with open_instance(instance_home(Settings.from_environment())) as instance:
        closed = closed_days(instance)
    return sorted({*not_closed(closed, last), *({last} - closed)})


def thinned_days(first: date, last: date) -> list[date]:
    """The closed days first..last whose positions housekeeping removed."""
    with _opened(Settings.from_environment()) as (_, places):
        return [day for day in places.lake.thinned("loan_positions") if first <= day <= last]


def status_of_closes() -> CloseSummary:
    """The summary of the last closed day, as of now."""
    with _opened(Settings.from_environment()) as (instance, places):
        return summarize(instance, places.lake, places.register, closed_days(instance), last_ended_day())


def housekeeping_plan() -> list[Chore]:
    """What housekeeping would remove now, and why the rest is kept."""
    with _opened(Settings.from_environment()) as (instance, places):
        return plan(instance, places, policy(), ConventionsResource().get())


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[dg.DagsterInstance, Places]]:
    """The Dagster instance and the data of the home, for a command that reads them without a run."""
    settle_home()
    register = Register(settings.register_url, COMMAND_PATIENCE)
    engine = open_engine(settings, settings.lake_url, _STATUS_MEMORY)
    try:
        with open_instance(instance_home(settings)) as instance:
            yield instance, Places(Lake(settings.lake_url, engine), register, settings.exports_url)
    finally:
        engine.close()
        register.dispose()


def cancel_run_of_this_process() -> None:
    """Mark the run that this process is executing as canceled, if there is one: the process is about to end."""
    for instance, run_id in list(_executing):
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "The command was stopped by Ctrl-C.")


_executing: list[tuple[dg.DagsterInstance, str]] = []


@contextmanager
def _cancelable(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Register the run while the block executes it, so that Ctrl-C can mark it as canceled."""
    _executing.append((instance, run_id))
    try:
        yield
    finally:
        _executing.remove((instance, run_id))


@contextmanager
def _reported(instance: dg.DagsterInstance, run_id: str, progress: Progress) -> Iterator[None]:
    """Report each step that ends while the block is executed."""
    ended = threading.Event()
    reported: set[str] = set()

    def report_steps() -> None:
        for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS):
            event = record.get_dagster_event()
            if event.step_key not in reported:
                reported.add(str(event.step_key))
                progress(str(event.step_key), _seconds(event))

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            report_steps()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        report_steps()


def _seconds(event: dg.DagsterEvent) -> float:
    return event.step_success_data.duration_ms / 1000


def _failure(job: str, run_id: str, events: Sequence[dg.DagsterEvent]) -> RunFailed:
    """The error of a failed run, with the reason and Dagster's tracebacks."""
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    traces = "\n".join(error.to_string() for error in errors if error)
    return RunFailed(f"{job}: {failure_reason(events)} (run {run_id})", traces)


def run_report(
    report_type: str,
    parameters: Mapping[str, str],
    output_format: str,
    requested_by: str = "command line",
    notify: Sequence[str] = (),
    progress: Progress = lambda step, seconds: None,
) -> dict[str, Any]:
    """Make a report. Returns the metadata of its materialization, including `file`. Raises LendingError on failure."""
    request = {"output_format": output_format, "requested_by": requested_by, "notify": list(notify)}
    config = report_run_config(report_type, parameters, **request)
    finished = run_job(report_job_name(report_type), config, progress=progress)
    return finished.metadata[report_type]
