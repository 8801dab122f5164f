"""A delivery's life: opened when due, tried by one run at a time, arrived once, put off, given up, corrected."""

from datetime import date, timedelta

import pytest

from lending_pipelines.register import (
    Notifications,
    Portfolios,
    RegisterError,
    TapeConfigs,
    TapeDeliveries,
    destinations,
)
from lending_pipelines.register.tape_deliveries import ATTEMPTS, OWNER, wait_after
from lending_pipelines.register.types import utc_now

DAY = date(2025, 3, 31)


@pytest.fixture
def tape(register):
    """A tape that goes to a folder and to two addresses."""
    with register.session() as session:
        portfolio = Portfolios(session).create("Auto", date(2025, 1, 1)).portfolio_id
        return TapeConfigs(session).create(
            "Harbour", portfolio, delivery_url="/in", recipient_email="a@x.example, b@x.example", deliver_from=DAY
        )


@pytest.fixture
def say(register):
    """Calls a method of TapeDeliveries in a session of its own."""

    def call(method, *arguments):
        with register.session() as session:
            return getattr(TapeDeliveries(session), method)(*arguments)

    return call


def notifications(register):
    with register.session() as session:
        return [(each.notification_type, each.priority, each.subject) for each in Notifications(session).recent()]


def test_a_tape_goes_to_its_place_and_to_each_address(tape):
    assert destinations(tape) == [("place", "/in"), ("email", "a@x.example"), ("email", "b@x.example")]


def test_opening_again_opens_nothing_more(tape, say):
    first = say("open", tape, DAY)
    again = say("open", tape, DAY)
    assert [each.delivery_id for each in again] == [each.delivery_id for each in first]
    assert [each.destination for each in first] == ["a@x.example", "b@x.example", "/in"]
    assert {each.status for each in first} == {"pending"}


def test_only_one_run_gets_a_delivery(tape, say):
    say("open", tape, DAY)
    assert len(say("claim", tape.config_id, DAY, "run-1")) == 3
    assert say("claim", tape.config_id, DAY, "run-2") == []


def test_what_arrived_has_a_receipt_and_is_not_sent_again(register, tape, say):
    say("open", tape, DAY)
    delivery = say("claim", tape.config_id, DAY, "run-1")[0]
    say("send", delivery.delivery_id, "abc", 40)
    say("complete", delivery.delivery_id)

    arrived = say("get", delivery.delivery_id)
    assert (arrived.status, arrived.sha256, arrived.rows, arrived.attempts) == ("delivered", "abc", 40, 1)
    assert utc_now() - arrived.delivered_at < timedelta(minutes=1)
    with pytest.raises(RegisterError, match="is delivered: only delivering ones can become failed"):
        say("give_up", delivery.delivery_id, "late")
    assert delivery.delivery_id not in [each.delivery_id for each in say("claim", tape.config_id, DAY, "run-2")]
    assert notifications(register) == [("tape_delivered", "low", "Loan tape Harbour of 2025-03-31 delivered")]


def test_waits_double_up_to_an_hour():
    minutes = [wait_after(attempts) / timedelta(minutes=1) for attempts in range(1, 10)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_attempt_that_failed_is_made_again_and_the_last_one_gives_up(register, tape, say):
    say("open", tape, DAY)
    for attempt in range(1, ATTEMPTS + 1):
        for delivery in say("claim", tape.config_id, DAY, f"run-{attempt}"):
            say("send", delivery.delivery_id, "abc", 40)
            say("schedule_retry", delivery.delivery_id, "it is down")
        status = {each.status for each in say("of_day", tape.config_id, DAY)}
        assert status == {"pending" if attempt < ATTEMPTS else "failed"}
    for delivery in say("of_day", tape.config_id, DAY):
        assert (delivery.attempts, delivery.error_message) == (ATTEMPTS, f"it is down ({ATTEMPTS} attempts)")
    assert (
        notifications(register) == [("tape_delayed", "critical", "Loan tape Harbour of 2025-03-31 not delivered")] * 3
    )
    # By hand it can be tried again.
    assert say("claim", tape.config_id, DAY, "by itself") == []
    with register.session() as session:
        assert len(TapeDeliveries(session).claim(tape.config_id, DAY, "by hand", failed=True)) == 3


def test_the_time_of_the_next_attempt_is_kept(tape, say):
    say("open", tape, DAY)
    delivery = say("claim", tape.config_id, DAY, "run-1")[0]
    before = utc_now()
    say("schedule_retry", delivery.delivery_id, "it is down")
    rescheduled = say("get", delivery.delivery_id)
    assert before + timedelta(minutes=1) <= rescheduled.next_attempt_at <= utc_now() + timedelta(minutes=1)


def test_a_run_that_died_leaves_places_to_be_tried_again_and_mail_that_left_to_be_asked_about(tape, say):
    say("open", tape, DAY)
    mail, unsent, place = say("claim", tape.config_id, DAY, "run-1")
    for sent in (mail, place):
        say("send", sent.delivery_id, "abc", 40)
    assert say("run_ended", [each.delivery_id for each in (mail, unsent, place)], "run-1", "run-1 died") == 3

    left = {each.delivery_id: each for each in say("of_day", tape.config_id, DAY)}
    assert (left[mail.delivery_id].status, left[mail.delivery_id].error_message) == (
        "failed",
        "it may have arrived: run-1 died",
    )
    for again in (unsent, place):
        assert (left[again.delivery_id].status, left[again.delivery_id].sha256) == ("pending", None)


def test_a_run_that_died_before_it_began_counts_as_an_attempt_once(tape, say):
    ids = [each.delivery_id for each in say("open", tape, DAY)]
    assert say("run_ended", ids, "run-1", "run-1 died") == 3
    assert say("run_ended", ids, "run-1", "run-1 died") == 0
    assert {(each.status, each.attempts) for each in say("of_day", tape.config_id, DAY)} == {("pending", 1)}


def test_another_tape_of_a_day_that_arrived_is_a_correction(tape, say):
    say("open", tape, DAY)
    arrived, *others = say("claim", tape.config_id, DAY, "run-1")
    say("send", arrived.delivery_id, "abc", 40)
    say("complete", arrived.delivery_id)

    assert say("open_corrections", tape.config_id, DAY, "abc") == 0
    assert say("open_corrections", tape.config_id, DAY, "def") == 1
    assert say("open_corrections", tape.config_id, DAY, "def") == 0
    *_, correction = say("of_day", tape.config_id, DAY)
    assert (correction.correction, correction.supersedes_id, correction.destination, correction.status) == (
        1,
        arrived.delivery_id,
        arrived.destination,
        "pending",
    )
    assert {each.correction for each in others} == {0}


def test_what_has_not_arrived_follows_the_destination(register, tape, say):
    say("open", tape, DAY)
    arrived = next(each for each in say("claim", tape.config_id, DAY, "run-1") if each.destination == "a@x.example")
    for delivery in say("of_day", tape.config_id, DAY):
        if delivery.delivery_id != arrived.delivery_id:
            say("schedule_retry", delivery.delivery_id, "no such folder")
    say("send", arrived.delivery_id, "abc", 40)
    say("complete", arrived.delivery_id)
    with register.session() as session:
        TapeConfigs(session).get(tape.config_id).delivery_url = "/inbox"

    with register.session() as session:
        opened = TapeDeliveries(session).open(TapeConfigs(session).get(tape.config_id), DAY)
        assert {(each.destination, each.status) for each in opened} == {
            ("a@x.example", "delivered"),
            ("b@x.example", "pending"),
            ("/inbox", "pending"),
        }


def test_the_owner_is_who_the_configuration_says(register, tape, say):
    ids = [each.delivery_id for each in say("open", tape, DAY)]
    say("delay", ids, "2025-03-31 is not closed")
    with register.session() as session:
        TapeConfigs(session).get(tape.config_id).owner_email = "ann@lender.example"
    say("delay", ids, "2025-03-31 is not closed")
    with register.session() as session:
        latest, first = Notifications(session).recent()
    assert (first.recipient, latest.recipient) == (OWNER, "ann@lender.example")
    assert latest.body == "2025-03-31 is not closed. It is sent as soon as possible."
    assert (latest.action_required, latest.business_date) == (True, DAY)


def test_a_correction_that_needs_approval_is_not_sent_before_it(register):
    with register.session() as session:
        portfolio = Portfolios(session).create("Auto", date(2025, 1, 1))
        config = TapeConfigs(session).create(
            "Fund's tape", portfolio.portfolio_id, delivery_url="/tapes", approve_corrections=True
        )
        deliveries = TapeDeliveries(session)
        day = date(2025, 1, 31)
        deliveries.open(config, day)
        # The first tape needs no approval.
        [first] = deliveries.claim(config.config_id, day, "run 1")
        deliveries.send(first.delivery_id, "aa", 3)
        deliveries.complete(first.delivery_id)
        assert deliveries.open_corrections(config.config_id, day, "bb") == 1

        assert deliveries.claim(config.config_id, day, "run 2", failed=True) == []
        assert deliveries.unfinished() == []
        [waiting] = deliveries.waiting()
        command = "lending approve-correction 'Fund'\"'\"'s tape' 2025-01-31 --by NAME"
        assert waiting.error_message == f"waits for approval: `{command}`"

        with pytest.raises(RegisterError, match="write the name of the person who approves"):
            deliveries.approve(config, day, " ")
        assert [each.approved_by for each in deliveries.approve(config, day, "Ann")] == ["Ann"]
        with pytest.raises(RegisterError, match="no correction waits for approval"):
            deliveries.approve(config, day, "Ann")
        assert [each.correction for each in deliveries.claim(config.config_id, day, "run 3")] == [1]


def test_the_delivered_of_a_day_are_counted_also_when_later_days_have_many(tape, say):
    for number in range(70):
        for delivery in say("claim", tape.config_id, opened(say, tape, DAY + timedelta(days=number)), "run"):
            say("send", delivery.delivery_id, "0" * 64, 1)
            say("complete", delivery.delivery_id)
    assert [say("delivered_on", day) for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=69))] == [0, 3, 3]


def opened(say, tape, on):
    say("open", tape, on)
    return on
