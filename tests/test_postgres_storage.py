"""Dagster's storage in PostgreSQL over one connection that stays open: the tables are Dagster's own."""

import shutil
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_postgres import DagsterPostgresStorage

from lending_pipelines.event_log import open_instance
from lending_pipelines.postgres_storage import KEPT_CONNECTIONS

DEPLOY = Path(__file__).parents[1] / "deploy" / "dagster.yaml"
PLAIN = "storage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_POSTGRES_URL\n"


@dg.asset
def one():
    return 1


@pytest.fixture
def home(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    shutil.copy(DEPLOY, tmp_path / "dagster.yaml")
    return tmp_path


@pytest.fixture
def connections(monkeypatch):
    """The number of connections that were opened, under `opened`."""
    counted = Counter()

    def count(connection, record):
        counted["opened"] += 1

    sa.event.listen(sa.Pool, "connect", count)
    yield counted
    sa.event.remove(sa.Pool, "connect", count)


@pytest.fixture
def sessions(postgres_server, postgres_url):
    """Says how many sessions the server has in Dagster's database; `end` ends them."""
    database = sa.make_url(postgres_url).database

    def count(end: bool = False) -> int:
        # The server ends a session some time after it is told to. This waits for that, for 20 seconds at most.
        said = "count(*) FILTER (WHERE pg_terminate_backend(pid, 20000))" if end else "count(*)"
        with postgres_server.connect() as connection:
            query = sa.text(f"SELECT {said} FROM pg_stat_activity WHERE datname = :database")
            return connection.execute(query, {"database": database}).scalar_one()

    return count


def kinds(instance, run_id: str) -> list[str]:
    return [record.dagster_event.event_type_value for record in instance.all_logs(run_id) if record.is_dagster_event]


def test_dagster_postgres_opens_a_connection_for_each_use():
    # Look at postgres_storage.py again, and whether dagster-postgres keeps its connections by now, when this changes.
    assert dg.__version__.startswith("1.13.")
    assert (
        "NullPool" in DagsterPostgresStorage.__init__.__globals__["PostgresEventLogStorage"].__init__.__code__.co_names
    )


@pytest.mark.parametrize("config", [DEPLOY.read_text(), PLAIN], ids=["deploy", "plain"])
def test_a_command_opens_few_connections(home, connections, config):
    (home / "dagster.yaml").write_text(config)
    with open_instance(home) as instance:
        before = connections["opened"]
        run = dg.materialize([one], instance=instance)

        assert connections["opened"] - before <= KEPT_CONNECTIONS
        assert "ASSET_MATERIALIZATION" in kinds(instance, run.run_id)


def test_dagster_reads_what_was_recorded_and_the_other_way_round(home, connections):
    with open_instance(home) as instance:
        ours = dg.materialize([one], instance=instance).run_id
    (home / "dagster.yaml").write_text(PLAIN)
    with dg.DagsterInstance.get() as instance:
        assert "ASSET_MATERIALIZATION" in kinds(instance, ours)
        before = connections["opened"]
        theirs = dg.materialize([one], instance=instance).run_id
        assert connections["opened"] - before > 20
    with open_instance(home) as instance:
        assert kinds(instance, theirs) == kinds(instance, ours)
        assert {run.run_id for run in instance.get_runs()} == {ours, theirs}


def test_a_connection_that_the_server_closed_is_opened_again(home, sessions):
    with open_instance(home) as instance:
        first = dg.materialize([one], instance=instance).run_id
        assert sessions(end=True) > 0
        second = dg.materialize([one], instance=instance).run_id

        assert kinds(instance, second) == kinds(instance, first)


def test_instances_of_deploy_open_few_connections_and_leave_none(home, connections, sessions):
    """The code server opens an instance for each tick of a sensor, as dagster.yaml says."""
    for _ in range(10):
        with dg.DagsterInstance.get() as instance:
            before = connections["opened"]
            # Dagster's own storage opens a connection for each.
            for _ in range(KEPT_CONNECTIONS + 1):
                assert instance.get_runs() == []
            assert connections["opened"] - before <= KEPT_CONNECTIONS

    # The server ends a session shortly after its connection is closed.
    deadline = time.monotonic() + 20
    while sessions() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sessions() == 0
