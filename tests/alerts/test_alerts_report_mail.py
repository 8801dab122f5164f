"""Mails with a report: the file attached or linked, sent once, and never another file than the one that was made."""

import hashlib
from datetime import date

import pytest

from lending_pipelines.alerts.outbox import Outbox
from lending_pipelines.delivery import MailServer
from lending_pipelines.register import Notifications, Register, ReportMail, ReportRequests

FILE = b"%PDF-1.7 of 1,234 bytes"


@pytest.fixture
def register(tmp_path):
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield register
    register.dispose()


@pytest.fixture
def content(tmp_path):
    """What a report saved for its mail."""
    file = tmp_path / "summary.pdf"
    file.write_bytes(FILE)
    table = {
        "title": "Managers",
        "columns": [{"label": "Manager", "right": False}, {"label": "Score", "right": True}],
        "rows": [["<b>Ann</b>", "81.5"]],
        "marked": [True],
        "more": "3 more in the file.",
    }
    figure = {"label": "Collected", "value": "305.00", "change": "+10.0%", "previous": "from 277.27"}
    return {
        "report": "weekly_summary",
        "title": "Weekly summary",
        "as_of": "2025-03-16",
        "compared_with": "the week before",
        "alerts": ["2025-03-12 is not closed."],
        "headlines": [{"currency": "USD", "figures": [figure]}],
        "charts": [],
        "tables": [table],
        "file": {
            "url": str(file),
            "name": file.name,
            "sha256": hashlib.sha256(FILE).hexdigest(),
            "bytes": len(FILE),
        },
    }


def completed(register, content, recipients=("ann@lender.example",)):
    """Request and complete a report; who is notified."""
    with register.session() as session:
        requests = ReportRequests(session)
        report_id = requests.create("weekly_summary", {"leader": "ALL"}, "pdf", "board", recipients)
        requests.start(report_id, "run", {"leader": "ALL"})
        mail = ReportMail(date(2025, 3, 16), content["title"], "Collected 305.00", content)
        return requests.complete(report_id, content["file"]["url"], content["file"]["sha256"], {}, mail)


def send(register, mailbox, limit=1_000_000):
    return str(
        Outbox(register, MailServer(mailbox.url, "lending@lender.example", limit), None, "Meridian", "UTC").send()
    )


def test_the_file_is_attached_and_each_recipient_gets_it_once(register, content, mailbox):
    recipients = ["ann@lender.example", "bo@lender.example", "ann@lender.example"]
    assert completed(register, content, recipients) == recipients[:2]
    assert completed(register, content, [*recipients, "cy@lender.example"]) == ["cy@lender.example"]

    assert send(register, mailbox) == "3 sent"
    assert send(register, mailbox) == "0 sent"
    assert sorted(mailbox.to) == ["ann@lender.example", "bo@lender.example", "cy@lender.example"]
    message = mailbox.messages[0]
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("summary.pdf", FILE)
    html = message.get_body(("html",)).get_content()
    for shown in ("Meridian", "305.00", "277.27", "2025-03-12 is not closed.", "&lt;b&gt;Ann", "3 more in the file."):
        assert shown in html
    assert message.get_body(("plain",)).get_content().strip() == "Collected 305.00"


def test_a_large_file_is_not_attached_and_its_place_is_named(register, content, mailbox):
    completed(register, content)
    assert send(register, mailbox, limit=10) == "1 sent"
    (message,) = mailbox.messages
    assert list(message.iter_attachments()) == []
    assert content["file"]["url"] in message.get_body(("plain",)).get_content()
    assert content["file"]["url"] in message.get_body(("html",)).get_content()


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_another_file_than_the_one_that_was_made_is_not_sent(register, content, mailbox, tmp_path, change):
    completed(register, content)
    with register.session() as session:
        Notifications(session).create("restatement", "high", recipient="bo@lender.example", subject="s", body="b")
    file = tmp_path / "summary.pdf"
    if change == "removed":
        file.unlink()
    else:
        file.write_bytes(b"other")

    told = send(register, mailbox)
    assert told.startswith("1 sent; report")
    assert ("cannot be read" if change == "removed" else "was changed after it was made") in told
    assert mailbox.to == ["bo@lender.example"]
    # It is sent when the file is there again.
    file.write_bytes(FILE)
    assert send(register, mailbox) == "1 sent"
