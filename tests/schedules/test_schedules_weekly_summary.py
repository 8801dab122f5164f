"""The weekly summary from the schedule to the mail: requested once, made by runs, sent by a real mail server."""

import io
import re
from datetime import UTC, date, datetime

import dagster as dg
import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from lending_pipelines.definitions import definitions
from lending_pipelines.register import Notifications, ReportRequests
from lending_pipelines.runs import run_job
from lending_pipelines.schedules.weekly_summary import weekly_summary_schedule
from lending_pipelines.sensors import email_notifications

MONDAY = datetime(2025, 3, 10, 9, tzinfo=UTC)
FIRST, SUNDAY = date(2025, 3, 3), date(2025, 3, 9)
ADMIN = "ann@lender.example"


def tick(at):
    """What the schedule answers at a time."""
    resources = {name: definitions.resources[name] for name in ("lake", "register")}
    with dg.build_schedule_context(scheduled_execution_time=at, resources=resources) as context:
        return weekly_summary_schedule.evaluate_tick(context)


def send():
    """Evaluate the sensor that sends mail."""
    resources = {name: definitions.resources[name] for name in ("register", "mail")}
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance, resources=resources) as context:
        return email_notifications.evaluate_tick(context).skip_message


def config_of(request):
    (op,) = request.run_config["ops"].values()
    return op["config"]


@pytest.fixture
def admins(home, mailbox, monkeypatch):
    monkeypatch.setenv("LENDING_ALERT_ADMINS", ADMIN)
    monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
    with home.register() as session:
        # The mails of the alerts of the home are another test's.
        session.execute(sa.text("DELETE FROM notifications"))
        session.execute(sa.text("DELETE FROM alert_events"))
        session.execute(sa.text("DELETE FROM alerts"))


def test_it_is_on_monday_at_nine():
    assert weekly_summary_schedule.cron_schedule == "0 9-23 * * 1"
    assert weekly_summary_schedule.job_name == "report_weekly_summary"


def test_from_the_schedule_to_the_mail_once(home, admins, mailbox):
    requests = tick(MONDAY).run_requests
    by_leader = {config_of(request)["leader"]: request for request in requests}
    with_loans = {each["manager_id"] for each in home.rows("manager_snapshots", SUNDAY, SUNDAY)}
    staff = [row for row in home.rows("staff") if row["role"] == "team_leader" and row["staff_id"] in with_loans]
    leaders = {row["staff_id"]: row["email"] for row in staff}
    assert by_leader.keys() == {"ALL", *leaders}
    assert len(leaders) > 2
    leader = min(leaders)
    assert config_of(by_leader[leader])["notify"] == [leaders[leader]]
    assert {config_of(request)["as_of"] for request in requests} == {"2025-03-09"}

    for name in ("ALL", leader):
        run_job("report_weekly_summary", by_leader[name].run_config)
    # An hour later, only what was not made yet is requested.
    later = {config_of(request)["leader"] for request in tick(MONDAY.replace(hour=10)).run_requests}
    assert later == leaders.keys() - {leader}
    assert send() == "2 sent"
    # The run is repeated: the report is made again, and nobody gets it twice.
    again = run_job("report_weekly_summary", by_leader["ALL"].run_config)
    assert again.metadata["weekly_summary"]["notified"] == "nobody: the recipients have this report"
    assert send() == "0 sent"

    mails = {message["To"]: message for message in mailbox.messages}
    assert mails.keys() == {ADMIN, leaders[leader]}
    assert mails[ADMIN]["Subject"] == "Weekly summary: 2025-03-03 to 2025-03-09"
    assert leader in mails[leaders[leader]]["Subject"]
    for message in mails.values():
        assert message.get_body(("html",)) is not None
        assert [part.get_content_type() for part in message.iter_attachments()] == ["application/pdf"]
    expected = worked(home)
    text = "\n".join(mails[ADMIN].get_body(("plain",)).get_content().splitlines())
    dollars = text[text.index("\nUSD\n") :]
    assert re.search(r"^Disbursed +(\S+)", dollars, re.MULTILINE)[1] == f"{expected['disbursed']:,.2f}"
    assert re.search(r"^Collected +(\S+)", dollars, re.MULTILINE)[1] == f"{expected['collected']:,.2f}"
    (attached,) = mails[ADMIN].iter_attachments()
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(attached.get_content())).pages]
    amounts = f"{expected['disbursed']:,.2f} {expected['collected']:,.2f}"
    # The amounts and clients, and below them the book at the end of the week.
    row, _ = re.findall(rf"{FIRST} to {SUNDAY}\s+USD\s+(.*)", pages[1])
    assert row.startswith(amounts)
    assert int(row.split()[3]) == expected["new_loans"]


def worked(home):
    """The week's numbers in dollars, added up from the servicing database."""
    signs = {"repayment": 1, "recovery": 1, "refund": -1, "reversal": -1}
    engine = sa.create_engine(home.servicing_url)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT t.type, t.amount, t.effective_on FROM transactions t JOIN loans l USING (loan_id)"
                " WHERE l.currency = 'USD' AND t.effective_on BETWEEN :first AND :last"
            ),
            {"first": FIRST.isoformat(), "last": SUNDAY.isoformat()},
        ).all()
    engine.dispose()
    disbursed = [row.amount for row in rows if row.type == "disbursement"]
    return {
        "disbursed": sum(disbursed),
        "new_loans": len(disbursed),
        "collected": sum(signs.get(row.type, 0) * row.amount for row in rows),
    }


def test_while_the_week_is_not_closed_everyone_is_told_once(home, admins, mailbox):
    # 15 and 16 March are not closed.
    monday = datetime(2025, 3, 17, 9, tzinfo=UTC)
    found = tick(monday)
    assert found.run_requests == []
    reason = "2025-03-16 is not closed: run `lending close --from 2025-03-16 --to 2025-03-16` first"
    assert found.skip_message == f"the weekly summary waits: {reason}"
    tick(monday.replace(hour=10))

    with home.register() as session:
        told = Notifications(session).recent(notification_type="report_failed")
        assert ReportRequests(session).requested("weekly_summary", "weekly_summary_schedule") == []
    recipients = [each.recipient for each in told]
    assert ADMIN in recipients
    assert len(set(recipients)) == len(recipients) > 2
    assert send() == f"{len(recipients)} sent"
    assert {message["Subject"] for message in mailbox.messages} == {
        "Weekly summary up to 2025-03-16 waits for the close"
    }
    assert all(reason in message.get_content() for message in mailbox.messages)


def test_before_the_first_close_nobody_is_told(empty_home):
    assert tick(MONDAY).skip_message == "no day is closed yet"


def test_a_report_that_fails_is_told_to_those_who_wait_for_it_once(home, admins):
    with home.register() as session:
        report_id = ReportRequests(session).create("weekly_summary", {}, "pdf", "board", ["bo@lender.example"])
        ReportRequests(session).fail(report_id, "the disk is full", "run")
        ReportRequests(session).retry(report_id)
        ReportRequests(session).fail(report_id, "the disk is full", "run")
        (told,) = Notifications(session).recent()
    assert (told.recipient, told.notification_type) == ("bo@lender.example", "report_failed")
    assert told.body.startswith("the disk is full")
