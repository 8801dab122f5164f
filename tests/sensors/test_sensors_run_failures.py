"""Admins are notified of a run that failed, once, with this package's message first and a link to the log."""

import dagster as dg
import pytest
import sqlalchemy as sa

from lending_pipelines.definitions import definitions
from lending_pipelines.errors import LendingError
from lending_pipelines.register import Notifications
from lending_pipelines.register.models import Notification
from lending_pipelines.resources import message_first
from lending_pipelines.resources.lake import DAYS_TAG
from lending_pipelines.sensors import run_failures

REASON = "table loans is rejected and keeps its earlier rows: loans.currency: 1 rows have no value (loan_id=L1)"


@dg.op
@message_first
def fails():
    raise LendingError(REASON)


@dg.job
def daily_close():
    fails()


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, run: dg.ExecuteInProcessResult) -> None:
    """Evaluate the sensor on the failure of a run, as the daemon does."""
    with dg.build_run_status_sensor_context(
        "run_failures",
        run.get_run_failure_event(),
        instance,
        run.dagster_run,
        resources={"register": definitions.resources["register"]},
    ) as context:
        run_failures(context.for_run_failure())


def failed_run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return daily_close.execute_in_process(instance=instance, raise_on_error=False, tags={DAYS_TAG: "2025-03-31"})


def notifications(home) -> list[Notification]:
    with home.register() as session:
        return Notifications(session).recent()


def test_each_admin_is_notified_once_with_the_reason_and_a_link(empty_home, instance, monkeypatch):
    monkeypatch.setenv("LENDING_ALERT_ADMINS", "ann@lender.example, team:data")
    monkeypatch.setenv("LENDING_UI_URL", "https://dagster.lender.example/")
    run = failed_run(instance)
    tick(instance, run)
    # The daemon was ended after the notifications were made, and repeats the failure.
    tick(instance, run)

    made = notifications(empty_home)
    assert {each.recipient for each in made} == {"ann@lender.example", "team:data"}
    assert len(made) == 2
    first = made[0]
    link = f"https://dagster.lender.example/runs/{run.run_id}"
    assert (first.notification_type, first.priority, first.action_required) == ("run_failed", "high", True)
    assert first.subject == f"daily_close of 2025-03-31 failed: {REASON}"
    assert first.body.splitlines()[0] == REASON
    assert f"Log: {link}" in first.body
    assert first.alert_data == {"run_id": run.run_id, "job": "daily_close", "days": "2025-03-31", "link": link}

    tick(instance, failed_run(instance))
    assert len(notifications(empty_home)) == 4


def test_without_the_address_of_the_ui_the_run_is_named(empty_home, instance):
    run = failed_run(instance)
    tick(instance, run)
    (made,) = notifications(empty_home)
    assert made.recipient == "team:risk"
    assert f"Log: run {run.run_id} in the UI, with `lending ui`" in made.body


def test_a_long_reason_is_cut_in_the_subject_only(empty_home, instance, monkeypatch):
    monkeypatch.setattr(f"{__name__}.REASON", "xxx " * 100)
    tick(instance, failed_run(instance))
    with empty_home.register() as session:
        (made,) = session.scalars(sa.select(Notification))
    assert made.subject.endswith("…")
    assert len(made.subject) < 180
    assert made.body.startswith("xxx " * 99)
