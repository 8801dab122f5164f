"""The command line's event log: Dagster's own files, read by Dagster as before, over connections that stay open."""

import sqlite3
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage

from lending_pipelines.event_log import PooledEventLog, open_instance
from lending_pipelines.runs import INSTANCE_CONFIG

CONNECTIONS = 2
"""Dagster makes a database's tables over a second connection."""


@dg.asset
def one():
    return 1


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text(INSTANCE_CONFIG)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def materialize(instance) -> str:
    return dg.materialize([one], instance=instance).run_id


def test_dagster_1_13_opens_the_event_log_by_the_method_that_is_replaced():
    # Look at event_log.py again, and whether Dagster keeps its connections by now, when this changes.
    assert dg.__version__.startswith("1.13.")
    assert "NullPool" in SqliteEventLogStorage._connect.__wrapped__.__code__.co_names


def events(instance, run_id) -> list[str]:
    return [record.dagster_event.event_type_value for record in instance.all_logs(run_id) if record.is_dagster_event]


def test_dagster_reads_what_was_recorded_and_the_other_way_round(home):
    with open_instance(home) as instance:
        ours = materialize(instance)
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert "ASSET_MATERIALIZATION" in events(instance, ours)
        assert instance.get_latest_materialization_event(dg.AssetKey("one")).run_id == ours
        theirs = materialize(instance)
    with open_instance(home) as instance:
        assert "ASSET_MATERIALIZATION" in events(instance, theirs)
        assert instance.get_latest_materialization_event(dg.AssetKey("one")).run_id == theirs
        assert {run.run_id for run in instance.get_runs()} == {ours, theirs}


def test_a_run_opens_its_event_log_few_times_and_dagster_opens_it_for_every_event(home, monkeypatch):
    opened = []
    connect = sqlite3.connect

    def counted(path, *arguments, **options):
        opened.append(Path(path).name)
        return connect(path, *arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", counted)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    with open_instance(home) as instance:
        assert type(instance.event_log_storage) is PooledEventLog
        opened.clear()
        run_id = materialize(instance)
        assert opened.count(f"{run_id}.db") <= CONNECTIONS
        assert opened.count("index.db") <= CONNECTIONS
    with dg.DagsterInstance.get() as instance:
        opened.clear()
        run_id = materialize(instance)
        assert opened.count(f"{run_id}.db") > 5 * CONNECTIONS


@dg.asset(check_specs=[dg.AssetCheckSpec(f"check_{number}", asset="checked") for number in range(3)])
def checked():
    yield dg.Output(1)
    for number in range(3):
        yield dg.AssetCheckResult(check_name=f"check_{number}", passed=True)


def test_events_stored_together_are_one_commit_of_the_run_s_database_and_one_of_the_index(home):
    commits = []
    with open_instance(home) as instance:
        log = instance.event_log_storage
        run_id = dg.materialize([checked], instance=instance).run_id
        entries = [record.event_log_entry for record in log.get_records_for_run(run_id).records]
        before = events(instance, run_id)
        assert before.count("ASSET_CHECK_EVALUATION") == before.count("ASSET_CHECK_EVALUATION_PLANNED") == 3
        for shard, engine in log._engines.items():
            sa.event.listen(engine, "commit", lambda connection, shard=shard: commits.append(shard))
        # Dagster accepts one evaluation for each planned one.
        log.store_event_batch(
            [each for each in entries if each.dagster_event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION]
        )
        assert commits == [run_id, "index"]
        assert len(events(instance, run_id)) == 2 * len(before) - 3


def test_events_that_cannot_be_stored_together_are_not_stored_at_all(home, monkeypatch):
    with open_instance(home) as instance:
        log = instance.event_log_storage
        run_id = materialize(instance)
        entries = [record.event_log_entry for record in log.get_records_for_run(run_id).records]
        before = events(instance, run_id)
        monkeypatch.setattr(log, "_event_to_row", lambda event: 1 / 0 if event is entries[-1] else row(event))
        row = type(log)._event_to_row.__get__(log)
        with pytest.raises(ZeroDivisionError):
            log.store_event_batch(entries)
        assert events(instance, run_id) == before
        log.store_event(entries[0])
        assert len(events(instance, run_id)) == len(before) + 1


def test_closed_instances_leave_no_connection_open(home):
    with open_instance(home) as instance:
        materialize(instance)
        engines = list(instance.event_log_storage._engines.values())
        assert len(engines) == 2
        assert all(engine.pool.checkedin() for engine in engines)
    assert [engine.pool.checkedin() for engine in engines] == [0] * len(engines)


def test_commits_wait_for_the_disk_at_checkpoints_only(home):
    with open_instance(home) as instance:
        materialize(instance)
        for engine in instance.event_log_storage._engines.values():
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


def test_other_event_logs_are_left_as_they_are(home):
    custom = "event_log_storage: {module: dagster._core.storage.event_log, class: ConsolidatedSqliteEventLogStorage,"
    (home / "dagster.yaml").write_text(f"{INSTANCE_CONFIG}{custom} config: {{base_dir: {home}/events}}}}\n")
    with open_instance(home) as instance:
        assert not isinstance(instance.event_log_storage, SqliteEventLogStorage)
        materialize(instance)
