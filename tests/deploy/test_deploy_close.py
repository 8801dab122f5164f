"""The close with everything on one PostgreSQL server, as deploy/ has it, makes the same numbers as on SQLite."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
from dagster_postgres import PostgresEventLogStorage
from homes import DAILY_TABLES, DAYS, FIRST, LAST, OPEN, Home, close, fill

from lending_pipelines.runs import open_days, run_report
from lending_pipelines.tables import TABLES

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN_IDS = ("portfolio_id", "investor_id", "scope_id", "name")
"""Columns that hold ids which the register makes up, and names."""


@dataclass(frozen=True)
class PostgresHome(Home):
    """A home whose servicing system, register and Dagster storage are databases of one PostgreSQL server."""

    urls: tuple[str, str, str]

    @property
    def servicing_url(self) -> str:
        return self.urls[0]

    @property
    def register_url(self) -> str:
        return self.urls[1]

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            # The source and the register take a plain URL; Dagster's must name the driver.
            "LENDING_SERVICING_URL": self.servicing_url.replace("+psycopg2", ""),
            "LENDING_REGISTER_URL": self.register_url.replace("+psycopg2", ""),
            "DAGSTER_POSTGRES_URL": self.urls[2],
        }


def comparable(home: Home, table: str) -> pa.Table:
    """The rows of a lake table without OWN_IDS, in the order of all other columns."""
    with home.lake() as lake:
        rows = lake.table(table).select([name for name in TABLES[table].names if name not in OWN_IDS])
        return rows.order_by(rows.columns).to_pyarrow()


def test_the_close_on_postgresql_is_the_close_on_sqlite(closed_home, make_postgres_url, tmp_path, monkeypatch):
    home = PostgresHome(tmp_path / "home", (make_postgres_url(), make_postgres_url(), make_postgres_url()))
    (home.folder / "dagster").mkdir(parents=True)
    shutil.copy(DEPLOY / "dagster.yaml", home.folder / "dagster")

    fill(home)
    close(home)
    home.enter(monkeypatch)
    made = run_report("portfolio_summary", {"as_of": str(LAST)}, "csv")

    assert not list(home.folder.glob("*.db"))
    assert {table: comparable(home, table) for table in DAILY_TABLES} == {
        table: comparable(closed_home, table) for table in DAILY_TABLES
    }
    assert Path(made["file"]).exists()
    assert [request.status for request in home.requests()] == ["completed"]
    assert open_days(FIRST, OPEN) == [OPEN]
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        runs = instance.get_runs(dg.RunsFilter(job_name="daily_close"))
        planned = instance.all_logs(runs[0].run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        # The pool that lets one run at a time read the servicing database is free again.
        pool = instance.event_log_storage.get_concurrency_info("servicing_database")
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
    # Planning costs an event for each asset, not for each of its days.
    assert len(planned) == len({record.get_dagster_event().asset_key for record in planned}) > len(DAILY_TABLES)
    assert len(planned) < len(DAYS) * len(DAILY_TABLES)
    assert (pool.slot_count, pool.active_slot_count) == (1, 0)
