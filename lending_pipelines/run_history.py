"""Prunes Dagster's records: old runs with their events, and old ticks. The state of assets does not change.

`DagsterInstance.delete_run` deletes a run's materializations too, and with them the state of its partitions. Here the
latest materialization of each partition and the latest result of each check are kept, with their ids, times and
metadata. All other events of the run are deleted, then the run itself. This works with every event log that Dagster
keeps in SQL: SQLite, PostgreSQL and MySQL. What is removed from the lake and the exports is in housekeeping/.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)

from lending_pipelines.dead_runs import end_dead_runs
from lending_pipelines.errors import LendingError
from lending_pipelines.housekeeping import Chore
from lending_pipelines.retention import Retention, before
from lending_pipelines.tables import DERIVED
from lending_pipelines.unchecked_days import unchecked_runs

_BATCH = 200
"""The number of runs that one statement deletes."""
_POLL_SECONDS = 15.0
_LOCK_SECONDS = 60.0
_ENDED_TICKS = [TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE]
"""The statuses of ticks that have ended."""
_LOGGER = logging.getLogger(__name__)

_events = SqlEventLogStorageTable.c
_checks = AssetCheckExecutionsTable.c


class RunsUnderWay(LendingError):
    """Other runs did not end within the waiting time, or another run of the same job is under way."""


def history_chores(instance: dg.DagsterInstance, policy: Retention, now: datetime) -> list[Chore]:
    """The chores that remove the runs and ticks that are older than the policy allows."""
    return [*_runs(instance, before(policy.runs_days, now)), *_ticks(instance, before(policy.ticks_days, now))]


def wait_for_other_runs(instance: dg.DagsterInstance, own_run_id: str, job_name: str, seconds: float) -> None:
    """Return when no other run is under way. Runs whose process has ended are marked as failed.

    Raises:
        RunsUnderWay: Another run of the same job is under way, or one is still under way after that many seconds.
    """
    deadline = time.monotonic() + seconds
    while running := _running(instance, own_run_id):
        if same := next((run for run in running if run.job_name == job_name), None):
            raise RunsUnderWay(f"{job_name}: run {same.run_id} is doing it already")
        if time.monotonic() >= deadline:
            listed = ", ".join(f"{run.job_name} {run.run_id}" for run in running)
            raise RunsUnderWay(
                f"{job_name} waited {seconds / 60:.0f} minutes for other runs, which may be writing: {listed}; run it"
                " again when they have ended; if one was killed, end it on its page in the UI"
            )
        time.sleep(min(_POLL_SECONDS, max(deadline - time.monotonic(), 0.01)))


def _running(instance: dg.DagsterInstance, own_run_id: str) -> list[dg.DagsterRun]:
    return [run for run in end_dead_runs(instance) if run.run_id != own_run_id]


def _runs(instance: dg.DagsterInstance, ended_before: datetime | None) -> Iterator[Chore]:
    storage = instance.event_log_storage
    subject = "Dagster's runs with their events"
    if ended_before is None or not isinstance(storage, SqlEventLogStorage):
        why = "every run: the policy keeps all" if ended_before is None else "every run: the event log is not in SQL"
        yield Chore(subject, lambda: None, kept=why)
        return
    old, newest = _old_runs(instance, ended_before)
    rows, size = _measured(storage, old)
    files = _files_of(instance, old)
    yield Chore(
        subject,
        lambda: _prune(instance, storage, old),
        rows=rows + len(old),
        files=len(files),
        bytes=size + sum(file.stat().st_size for file in files),
        detail=f"{len(old):,} runs that ended before {ended_before:%Y-%m-%d %H:%M} UTC",
        kept="the latest materialization of each partition and the latest result of each check"
        + (f"; {newest} old runs that are the latest of their job" if newest else ""),
    )


def _old_runs(instance: dg.DagsterInstance, ended_before: datetime) -> tuple[list[str], int]:
    """The ids of the runs to delete, and the number of old runs that are kept as the latest of their job.

    Runs are old when they ended before that instant. Runs that left days unchecked are kept too.
    """
    jobs: set[str] = set()
    old, newest = [], 0
    # The days of a run that did not check them count as not closed. Without its records, they would seem to be closed.
    unchecked = unchecked_runs(instance, [name for name, table in DERIVED.items() if table.daily])
    for record in instance.get_run_records(dg.RunsFilter(statuses=FINISHED_STATUSES)):
        run = record.dagster_run
        is_newest = run.job_name not in jobs
        jobs.add(run.job_name)
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
        if (ended if ended.tzinfo else ended.replace(tzinfo=UTC)) < ended_before:
            newest += is_newest
            if not is_newest and run.run_id not in unchecked:
                old.append(run.run_id)
    return old, newest


def _batches(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (run_ids[start : start + _BATCH] for start in range(0, len(run_ids), _BATCH))


def _deletable_events(run_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """The condition for the events to delete: those of the runs, except the events that are kept (see the module)."""
    asset_events = (dg.DagsterEventType.ASSET_MATERIALIZATION.value, dg.DagsterEventType.ASSET_OBSERVATION.value)
    latest = (
        sa.select(sa.func.max(_events.id))
        .where(_events.dagster_event_type.in_(asset_events), _events.asset_key.is_not(None))
        .group_by(_events.dagster_event_type, _events.asset_key, _events.partition)
    )
    evaluated = sa.select(_checks.evaluation_event_storage_id).where(
        _checks.id.in_(_latest_checks()), _checks.evaluation_event_storage_id.is_not(None)
    )
    return sa.and_(_events.run_id.in_(run_ids), _events.id.not_in(latest), _events.id.not_in(evaluated))


def _latest_checks() -> sa.Select[Any]:
    """The ids of the latest execution of each check with each status: planned, succeeded and failed."""
    return sa.select(sa.func.max(_checks.id)).group_by(_checks.asset_key, _checks.check_name, _checks.execution_status)


def _measured(storage: SqlEventLogStorage, run_ids: Sequence[str]) -> tuple[int, int]:
    """The number and bytes of the events to delete in the database of asset events."""
    rows = size = 0
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(_events.event)), 0))
    for batch in _batches(run_ids):
        with storage.index_connection() as connection:
            found = connection.execute(counted.where(_deletable_events(batch))).one()
        rows, size = rows + found[0], size + found[1]
    return rows, size


def _prune(instance: dg.DagsterInstance, storage: SqlEventLogStorage, run_ids: Sequence[str]) -> None:
    for batch in _batches(run_ids):
        doomed = _deletable_events(batch)
        with storage.index_connection() as connection:
            ids = sa.select(_events.id).where(doomed)
            connection.execute(sa.delete(AssetEventTagsTable).where(AssetEventTagsTable.c.event_id.in_(ids)))
            connection.execute(sa.delete(SqlEventLogStorageTable).where(doomed))
            connection.execute(
                sa.delete(AssetCheckExecutionsTable).where(
                    _checks.run_id.in_(batch), _checks.id.not_in(_latest_checks())
                )
            )
        for file in _files_of(instance, batch):
            file.unlink(missing_ok=True)
        # Delete the run last: if this process is killed, the next housekeeping deletes the rest of it.
        for run_id in batch:
            shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
            instance.run_storage.delete_run(run_id)
    for connect in (storage.index_connection, *_other_connections(instance)):
        _give_back_space(connect)


def _files_of(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> list[Path]:
    """The files that hold the events of the runs, if each run has its own, and the files with what the runs printed."""
    storage = instance.event_log_storage
    files: list[Path] = []
    for run_id in run_ids:
        if isinstance(storage, SqliteEventLogStorage):
            shard = storage.path_for_shard(run_id)
            files += [Path(f"{shard}{suffix}") for suffix in ("", "-wal", "-shm")]
        files += (Path(instance.storage_directory()) / run_id).rglob("*")
    return [file for file in files if file.is_file()]


def _other_connections(instance: dg.DagsterInstance) -> Iterator[Callable[[], AbstractContextManager[sa.Connection]]]:
    for storage in (instance.run_storage, instance.schedule_storage):
        if connect := getattr(storage, "connect", None):
            yield connect


def _give_back_space(connect: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
    """Return the free pages of a SQLite file to the disk. Other databases do so by themselves."""
    with connect() as connection:
        url = connection.engine.url
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).exists():
        return
    try:
        with closing(sqlite3.connect(url.database, timeout=_LOCK_SECONDS)) as database:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        _LOGGER.warning("%s keeps its free pages until the next housekeeping: %s", url.database, error)


def _ticks(instance: dg.DagsterInstance, older_than: datetime | None) -> Iterator[Chore]:
    if older_than is None:
        return
    at = older_than.timestamp()
    states = instance.all_instigator_state()
    number = sum(
        len(instance.get_ticks(state.instigator_origin_id, state.selector_id, before=at, statuses=_ENDED_TICKS))
        for state in states
    )

    def do() -> None:
        for state in states:
            instance.purge_ticks(state.instigator_origin_id, state.selector_id, at, _ENDED_TICKS)

    yield Chore("Dagster's schedule and sensor ticks", do, rows=number)
