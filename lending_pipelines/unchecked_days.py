"""Days that are not closed because the run that made their tables ended before it evaluated its checks.

A materialization is recorded before the checks of its table run. When the run is killed in between, the tables look
complete, but nothing has checked them.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import dagster as dg

from lending_pipelines.dead_runs import is_alive

_BATCH = 500
_DAY_TAGS = ("dagster/partition", "dagster/asset_partition_range_start")
_OTHER_STATUSES = [status for status in dg.DagsterRunStatus if status is not dg.DagsterRunStatus.SUCCESS]
_CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION
_PLANNED = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_MADE = dg.DagsterEventType.ASSET_MATERIALIZATION


def unchecked_days(instance: dg.DagsterInstance, tables: Sequence[str]) -> set[date]:
    """The days whose latest rows of a table were written by a run that ended before it evaluated its planned checks.

    A run that is under way will still evaluate its checks, so its days are not included.
    """
    return set().union(*unchecked_runs(instance, tables).values())


def unchecked_runs(instance: dg.DagsterInstance, tables: Sequence[str]) -> dict[str, set[date]]:
    """The unchecked days by the run that wrote them."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_OTHER_STATUSES))
    unchecked = {
        run.run_id: _unchecked_tables(instance, run.run_id) for run in runs if _is_of_days(run) and not is_alive(run)
    }
    found: dict[str, set[date]] = defaultdict(set)
    for name in tables:
        run_ids = {run_id for run_id, names in unchecked.items() if name in names}
        for day, run_id in _made_by(instance, name).items() if run_ids else ():
            if run_id in run_ids:
                found[run_id].add(day)
    return found


def _is_of_days(run: dg.DagsterRun) -> bool:
    """Whether the run has business dates."""
    return any(tag in run.tags for tag in _DAY_TAGS)


def _unchecked_tables(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    """The tables of a run with a check that was planned and not evaluated."""
    records = instance.get_records_for_run(run_id, of_type={_CHECKED, _PLANNED}).records
    events = [event for record in records if (event := record.event_log_entry.dagster_event)]
    planned = {event.asset_check_planned_data.asset_check_key for event in events if event.event_type is _PLANNED}
    found = {event.asset_check_evaluation_data.asset_check_key for event in events if event.event_type is _CHECKED}
    return {key.asset_key.path[-1] for key in planned - found}


def _made_by(instance: dg.DagsterInstance, name: str) -> dict[date, str]:
    """For each day of a table: the id of the run that made its latest materialization."""
    key = dg.AssetKey(name)
    latest = list(instance.event_log_storage.get_latest_storage_id_by_partition(key, _MADE).values())
    made: dict[date, str] = {}
    for start in range(0, len(latest), _BATCH):
        wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=latest[start : start + _BATCH])
        for record in instance.fetch_materializations(wanted, limit=_BATCH).records:
            made[date.fromisoformat(str(record.partition_key))] = record.run_id
    return made
