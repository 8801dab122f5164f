"""The sensor that delivers tapes: what is ready, what waits and why, what a run that died leaves, what is corrected."""

import hashlib
import re
from datetime import date

import dagster as dg
import pytest
from delivering import Daemon, configured, deliveries, told
from homes import DAILY_TABLES, LAST, MONTHLY_TAPE, OPEN, YEARLY_TAPE, materialise

from lending_pipelines.definitions import definitions
from lending_pipelines.delivery import EmailChannel, PlaceChannel
from lending_pipelines.jobs import deliver_run_config
from lending_pipelines.partitions import BUSINESS_DATES
from lending_pipelines.runs import RunFailed, run_job

MONTH_END = date(2025, 2, 28)
TAPE = f"consumer-monthly_{MONTH_END}.csv"

KILLED = """
import os, signal
from lending_pipelines.delivery import PlaceChannel
from lending_pipelines.jobs import deliver_run_config
from lending_pipelines.runs import run_job
from datetime import date

def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

PlaceChannel.deliver = killed
run_job("deliver_tape", deliver_run_config("Consumer monthly", date(2025, 2, 28), failed=True))
"""


@pytest.fixture
def daemon(monkeypatch):
    return Daemon(monkeypatch).at("2025-03-15 02:00")


@pytest.fixture
def inbox(home, tmp_path):
    """The folder that the monthly tape goes to."""
    folder = tmp_path / "inbox"
    configured(home, MONTHLY_TAPE, delivery_url=str(folder), deliver_from=date(2025, 2, 12))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_tape_that_is_due_is_delivered_once_with_a_receipt(home, daemon, inbox):
    assert daemon.tick() == [True]
    assert daemon.tick() == []

    assert names(inbox) == [TAPE, f"{TAPE}.manifest.json"]
    (delivery,) = deliveries(home)
    assert (delivery.business_date, delivery.status, delivery.channel) == (MONTH_END, "delivered", "place")
    assert delivery.sha256 == hashlib.sha256((inbox / TAPE).read_bytes()).hexdigest()
    assert (delivery.rows, delivery.attempts, delivery.correction) == (40, 1, 0)
    ((subject, body),) = told(home, "tape_delivered")
    assert subject == "Loan tape Consumer monthly of 2025-02-28 delivered"
    assert delivery.sha256 in body


def test_tapes_before_deliver_from_and_tapes_without_a_destination_are_not_delivered(home, daemon, inbox):
    configured(home, MONTHLY_TAPE, deliver_from=date(2025, 3, 1))
    assert daemon.tick() == []
    assert deliveries(home) == []


def test_a_tape_that_cannot_be_judged_does_not_stop_another(home, daemon, inbox, monkeypatch):
    # Saved by an earlier release, or by hand: the command refuses both settings.
    monkeypatch.setenv("LENDING_START_DATE", "2025-02-01")
    configured(home, YEARLY_TAPE, delivery_url=str(inbox), deliver_from=date(1, 1, 1), late_after_hours=100_000_000)
    assert daemon.tick() == [True, True]
    assert {each.business_date for each in deliveries(home)} == {MONTH_END, LAST}

    configured(home, YEARLY_TAPE, tape_schedule="every full moon")
    configured(home, MONTHLY_TAPE, tape_schedule="0 0 14 * *", deliver_from=date(2025, 3, 1))
    assert daemon.tick() == [True]


def test_days_before_the_first_business_date_are_not_opened(home, daemon, inbox, monkeypatch):
    configured(home, MONTHLY_TAPE, deliver_from=date(1999, 1, 31))
    monkeypatch.setenv("LENDING_START_DATE", "2025-02-01")
    daemon.requests()
    assert [each.business_date for each in deliveries(home)] == [MONTH_END]


def test_a_request_that_was_not_launched_is_made_again_under_the_same_key(home, daemon, inbox):
    (lost,) = daemon.requests()
    (again,) = daemon.requests()
    assert lost.run_key == again.run_key
    assert daemon.run(again)


def test_a_day_that_is_not_closed_is_waited_for_and_its_owner_told_once_when_it_is_late(home, daemon, inbox):
    configured(home, MONTHLY_TAPE, tape_schedule="0 0 15 * *", deliver_from=date(2025, 3, 1))
    assert daemon.at("2025-03-15 23:59").tick() == []
    assert deliveries(home) == []

    for time in ("2025-03-16 00:01", "2025-03-16 11:59"):
        assert daemon.at(time).tick() == []
        assert [each.error_message for each in deliveries(home)] == [f"{OPEN} is not closed"]
        assert told(home) == []
    for time in ("2025-03-16 12:01", "2025-03-17 12:00"):
        assert daemon.at(time).tick() == []
        assert told(home) == [
            (
                f"Loan tape {MONTHLY_TAPE} of {OPEN} delayed",
                f"{OPEN} is not closed. It is sent as soon as possible.",
            )
        ]
    materialise(OPEN, OPEN, "loan_positions")
    assert daemon.tick() == [True]
    assert [(each.status, each.attempts) for each in deliveries(home)] == [("delivered", 1)]


def test_a_day_ends_in_the_lenders_time_zone(home, daemon, inbox, monkeypatch):
    monkeypatch.setenv("LENDING_TIMEZONE", "America/New_York")
    configured(home, MONTHLY_TAPE, tape_schedule="0 0 14 * *", deliver_from=date(2025, 3, 1))
    # New York is four hours behind on that day.
    assert daemon.at("2025-03-15 03:59").tick() == []
    assert daemon.at("2025-03-15 04:00").tick() == [True]


def test_a_close_that_failed_is_told_at_once(home, daemon, inbox):
    configured(home, MONTHLY_TAPE, tape_schedule="0 0 15 * *", deliver_from=date(2025, 3, 1))
    home.servicing(
        "INSERT INTO transactions (transaction_id, loan_id, type, effective_on, posted_at, amount, principal, interest,"
        " fees) VALUES ('T-orphan', 'L-nobody', 'repayment', '2025-03-15', '2025-03-16 01:00:00', 5, 5, 0, 0)"
    )
    with pytest.raises(RunFailed, match="L-nobody"):
        run_job("daily_close", days=(OPEN, OPEN), assets=["transactions", *DAILY_TABLES, "loan_tapes"])

    assert daemon.at("2025-03-16 02:00").tick() == []
    ((subject, body),) = told(home)
    assert subject == f"Loan tape {MONTHLY_TAPE} of {OPEN} delayed"
    assert body.startswith(f"{OPEN} is not closed: run ")
    assert "ended as failure" in body


@pytest.mark.parametrize(("passed", "expected"), [(False, 0), (True, 1)])
def test_a_day_whose_blocking_check_failed_is_held_back(home, daemon, inbox, passed, expected):
    @dg.asset(
        name="loan_positions",
        partitions_def=BUSINESS_DATES,
        check_specs=[
            dg.AssetCheckSpec("roll_forward", asset="loan_positions", blocking=True),
            dg.AssetCheckSpec("restatement_due", asset="loan_positions"),
        ],
    )
    def positions():
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(check_name="roll_forward", passed=passed),
                dg.AssetCheckResult(check_name="restatement_due", passed=False),
            ]
        )

    with dg.DagsterInstance.get() as instance:
        day = MONTH_END.isoformat()
        run_id = dg.materialize([positions], partition_key=day, instance=instance, raise_on_error=False).run_id

    assert len(daemon.requests()) == expected
    if not passed:
        (waiting,) = deliveries(home)
        assert waiting.error_message == f"checks of {MONTH_END} failed in run {run_id}: roll_forward"
        assert len(told(home)) == 1


def test_a_destination_that_is_down_is_tried_again_later_and_gets_the_tape_once(home, daemon, inbox):
    inbox.write_text("a file where the folder is to be")
    configured(home, MONTHLY_TAPE, tape_schedule="0 0 14 * *", deliver_from=date(2025, 3, 1))
    assert daemon.at("2025-03-15 01:00:00").tick() == [False]
    (delivery,) = deliveries(home)
    assert (delivery.status, delivery.attempts) == ("pending", 1)
    assert "cannot be used" in delivery.error_message

    assert daemon.at("2025-03-15 01:00:59").tick() == []
    assert daemon.at("2025-03-15 01:01:00").tick() == [False]
    assert daemon.at("2025-03-15 01:02:59").tick() == []
    assert told(home) == []
    # Past noon it is late, and its owner is told why.
    assert daemon.at("2025-03-15 12:01:00").tick() == [False]
    assert daemon.at("2025-03-15 12:02:00").tick() == []
    ((_, body),) = told(home)
    assert "cannot be used" in body
    inbox.unlink()
    assert daemon.at("2025-03-15 14:00:00").tick() == [True]
    assert daemon.at("2025-03-15 18:00:00").tick() == []
    assert [(each.status, each.attempts) for each in deliveries(home)] == [("delivered", 4)]


def test_a_run_that_is_killed_is_followed_by_another(home, daemon, inbox):
    home.killed(KILLED)
    assert [each.status for each in deliveries(home)] == ["delivering"]

    assert daemon.at("2025-03-15 02:00").tick() == []
    (left,) = deliveries(home)
    assert left.status == "pending"
    assert "died: its process" in left.error_message
    assert daemon.at("2025-03-15 02:01").tick() == [True]
    assert names(inbox) == [TAPE, f"{TAPE}.manifest.json"]


def test_a_run_that_died_before_it_began_is_followed_by_another(home, daemon, inbox):
    (request,) = daemon.requests()
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(
            definitions.resolve_job_def("deliver_tape"),
            tags={**request.tags, "dagster/run_key": request.run_key},
        )
        assert daemon.tick() == []
        instance.report_run_failed(run, "the machine was switched off")
    assert daemon.tick() == []
    (left,) = deliveries(home)
    assert (left.status, left.attempts) == ("pending", 1)
    assert "the machine was switched off" in left.error_message
    assert daemon.at("2025-03-15 02:01").tick() == [True]


def test_a_backlog_is_worked_off_four_at_a_time_the_oldest_first(home, daemon, inbox):
    configured(home, MONTHLY_TAPE, tape_schedule="daily")
    asked = daemon.requests()
    days = [request.run_config["ops"]["deliver"]["config"]["date"] for request in asked]
    assert days == ["2025-02-12", "2025-02-13", "2025-02-14", "2025-02-15"]
    assert len(deliveries(home)) == 31


def test_a_tape_that_comes_out_differently_goes_out_as_a_correction(home, daemon, inbox):
    assert daemon.tick() == [True]
    (first,) = deliveries(home)
    loan_id = next(
        row["loan_id"]
        for row in home.rows("loan_positions", MONTH_END, MONTH_END)
        if row["portfolio_id"] and row["principal_outstanding"] > 100
    )
    home.pay(loan_id, date(2025, 2, 27), "2025-03-16 09:00:00", 25)
    materialise(MONTH_END, MONTH_END, "transactions", "loan_positions", "loan_tapes")
    # What else is closed since makes no other tape of it.
    materialise(LAST, LAST, "loan_positions")

    assert daemon.tick() == [True]
    assert daemon.tick() == []
    corrected = TAPE.replace(".csv", "_v2.csv")
    assert names(inbox) == [
        TAPE,
        f"{TAPE}.manifest.json",
        corrected,
        f"{corrected}.changes.csv",
        f"{corrected}.manifest.json",
    ]
    before, after = deliveries(home)
    assert {(each.correction, each.status) for each in (before, after)} == {(0, "delivered"), (1, "delivered")}
    correction = next(each for each in (before, after) if each.correction)
    assert correction.supersedes_id == first.delivery_id
    assert correction.sha256 == hashlib.sha256((inbox / corrected).read_bytes()).hexdigest()


def test_a_correction_of_a_version_that_never_arrived_has_the_changes_of_both(home, daemon, inbox):
    assert daemon.tick() == [True]
    first, second = [
        row["loan_id"]
        for row in home.rows("loan_positions", MONTH_END, MONTH_END)
        if row["portfolio_id"] and row["principal_outstanding"] > 100
    ][:2]
    for loan_id, posted_at in ((first, "2025-03-16 09:00:00"), (second, "2025-03-16 10:00:00")):
        home.pay(loan_id, date(2025, 2, 27), posted_at, 25, name=f"T-{loan_id}")
        materialise(MONTH_END, MONTH_END, "transactions", "loan_positions", "loan_tapes")
    materialise(LAST, LAST, "loan_positions")

    assert daemon.tick() == [True]
    second_version, third_version = (TAPE.replace(".csv", f"_v{number}.csv") for number in (2, 3))
    assert names(inbox) == [
        TAPE,
        f"{TAPE}.manifest.json",
        f"{second_version}.changes.csv",
        third_version,
        f"{third_version}.changes.csv",
        f"{third_version}.manifest.json",
    ]
    for loan_id, version in ((first, second_version), (second, third_version)):
        assert loan_id in (inbox / f"{version}.changes.csv").read_text()


def test_tapes_of_two_configurations_are_two_runs(home, daemon, inbox, tmp_path):
    configured(home, YEARLY_TAPE, delivery_url=str(tmp_path / "fund"), deliver_from=LAST)
    assert daemon.tick() == [True, True]
    assert names(tmp_path / "fund") == [f"fund-yearly_{LAST}.xlsx", f"fund-yearly_{LAST}.xlsx.manifest.json"]


def test_a_configuration_that_is_not_understood_holds_up_no_other(home, daemon, inbox, tmp_path):
    configured(home, YEARLY_TAPE, delivery_url=str(tmp_path / "fund"), tape_schedule="yearly")
    assert daemon.tick() == [True]
    assert names(inbox) == [TAPE, f"{TAPE}.manifest.json"]


def test_a_configuration_that_is_not_active_delivers_nothing(home, daemon, inbox):
    daemon.requests()
    configured(home, MONTHLY_TAPE, active=False)
    assert daemon.tick() == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "is paused: `lending tapes resume 'Consumer monthly'` resumes it"),
        ({"retired_on": LAST}, f"was retired on {LAST}: make a new one"),
    ],
)
def test_a_tape_that_is_paused_or_retired_is_not_delivered_by_hand(home, inbox, settings, reason):
    configured(home, MONTHLY_TAPE, active=False, **settings)
    with pytest.raises(RunFailed, match=re.escape(reason)):
        run_job("deliver_tape", deliver_run_config(MONTHLY_TAPE, MONTH_END, failed=True))
    assert (names(inbox), deliveries(home)) == ([], [])


@pytest.mark.parametrize(("settings", "status"), [({}, "pending"), ({"recipient_email": "ann@x.example"}, "failed")])
def test_a_run_that_is_ended_in_the_middle_sends_no_mail_twice(home, daemon, inbox, settings, status, monkeypatch):
    """A file can be put in its place again; mail may have gone out."""
    if settings:
        configured(home, MONTHLY_TAPE, delivery_url=None, **settings)

    def ended(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setenv("LENDING_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setattr(PlaceChannel, "deliver", ended)
    monkeypatch.setattr(EmailChannel, "deliver", ended)
    assert daemon.tick() == [False]
    assert [each.status for each in deliveries(home)] == [status]


def test_mail_that_may_have_arrived_is_not_sent_again_with_the_rest(home, daemon, inbox, mailbox, monkeypatch):
    monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
    configured(home, MONTHLY_TAPE, recipient_email="ann@x.example")
    inbox.write_text("a file where the folder is to be")
    mailbox.hangs_up = True
    assert daemon.at("2025-03-15 02:00").tick() == [False]
    assert {each.channel: each.status for each in deliveries(home)} == {"email": "failed", "place": "pending"}

    inbox.unlink()
    mailbox.hangs_up = False
    assert daemon.at("2025-03-15 03:00").tick() == [True]
    assert len(mailbox.messages) == 1
    assert {each.channel: each.status for each in deliveries(home)} == {"email": "failed", "place": "delivered"}
