"""Raise or complete, send, record: killed wherever it can matter. No mail arrives twice, and none is lost silently."""

import hashlib
import os
import signal
import sys
from collections import Counter
from datetime import date

import pytest

from lending_pipelines.alerts import close as alerts_close
from lending_pipelines.alerts import notices
from lending_pipelines.alerts.evaluate import DAILY
from lending_pipelines.alerts.findings import Evaluation, Finding, Judged
from lending_pipelines.alerts.outbox import Outbox
from lending_pipelines.alerts.record import record
from lending_pipelines.alerts.rule_files import parse_rules
from lending_pipelines.alerts.saved_rules import save_rules, saved_rules
from lending_pipelines.delivery import MailServer
from lending_pipelines.register import Register, ReportMail, ReportRequests
from lending_pipelines.register import notifications as register_notifications
from lending_pipelines.settings import Settings

OUTWARD = {
    "sqlite3": {"execute", "executemany", "commit"},
    "socket": {"connect", "sendall"},
}
"""The calls that change the register, or send to the mail server, by module. A process that is killed between two of
them leaves the same as one that is killed immediately before the second: what it did not commit is rolled back."""
DAY = date(2025, 3, 10)
RULES = parse_rules(
    [
        {
            "name": severity, "metric": f"portfolio_snapshots.{column}", "scope": "branch", "operator": ">",
            "threshold": 0, "severity": severity,
        }
        for column, severity in (("par_30", "critical"), ("par_60", "warning"))
    ],
    "test",
)  # fmt: skip


def _found(rule):
    return Finding(rule.name, DAY, "branch", "B1", rule.topic, rule.severity, 0.5, 0.0, "EUR", "It is high.")


RAISED = Evaluation({rule.name: Judged((DAY,), (_found(rule),)) for rule in RULES})


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("LENDING_HOME", str(tmp_path))
    monkeypatch.setenv("LENDING_ALERT_ADMINS", "ann@lender.example")
    # The close is not followed here by what is behind the alerts: they are notified without it.
    monkeypatch.setattr(notices, "SETTLED_AFTER", notices.SETTLED_AFTER * 0)
    return Settings.from_environment()


def raise_and_send(register, mailbox_url, settings):
    """What a close and the sensor do."""
    with register.session() as session:
        record(session, saved_rules(session), RAISED, [DAY], DAILY)
    alerts_close.notify(register, settings)
    Outbox(register, MailServer(mailbox_url, "lending@lender.example", 1), None, "", "UTC").send()
    # The next process connects anew. The compiled statements stay, which are most of the time.
    register.dispose()


def at_outward_calls(act):
    """A profiler that calls `act` with the module immediately before each outward call."""

    def profile(frame, event, argument):
        if event == "c_call":
            module = type(argument.__self__).__module__
            # SQLAlchemy's function that executes a statement has it in a variable of this name.
            if argument.__name__ in OUTWARD.get(module, ()) and changes(frame.f_locals.get("statement", "")):
                act(module)

    return profile


def changes(statement):
    """Whether a statement, or a call without one, may change the register."""
    return not statement.startswith(("SELECT", "BEGIN"))


def places(work):
    """How many outward calls the work makes, each a place to be killed at."""
    calls = Counter()
    sys.setprofile(at_outward_calls(lambda module: calls.update([module])))
    try:
        work()
    finally:
        sys.setprofile(None)
    assert calls.keys() == OUTWARD.keys()
    return calls.total()


def killed(place, work):
    """Do the work in a process that kills itself at its nth outward call."""
    child = os.fork()
    if child == 0:
        left = place

        def count(_):
            nonlocal left
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(at_outward_calls(count))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_mail_arrives_twice_and_none_is_lost(tmp_path, settings, mailbox, monkeypatch):
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        save_rules(session, RULES)
    register.dispose()
    template = (tmp_path / "register.db").read_bytes()

    def start_again():
        for file in tmp_path.glob("register.db*"):
            file.unlink()
        (tmp_path / "register.db").write_bytes(template)

    total = places(lambda: raise_and_send(register, mailbox.url, settings))
    subjects = sorted(message["Subject"].partition(" of 20")[0] for message in mailbox.messages)
    assert subjects == ["Alerts", "Critical: PAR 30 of branch B1"]
    monkeypatch.setattr(register_notifications, "HANDED_OVER_WITHIN", register_notifications.HANDED_OVER_WITHIN * 0)
    said_of = set()
    for place in range(1, total + 1):
        mailbox.messages.clear()
        start_again()
        assert killed(place, lambda: raise_and_send(register, mailbox.url, settings)), place
        # The daemon starts again; then nothing is left to do.
        raise_and_send(register, mailbox.url, settings)
        done = len(mailbox.messages)
        raise_and_send(register, mailbox.url, settings)
        assert len(mailbox.messages) == done, place
        ids = [message["Message-ID"] for message in mailbox.messages]
        assert len(set(ids)) == len(ids), place
        arrived = [message["Subject"] for message in mailbox.messages if message.is_multipart()]
        said = "".join(message.get_content() for message in mailbox.messages if not message.is_multipart())
        for subject, name in (("Critical: PAR 30", "Critical: PAR 30"), ("Alerts of", "Warning: PAR 60")):
            times = sum(each.startswith(subject) for each in arrived)
            assert times == 1 or (times == 0 and name in said), (place, arrived, said)
            if times == 0:
                said_of.add(subject)
    # Some kills hit the moment in which the one mail was handed over, some that of the other.
    assert said_of == {"Critical: PAR 30", "Alerts of"}


READERS = ("ann@lender.example", "bo@lender.example")
FILE = b"day,balance"


def complete_and_send(register, file, mailbox_url):
    """What the run of a report and the sensor do."""
    content = {
        "report": "trial_balance", "title": "Trial balance", "as_of": DAY.isoformat(), "compared_with": "",
        "alerts": [], "headlines": [], "charts": [], "tables": [],
        "file": {
            "url": str(file), "name": file.name, "sha256": hashlib.sha256(FILE).hexdigest(), "bytes": len(FILE),
        },
    }  # fmt: skip
    with register.session() as session:
        requests = ReportRequests(session)
        (report,) = requests.recent()
        if report.status == "generating":
            mail = ReportMail(DAY, content["title"], "It is ready.", content)
            requests.complete(report.report_id, str(file), content["file"]["sha256"], {}, mail)
    Outbox(register, MailServer(mailbox_url, "lending@lender.example", 1_000_000), None, "", "UTC").send()
    register.dispose()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_mail_of_a_report_arrives_once_for_each_reader(tmp_path, mailbox, monkeypatch):
    file = tmp_path / "trial_balance.csv"
    file.write_bytes(FILE)
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        report_id = ReportRequests(session).create("trial_balance", {}, "csv", "board", READERS)
        ReportRequests(session).start(report_id, "run", {})
    register.dispose()
    template = (tmp_path / "register.db").read_bytes()

    def work():
        complete_and_send(register, file, mailbox.url)

    def start_again():
        mailbox.messages.clear()
        mailbox.to.clear()
        for database in tmp_path.glob("register.db*"):
            database.unlink()
        (tmp_path / "register.db").write_bytes(template)

    total = places(work)
    assert sorted(mailbox.to) == list(READERS)
    monkeypatch.setattr(register_notifications, "HANDED_OVER_WITHIN", register_notifications.HANDED_OVER_WITHIN * 0)
    said_of = set()
    for place in range(1, total + 1):
        start_again()
        assert killed(place, work), place
        work()
        done = len(mailbox.messages)
        work()
        assert len(mailbox.messages) == done, place
        arrived = [to for to, message in zip(mailbox.to, mailbox.messages, strict=True) if message.is_multipart()]
        said = [to for to, message in zip(mailbox.to, mailbox.messages, strict=True) if not message.is_multipart()]
        for reader in READERS:
            assert arrived.count(reader) <= 1, (place, arrived)
            assert reader in arrived or said.count(reader) == 1, (place, arrived, said)
        said_of |= set(said)
        assert len(said) <= 1, (place, said)
    # Some kills hit the moment in which the mail of one reader was handed over, some that of the other.
    assert said_of == set(READERS)
