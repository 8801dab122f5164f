"""Pruning Dagster's records on SQLite and PostgreSQL: runs and events go, what is materialized stays."""

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from lending_pipelines import run_history
from lending_pipelines.event_log import open_instance
from lending_pipelines.retention import Retention
from lending_pipelines.run_history import RunsUnderWay, history_chores, wait_for_other_runs
from lending_pipelines.runs import INSTANCE_CONFIG

DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-02-01")
LATER = datetime.now(UTC) + timedelta(days=100)
"""When the runs of the test are older than the policy keeps them."""


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def positions(context: dg.AssetExecutionContext):
    context.log_event(dg.AssetObservation("positions", partition=context.partition_keys[0], metadata={"seen": 1}))
    return dg.MaterializeResult(metadata={"rows": len(context.partition_keys), "first": context.partition_keys[0]})


@dg.asset
def register():
    return dg.MaterializeResult(metadata={"rows": 7})


@dg.asset_check(asset=positions)
def balanced(context: dg.AssetCheckExecutionContext):
    return dg.AssetCheckResult(passed=context.run.tags.get("bad") is None, metadata={"n": 1})


@dg.op
def fails():
    raise ValueError("as the test wants")


@dg.job
def failing():
    fails()


DEFINITIONS = dg.Definitions(
    assets=[positions, register], asset_checks=[balanced], jobs=[dg.define_asset_job("close", "*"), failing]
)


def make_history(folder, config):
    """The runs of the history, made in an instance in the folder."""
    (folder / "dagster.yaml").write_text(config)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DAGSTER_HOME", str(folder))
        with open_instance(folder) as opened:
            return close_month(opened)


def on_postgresql(url):
    return INSTANCE_CONFIG + f"storage: {{postgres: {{postgres_url: '{url}'}}}}\n"


@pytest.fixture(scope="module")
def sqlite_history(tmp_path_factory):
    """The history in SQLite: the folder of its instance and its runs. Tests take a copy."""
    folder = tmp_path_factory.mktemp("history")
    return folder, make_history(folder, INSTANCE_CONFIG)


@pytest.fixture(scope="module")
def postgresql_history(postgres_server, tmp_path_factory):
    """The history in PostgreSQL: the folder of its instance, its runs, and its database. Tests take copies."""
    folder, database = tmp_path_factory.mktemp("history"), "history"
    with postgres_server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {database}")
    url = postgres_server.url.set(database=database).render_as_string(hide_password=False)
    return folder, make_history(folder, on_postgresql(url)), database


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(request, tmp_path, monkeypatch):
    database = []
    if "history" in request.fixturenames:
        folder, _, *database = request.getfixturevalue(f"{request.param}_history")
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = INSTANCE_CONFIG
    if request.param == "postgresql":
        config = on_postgresql(request.getfixturevalue("make_postgres_url")(*database))
    (tmp_path / "dagster.yaml").write_text(config)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance(tmp_path) as opened:
        yield opened


@pytest.fixture
def history(request, instance):
    """The runs of the history, in the instance."""
    return request.getfixturevalue(f"{request.node.callspec.params['instance']}_history")[1]


def close(instance, first, last, **tags):
    job = DEFINITIONS.resolve_job_def("close")
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return job.execute_in_process(instance=instance, tags={**days, **tags}, raise_on_error=False).run_id


def close_month(instance):
    """A month closed, two of its days closed again, a failed run, and an old and a new latest run."""
    runs = [close(instance, f"2025-01-{day:02}", f"2025-01-{day:02}", bad="1") for day in (1, 2, 3)]
    runs.append(close(instance, "2025-01-04", "2025-01-10"))
    runs.append(close(instance, "2025-01-02", "2025-01-03"))
    runs.append(
        DEFINITIONS.resolve_job_def("failing").execute_in_process(instance=instance, raise_on_error=False).run_id
    )
    runs.append(
        DEFINITIONS.resolve_job_def("failing").execute_in_process(instance=instance, raise_on_error=False).run_id
    )
    return runs


def materialized(instance):
    """What Dagster knows of each partition: its latest event's id, time, run and metadata."""
    found = {}
    for asset in ("positions", "register"):
        key = dg.AssetKey(asset)
        found[asset] = sorted(instance.get_materialized_partitions(key))
        for partition in found[asset] or [None]:
            only = [partition] if partition else None
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, asset_partitions=only), limit=1
            ).records
            entry = records[0].event_log_entry
            found[asset, partition] = (
                records[0].storage_id,
                entry.timestamp,
                entry.run_id,
                {name: value.value for name, value in records[0].asset_materialization.metadata.items()},
            )
    return found


def checked(instance):
    key = dg.AssetCheckKey(dg.AssetKey("positions"), "balanced")
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    return latest.id, latest.status, latest.evaluation.passed, latest.run_id


def events(instance):
    with instance.event_log_storage.index_connection() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(SqlEventLogStorageTable)).scalar()


def prune(instance, now=LATER, **policy):
    chores = history_chores(instance, Retention(**policy), now)
    for chore in chores:
        if chore.is_due:
            chore.do()
    return chores


def test_what_is_materialized_and_checked_stays(instance, history):
    before, result, number = materialized(instance), checked(instance), events(instance)
    assert before["positions"] == [f"2025-01-{day:02}" for day in range(1, 11)]
    prune(instance)
    assert materialized(instance) == before
    assert checked(instance) == result
    # 10 days and the asset without partitions, their latest observations, and the latest runs' own events.
    assert events(instance) < number
    asset = instance.get_latest_materialization_event(dg.AssetKey("positions"))
    assert asset.run_id == history[4]


def test_runs_and_their_files_go_and_the_latest_of_each_job_stays(instance, history):
    chores = prune(instance)
    assert {run.run_id for run in instance.get_runs()} == {history[4], history[6]}
    assert chores[0].detail.startswith("5 runs that ended before")
    assert "2 old runs that are the latest of their job" in chores[0].kept
    for run_id in history[:4]:
        assert not any(run_id in path.name for path in Path(instance.root_directory).rglob("*"))
    # The latest run is whole.
    assert any(record.is_dagster_event for record in instance.all_logs(history[4]))


def test_a_day_that_was_closed_twice_keeps_its_last_event_alone(instance, history):
    prune(instance)
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("positions"), asset_partitions=["2025-01-02"])
    assert len(instance.fetch_materializations(wanted, limit=10).records) == 1


def test_young_runs_stay(instance, history):
    before = events(instance)
    chores = prune(instance, now=datetime.now(UTC))
    assert not any(chore.is_due for chore in chores)
    assert len(instance.get_runs()) == len(history)
    assert events(instance) == before


def test_a_policy_of_forever_keeps_every_run(instance, history):
    prune(instance, runs_days="forever")
    assert len(instance.get_runs()) == len(history)


def test_pruning_twice_changes_nothing_more(instance, history):
    prune(instance)
    before, number = materialized(instance), events(instance)
    chores = prune(instance)
    assert not chores[0].is_due
    assert (materialized(instance), events(instance)) == (before, number)


def test_closing_goes_on_after_pruning(instance, history):
    prune(instance)
    close(instance, "2025-01-11", "2025-01-11")
    assert len(instance.get_materialized_partitions(dg.AssetKey("positions"))) == 11
    prune(instance)
    assert len(instance.get_materialized_partitions(dg.AssetKey("positions"))) == 11


def test_an_interrupted_prune_is_finished_by_the_next(instance, history, monkeypatch):
    before = materialized(instance)

    def killed(run_id):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instance.run_storage, "delete_run", killed, raising=False)
        with pytest.raises(KeyboardInterrupt):
            prune(instance)
    assert materialized(instance) == before
    prune(instance)
    assert len(instance.get_runs()) == 2
    assert materialized(instance) == before


def test_old_ticks_go_and_young_ones_stay(instance):
    code = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("lender"), "__repository__")
    origin = RemoteInstigatorOrigin(code, "daily_close_schedule")
    selector = origin.get_selector().get_id()
    schedule = ScheduleInstigatorData("0 1 * * *")
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, schedule)
    instance.add_instigator_state(state)
    now = datetime.now(UTC)
    for days_ago, status in ((40, TickStatus.SUCCESS), (31, TickStatus.SKIPPED), (29, TickStatus.SUCCESS)):
        at = (now - timedelta(days=days_ago)).timestamp()
        instance.create_tick(
            TickData(origin.get_id(), state.name, InstigatorType.SCHEDULE, status, at, [], [], selector_id=selector)
        )
    [chore] = [chore for chore in prune(instance, now) if "ticks" in chore.subject]
    assert chore.rows == 2
    assert [tick.timestamp for tick in instance.get_ticks(origin.get_id(), selector)] == [at]


def test_sqlite_files_give_their_space_back(instance, history):
    index = Path(instance.root_directory) / "history" / "runs" / "index.db"
    if not index.exists():
        pytest.skip("PostgreSQL frees its own space")
    prune(instance)
    with sqlite3.connect(index) as database:
        assert database.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_a_run_names_the_other_run_of_its_job(instance, monkeypatch):
    others = [dg.DagsterRun("daily_close"), dg.DagsterRun("housekeeping")]
    monkeypatch.setattr(run_history, "end_dead_runs", lambda instance: others)
    with pytest.raises(RunsUnderWay, match=f"housekeeping: run {others[1].run_id} is doing it already"):
        wait_for_other_runs(instance, "own", "housekeeping", 0)
    with pytest.raises(RunsUnderWay, match=f"daily_close {others[0].run_id}, housekeeping {others[1].run_id}"):
        wait_for_other_runs(instance, "own", "sync", 0)
