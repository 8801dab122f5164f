"""Who is notified of what, once, however days are closed; on a real mail server."""

import random
import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from homes import lending
from made_tables import MadeTables, later

from lending_pipelines.alerts.close import alerts_of_days, notify
from lending_pipelines.alerts.outbox import Outbox
from lending_pipelines.alerts.recipients import with_admins
from lending_pipelines.alerts.rule_files import parse_rules
from lending_pipelines.alerts.saved_rules import save_rules
from lending_pipelines.delivery import MailServer
from lending_pipelines.register import Alerts, Notifications, Register
from lending_pipelines.register.models import Notification
from lending_pipelines.settings import Settings

DAYS = [later(n) for n in range(31)]
RULES = parse_rules(
    [
        {
            "name": name, "metric": "portfolio_snapshots.par_30", "scope": "branch", "operator": ">",
            "threshold": limit, "severity": severity, "cool_down_days": 2, "recipients": ["leader", "admins"],
        }
        for name, limit, severity in (("high", "10 %", "warning"), ("critical", "15 %", "critical"))
    ],
    "test",
)  # fmt: skip

# B1 opens, becomes critical and is so at the end. B2 opens and is resolved. B3 opens as a warning near the end.
PAR = {
    "B1": [0.05] * 5 + [0.12] * 10 + [0.20] * 16,
    "B2": [0.05] * 10 + [0.12] * 5 + [0.05] * 16,
    "B3": [0.05] * 28 + [0.12] * 3,
}
STAFF = [
    {"staff_id": "T1", "role": "team_leader", "branch_id": "B1", "email": "lea@lender.example", "active_to": None},
    {"staff_id": "T3", "role": "team_leader", "branch_id": "B3", "email": None, "active_to": None},
]


def book(closed, par=PAR):
    """The tables after some days are closed."""
    snapshots = [
        {
            "business_date": day, "scope": "branch", "scope_id": branch, "currency": "EUR", "name": None,
            "par_30": values[DAYS.index(day)],
        }
        for day in closed
        for branch, values in par.items()
    ]  # fmt: skip
    loans = [
        {
            "business_date": day, "loan_id": f"{branch}-{n}", "branch_id": branch, "currency": "EUR",
            "status": "active", "days_past_due": 25 + n, "principal_outstanding": Decimal(100 * n),
            "past_due_amount": Decimal(n),
        }
        for day in closed
        for branch in par
        for n in range(1, 9)
    ]  # fmt: skip
    return MadeTables({"portfolio_snapshots": snapshots, "loan_positions": loans, "staff": STAFF})


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("LENDING_HOME", str(tmp_path))
    monkeypatch.setenv("LENDING_ALERT_ADMINS", "risk@lender.example")
    return Settings.from_environment()


@pytest.fixture
def make_register(tmp_path):
    made = []

    def make():
        register = Register(f"sqlite:///{tmp_path / f'{len(made)}.db'}")
        register.upgrade()
        with register.session() as session:
            save_rules(session, RULES)
        made.append(register)
        return register

    yield make
    for register in made:
        register.dispose()


@pytest.fixture
def outbox(make_register, mailbox):
    """An outbox on a register of its own, at 07:00 after a day."""

    class Office:
        def __init__(self):
            self.register = make_register()
            server = MailServer(mailbox.url, "lending@lender.example", 1_000_000)
            self.outbox = Outbox(self.register, server, None, "Harbour", "UTC")

        def send(self, day=DAYS[-1]):
            at = datetime.combine(day + timedelta(days=1), time(7), UTC)
            before = len(mailbox.messages)
            sent = self.outbox.send(lambda: at)
            assert not sent.problems
            return mailbox.messages[before:]

    return Office


def close(office, settings, *batches, closed=(), par=PAR):
    """Close days in batches; the tables hold what is closed so far."""
    done = set(closed)
    for days in batches:
        done.update(days)
        alerts_of_days(book(sorted(done), par), office.register, days[0], days[-1], settings)


def lines(messages):
    """Of each mail its recipient and subject, in order."""
    return sorted((message["To"], message["Subject"]) for message in messages)


def test_the_same_mails_in_order_shuffled_twice_and_as_one_backfill(outbox, settings):
    mails = []
    shuffled = random.Random(3).sample(DAYS, len(DAYS))
    for batches in (
        [DAYS],
        [[day] for day in DAYS],
        [[day] for day in shuffled],
        [[day] for day in DAYS for _ in (1, 2)],
    ):
        office = outbox()
        close(office, settings, *batches)
        messages = office.send()
        assert office.send() == []
        texts = [message.get_body(("plain",)).get_content() for message in messages]
        mails.append((lines(messages), sorted(texts), sorted(str(m.get_body(("html",))) for m in messages)))
    # B1 is critical: at once, to the leader of B1 and the admins. B3 is a warning: in the day's mail to the admins. Its
    # leader has no email address. B2 was resolved before anybody was notified of it.
    assert mails[0][0] == [
        ("lea@lender.example", "Critical: PAR 30 of branch B1"),
        ("risk@lender.example", "Alerts of 2025-04-10: 1 opened"),
        ("risk@lender.example", "Critical: PAR 30 of branch B1"),
    ]
    assert [each[:2] for each in mails[1:]] == [mails[0][:2]] * 3


def test_the_admins_get_the_mail_of_a_recipient_without_an_address_and_it_says_so(outbox, settings, monkeypatch):
    office = outbox()
    only_leader = [rule.model_copy(update={"recipients": ("leader",)}) for rule in RULES]
    with office.register.session() as session:
        save_rules(session, only_leader)
    close(office, settings, DAYS)
    messages = office.send()
    # The leader of B1 has an address. The leader of B3 has none.
    assert lines(messages) == [
        ("lea@lender.example", "Critical: PAR 30 of branch B1"),
        ("risk@lender.example", "Alerts of 2025-04-10: 1 opened"),
    ]
    texts = {message["To"]: message.get_body(("plain",)).get_content() for message in messages}
    assert re.search("^Not emailed: +staff:T3: no email address in staff", texts["risk@lender.example"], re.MULTILINE)
    assert "Not emailed" not in texts["lea@lender.example"]
    with office.register.session() as session:
        waiting = [each.recipient for each in Notifications(session).recent() if each.emailed_at is None]
    assert waiting == ["staff:T3"]
    monkeypatch.setenv("LENDING_REGISTER_URL", f"sqlite:///{settings.home / '0.db'}")
    (listed,) = [line for line in lending("notifications").stdout.splitlines() if "staff:T3" in line]
    assert "no address" in listed


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["a@x", "b@x", "a@x"], ["a@x", "b@x"]),
        (["a@x", "staff:T3"], ["a@x", "staff:T3", "risk@x"]),
        (["staff:T3", "risk@x"], ["staff:T3", "risk@x"]),
        ([], ["risk@x"]),
    ],
)
def test_who_gets_what_somebody_without_an_address_cannot_get(found, expected):
    assert with_admins(found, ["risk@x"]) == expected


def test_somebody_who_reads_their_mail_every_morning_is_told_each_change_once(outbox, settings):
    office, told = outbox(), {}
    for number, day in enumerate(DAYS):
        close(office, settings, [day], closed=DAYS[:number])
        told[number] = lines(office.send(day))
    assert {number: mails for number, mails in told.items() if mails} == {
        5: [
            ("lea@lender.example", "Alerts of 2025-03-16: 1 opened"),
            ("risk@lender.example", "Alerts of 2025-03-16: 1 opened"),
        ],
        10: [("risk@lender.example", "Alerts of 2025-03-21: 1 opened")],
        15: [
            ("lea@lender.example", "Now critical: PAR 30 of branch B1"),
            ("risk@lender.example", "Alerts of 2025-03-26: 1 resolved"),
            ("risk@lender.example", "Now critical: PAR 30 of branch B1"),
        ],
        28: [("risk@lender.example", "Alerts of 2025-04-08: 1 opened")],
    }


def test_a_restated_old_day_notifies_nobody(outbox, settings):
    office = outbox()
    close(office, settings, DAYS)
    office.send()
    restated = {**PAR, "B1": [0.05] * 18 + [0.30] * 2 + [0.05] * 4 + [0.20] * 7}
    close(office, settings, DAYS[:25], closed=DAYS, par=restated)
    assert office.send() == []
    with office.register.session() as session:
        opened = {alert.opened_on for alert in Alerts(session).listed(subject="B1")}
    # It was opened on the 19th day and resolved on the 21st; on the 25th, after the cool-down, another opened.
    assert opened == {DAYS[18], DAYS[24]}


def test_a_mail_shows_the_number_its_threshold_its_history_and_five_loans(outbox, settings):
    office = outbox()
    close(office, settings, DAYS)
    message = next(each for each in office.send() if each["To"] == "lea@lender.example")
    text = message.get_body(("plain",)).get_content()
    assert "PAR 30 of branch B1 is 20.00 %, above 15.00 %." in text
    # Loans are 25 + n days past due: those of 30 days or more are n = 5 to 8, the largest first.
    named = [line.split()[0] for line in text.splitlines() if line.startswith("  B1-")]
    assert named == ["B1-8", "B1-7", "B1-6", "B1-5"]
    assert "days past due" not in text.partition("Largest")[0]
    assert f"lending report portfolio_summary --set as_of={DAYS[-1]} --set branch=B1" in text.splitlines()[-1]
    html = message.get_body(("html",)).get_content()
    picture = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert f"cid:{picture['Content-ID'].strip('<>')}" in html
    assert picture.get_content().startswith(b"\x89PNG")
    assert picture.get_content_disposition() == "inline"


def test_an_escalation_wakes_a_snoozed_alert_and_nothing_else_does(outbox, settings):
    office = outbox()
    close(office, settings, DAYS[:6])
    office.send(DAYS[5])
    with office.register.session() as session:
        (alert,) = Alerts(session).listed()
        Alerts(session).snooze(alert.alert_id, "ann", "known", DAYS[20])
    close(office, settings, DAYS[6:15], closed=DAYS[:6])
    office.send(DAYS[14])
    close(office, settings, DAYS[15:16], closed=DAYS[:15])
    sent = lines(office.send(DAYS[15]))
    assert ("lea@lender.example", "Now critical: PAR 30 of branch B1") in sent


def test_what_nobody_is_told_any_more_is_not_read(outbox, settings):
    office, read = outbox(), []
    for number, day in enumerate(DAYS):
        close(office, settings, [day], closed=DAYS[:number])
        office.send(day)
    listening = (Notification, "load", lambda notification, context: read.append(notification.alert_id))
    sa.event.listen(*listening)
    try:
        notify(office.register, settings)
        with_open = set(read)
        read.clear()
        # Everything is resolved on the day after. Until the mails of it are sent, the rows are read.
        after = [*DAYS, later(31)]
        calm = {branch: [0.05] * 32 for branch in PAR}
        resolved = MadeTables(
            {
                **book([], calm).rows,
                "portfolio_snapshots": [
                    {
                        "business_date": after[-1],
                        "scope": "branch",
                        "scope_id": branch,
                        "currency": "EUR",
                        "par_30": 0.05,
                    }
                    for branch in PAR
                ],
            }
        )
        alerts_of_days(resolved, office.register, after[-1], after[-1], settings)
        notify(office.register, settings)
        unsent = set(read)
        assert office.send(after[-1])
        # Once more, to record that everybody was told.
        notify(office.register, settings)
        read.clear()
        notify(office.register, settings)
        assert read == []
    finally:
        sa.event.remove(*listening)
    with office.register.session() as session:
        subjects = {alert.alert_id: alert.subject_id for alert in Alerts(session).listed()}
    # B2 was resolved, and its recipients were told so.
    assert {subjects[alert_id] for alert_id in with_open} == {"B1", "B3"}
    assert {subjects[alert_id] for alert_id in unsent} == {"B1", "B3"}


def test_what_is_read_in_the_register_is_not_mailed(outbox, settings):
    office = outbox()
    close(office, settings, DAYS)
    with office.register.session() as session:
        for each in Notifications(session).recent(limit=100):
            Notifications(session).read(each.notification_id)
    notify(office.register, settings)
    assert office.send() == []


def test_nothing_is_lost_while_the_mail_server_is_down(outbox, settings, mailbox):
    office = outbox()
    close(office, settings, DAYS)
    working = office.outbox
    down = Outbox(office.register, MailServer("smtp://127.0.0.1:1", "a@b.example", 1), None, "Harbour", "UTC")
    assert len(down.send().problems) == 3
    office.outbox = working
    assert len(office.send()) == 3
    with office.register.session() as session:
        assert all(each.attempts == 1 for each in Notifications(session).recent() if each.emailed_at)


def test_attempts_are_made_at_longer_and_longer_intervals(outbox, settings, mailbox):
    office = outbox()
    close(office, settings, DAYS)
    down = Outbox(office.register, MailServer("smtp://127.0.0.1:1", "a@b.example", 1), None, "Harbour", "UTC")
    # The first repetition does not wait, the second waits a minute.
    assert [len(down.send().problems) for _ in range(3)] == [3, 3, 0]


def test_a_mail_whose_answer_is_missing_is_not_sent_again_and_another_says_so(outbox, settings, mailbox):
    office = outbox()
    close(office, settings, DAYS)
    mailbox.hangs_up = True
    assert len(office.outbox.send().problems) == 3
    assert len(mailbox.messages) == 3
    mailbox.hangs_up = False
    said = office.send()
    assert all(message["Subject"].endswith("may not have arrived") for message in said)
    assert sorted(message["To"] for message in said) == [
        "lea@lender.example",
        "risk@lender.example",
        "risk@lender.example",
    ]
    assert "- Critical: PAR 30 of branch B1" in "".join(message.get_content() for message in said)
    assert office.send() == []
