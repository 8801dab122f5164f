"""A day is closed when its tables are made and checked: a run killed between the two leaves its days open."""

import os
from datetime import date

import dagster as dg
import pytest

from lending_pipelines.dead_runs import UNDER_WAY, end_dead_runs
from lending_pipelines.partitions import BUSINESS_DATES
from lending_pipelines.processes import PROCESS_TAG, process_id
from lending_pipelines.register import Register, ReportRequests
from lending_pipelines.settling import settle
from lending_pipelines.unchecked_days import unchecked_days

TABLES = ("loan_positions", "aging_buckets")
MONDAY, TUESDAY = date(2025, 3, 10), date(2025, 3, 11)


def close(instance: dg.DagsterInstance, *days: date, fails: str = "") -> None:
    """Make both tables of the days, then check each. `fails` names the table whose checks do not run."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(name, partitions_def=BUSINESS_DATES) for name in TABLES],
        partitions_def=BUSINESS_DATES,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def tables():
        for name in TABLES:
            yield dg.MaterializeResult(asset_key=name)

    def check(name: str) -> dg.AssetChecksDefinition:
        @dg.multi_asset_check(name=f"{name}_checks", specs=[dg.AssetCheckSpec("sound", asset=name)])
        def evaluate():
            if name == fails:
                raise RuntimeError("the check cannot run")
            yield dg.AssetCheckResult(asset_key=name, check_name="sound", passed=False)

        return evaluate

    definitions = dg.Definitions(
        assets=[tables], asset_checks=[check(name) for name in TABLES], executor=dg.in_process_executor
    )
    tags = {
        "dagster/asset_partition_range_start": str(min(days)),
        "dagster/asset_partition_range_end": str(max(days)),
    }
    job = definitions.resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def test_days_of_a_run_that_is_under_way_are_not_unchecked_until_its_process_is_gone(instance, monkeypatch):
    close(instance, MONDAY, fails="aging_buckets")
    monkeypatch.setattr("lending_pipelines.unchecked_days.is_alive", lambda run: True)
    assert unchecked_days(instance, TABLES) == set()
    monkeypatch.setattr("lending_pipelines.unchecked_days.is_alive", lambda run: False)
    assert unchecked_days(instance, TABLES) == {MONDAY}


@pytest.fixture
def instance():
    with dg.instance_for_test() as made:
        yield made


def test_days_of_a_run_that_came_to_its_checks_are_checked_whatever_they_say(instance):
    close(instance, MONDAY, TUESDAY)

    assert unchecked_days(instance, TABLES) == set()


def test_days_whose_checks_did_not_run_are_found_until_they_are_closed_again(instance):
    close(instance, MONDAY, TUESDAY, fails="aging_buckets")
    assert unchecked_days(instance, TABLES) == {MONDAY, TUESDAY}
    assert unchecked_days(instance, ("loan_positions",)) == set()

    close(instance, TUESDAY)
    assert unchecked_days(instance, TABLES) == {MONDAY}
    close(instance, MONDAY)
    assert unchecked_days(instance, TABLES) == set()


def test_what_a_dead_process_left_is_settled(instance, tmp_path):
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    with register.session() as session:
        report_id = ReportRequests(session).create("portfolio_summary", {}, "csv", "ann")
    runs = {
        pid: instance.create_run_for_job(
            dg.job(name=f"job_{pid}")(lambda: None),
            tags={PROCESS_TAG: process_id(pid)},
            status=dg.DagsterRunStatus.STARTED,
        ).run_id
        for pid in (dead, os.getpid())
    }
    with register.session() as session:
        ReportRequests(session).start(report_id, runs[dead], {})

    settle(instance, register)

    assert [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))] == [runs[os.getpid()]]
    assert [run.run_id for run in end_dead_runs(instance)] == [runs[os.getpid()]]
    with register.session() as session:
        report = ReportRequests(session).get(report_id)
    assert report.status == "failed"
    assert f"its process {process_id(dead)} has ended" in str(report.error_message) or "ended as failure" in str(
        report.error_message
    )
    register.dispose()
