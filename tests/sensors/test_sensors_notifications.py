"""Notifications go out by email, once, to those who are named by their address, through a real mail server."""

from datetime import date

import dagster as dg
import pytest

from lending_pipelines.definitions import definitions
from lending_pipelines.register import Notifications
from lending_pipelines.sensors import email_notifications


@pytest.fixture
def notify(empty_home):
    """Makes a notification."""

    def create(recipient, subject, priority="high"):
        with empty_home.register() as session:
            return Notifications(session).create(
                "tape_delayed",
                priority,
                recipient=recipient,
                subject=subject,
                body="why",
                business_date=date(2025, 3, 31),
            )

    return create


def tick():
    resources = {name: definitions.resources[name] for name in ("register", "mail")}
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance, resources=resources) as context:
        return email_notifications.evaluate_tick(context).skip_message


def test_each_is_sent_once_to_whom_it_concerns(notify, mailbox, monkeypatch):
    monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
    monkeypatch.setenv("LENDING_MAIL_FROM", "lending@lender.example")
    notify("ann@lender.example", "Loan tape Harbour of 2025-03-31 delayed")
    notify("ann@lender.example", "Loan tape Harbour of 2025-03-31 delivered", priority="low")
    notify("team:capital-markets", "Loan tape Cedar of 2025-03-31 delayed")

    assert tick() == "1 sent"
    assert tick() == "0 sent"
    (message,) = mailbox.messages
    assert (message["To"], message["From"]) == ("ann@lender.example", "lending@lender.example")
    assert message["Subject"] == "Loan tape Harbour of 2025-03-31 delayed"
    assert message.get_content().strip() == "why"


def test_one_that_is_refused_holds_up_no_other_and_is_tried_again(notify, mailbox, monkeypatch):
    monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
    mailbox.refused.add("gone@lender.example")
    notify("gone@lender.example", "first")
    notify("ann@lender.example", "second")

    told = tick()
    assert told.startswith("1 sent; mail to gone@lender.example")
    assert "550 no such mailbox" in told
    mailbox.refused.clear()
    assert tick() == "1 sent"
    assert mailbox.to == ["ann@lender.example", "gone@lender.example"]


@pytest.mark.parametrize("recipient", ["ann@", "ann@[lender", "ann@lender.example;bob@lender.example"])
def test_one_whose_address_is_wrong_holds_up_no_other(notify, mailbox, monkeypatch, recipient):
    monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
    notify(recipient, "first")
    notify("ann@lender.example", "second")

    assert tick().startswith(f"1 sent; mail to {recipient!r}: this is not an email address")
    assert mailbox.to == ["ann@lender.example"]


def test_without_a_mail_server_they_wait(notify):
    notify("ann@lender.example", "first")
    assert tick() == "no mail server: set LENDING_SMTP_URL"
