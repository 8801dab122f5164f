"""Rows of the register's `reports`: every pending one becomes one run, and none is generating for ever."""

from pathlib import Path

import dagster as dg
import pytest
from homes import LAST

from lending_pipelines.definitions import definitions
from lending_pipelines.register import Notifications, ReportRequests
from lending_pipelines.sensors import report_requests
from lending_pipelines.sensors.report_requests import REPORT_TAG

KILLED = """
import os, signal
from lending_pipelines.exports import export as exporting
from lending_pipelines.assets import reports

def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

reports.export = killed
from lending_pipelines.runs import run_report
run_report("trial_balance", {}, "csv")
"""


def ask(home, report_type="trial_balance", parameters=None, output_format="csv"):
    with home.register() as session:
        return ReportRequests(session).create(report_type, parameters or {}, output_format, "ann")


def row(home, report_id):
    with home.register() as session:
        return ReportRequests(session).get(report_id)


def again(home, report_id):
    with home.register() as session:
        ReportRequests(session).retry(report_id)


@pytest.fixture
def tick(home):
    """Evaluates the sensor once; the run requests."""

    def evaluate(instance):
        register = {"register": definitions.resources["register"]}
        with dg.build_sensor_context(
            instance, repository_def=definitions.get_repository_def(), resources=register
        ) as context:
            return report_requests.evaluate_tick(context).run_requests or []

    return evaluate


def run(instance, request):
    job = definitions.resolve_job_def(request.job_name)
    return job.execute_in_process(request.run_config, instance, tags=request.tags, raise_on_error=False)


def test_a_pending_row_is_one_run_and_completes(home, tick):
    report_id = ask(home, parameters={"as_of": LAST.isoformat()})
    with dg.DagsterInstance.get() as instance:
        (request,) = tick(instance)
        (repeated,) = tick(instance)
        done = run(instance, request)

        assert tick(instance) == []
    # Dagster starts one run for a key, however often it is asked for.
    assert request.run_key == repeated.run_key == report_id
    made = row(home, report_id)
    assert (made.status, made.run_id, made.requested_by) == ("completed", done.run_id, "ann")
    period = {"period": "current_month"} | dict.fromkeys(("month", "quarter", "year", "from_date", "to_date"), "unset")
    assert made.parameters == {"as_of": LAST.isoformat(), "known_at": "now", "book": "as_closed"} | period
    assert Path(made.file_url).suffix == ".csv"


@pytest.mark.parametrize(
    ("report_type", "parameters", "reason"),
    [
        ("trail_balance", {}, "unknown report 'trail_balance'; did you mean 'trial_balance'?"),
        ("trial_balance", {"as_off": "latest"}, "unknown parameter as_off; did you mean 'as_of'?"),
        ("trial_balance", {"as_of": "March"}, "write a date like 2025-01-31, or latest"),
        ("trial_balance", ["latest"], 'parameters are [\'latest\']: write a JSON object like {"as_of": "latest"}'),
    ],
)
def test_a_row_that_cannot_be_run_fails_at_once_and_holds_up_no_other(home, tick, report_type, parameters, reason):
    wrong, right = ask(home, report_type, parameters), ask(home)
    with dg.DagsterInstance.get() as instance:
        assert [request.run_key for request in tick(instance)] == [right]
    assert row(home, wrong).status == "failed"
    assert reason in row(home, wrong).error_message


@pytest.mark.parametrize(
    ("notify", "told"), [("ann@lender.example", set()), (["ann@lender.example", 7], {"ann@lender.example"})]
)
def test_a_row_whose_recipients_are_no_list_of_texts_fails_at_once(home, tick, notify, told):
    report_id = ask(home)
    with home.register() as session:
        ReportRequests(session).get(report_id).notify = notify
    with dg.DagsterInstance.get() as instance:
        assert tick(instance) == []
    assert (row(home, report_id).status, row(home, report_id).error_message) == (
        "failed",
        f"report trial_balance: notify is {notify!r}: write a JSON list of email addresses",
    )
    with home.register() as session:
        recipients = {each.recipient for each in Notifications(session).recent(notification_type="report_failed")}
    assert recipients == told


def test_a_failed_request_can_be_asked_again_and_is_another_run(home, tick):
    report_id = ask(home, parameters={"as_of": "2031-01-31"})
    with dg.DagsterInstance.get() as instance:
        (request,) = tick(instance)
        failed = run(instance, request)
        assert (row(home, report_id).status, row(home, report_id).run_id) == ("failed", failed.run_id)
        assert "has no 2031-01-31" in row(home, report_id).error_message

        again(home, report_id)
        (second,) = tick(instance)
        assert second.run_key not in (None, request.run_key)
        run(instance, second)
    assert row(home, report_id).run_id != failed.run_id


def test_a_run_that_is_killed_leaves_a_failed_row(home, tick):
    home.killed(KILLED)
    (left,) = home.requests()
    assert left.status == "generating"

    with dg.DagsterInstance.get() as instance:
        assert tick(instance) == []
        assert instance.get_run_by_id(left.run_id).status == dg.DagsterRunStatus.FAILURE
    settled = row(home, left.report_id)
    assert settled.status == "failed"
    assert f"run {left.run_id} died" in settled.error_message


@pytest.mark.parametrize("started", [True, False])
def test_a_run_that_ends_without_a_word_leaves_its_reason(home, tick, started):
    """As when a run launcher or the daemon's monitoring finds it dead, before or after it began to generate."""
    report_id = ask(home)
    with dg.DagsterInstance.get() as instance:
        (request,) = tick(instance)
        job = definitions.resolve_job_def(request.job_name)
        created = instance.create_run_for_job(job, run_config=request.run_config, tags={REPORT_TAG: report_id})
        if started:
            with home.register() as session:
                ReportRequests(session).start(report_id, created.run_id, {})
        assert tick(instance) == ([] if started else [request])
        instance.report_run_failed(created, "The machine went away.")

        assert tick(instance) == []
        found = row(home, report_id)
        assert (found.status, found.run_id) == ("failed", created.run_id)
        assert "The machine went away." in found.error_message

        again(home, report_id)
        (second,) = tick(instance)
        assert second.run_key != request.run_key


def test_a_deleted_run_leaves_a_failed_row(home, tick):
    report_id = ask(home)
    with home.register() as session:
        ReportRequests(session).start(report_id, "gone", {})
    with dg.DagsterInstance.get() as instance:
        tick(instance)
    assert (row(home, report_id).status, row(home, report_id).error_message) == ("failed", "run gone was deleted")
