"""The pages Alerts: lists, one alert, the steps that people take, notifications, events, scope and bad parameters."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from homes import LAST
from page_rows import column, tables
from people import People

from lending_pipelines.register import Alerts, Notifications
from lending_pipelines.register.alert_models import Alert

UNRESOLVED = ("open", "acknowledged", "snoozed")


@pytest.fixture(scope="module")
def alerts(portal_home):
    with portal_home.register() as session:
        return [
            (each.alert_id, each.severity, each.state, each.subject_id, each.text)
            for each in Alerts(session).listed(limit=10_000)
        ]


def listed(page: str) -> list[str]:
    """The texts of the alerts of a list, without the subject that stands below."""
    rows = tables(page).get("Alerts", [[]])[1:]
    return [row[1].split(". ")[0].rstrip(".") for row in rows]


def texts(alerts) -> list[str]:
    return sorted(text.split(". ")[0].rstrip(".") for *_, text in alerts)


@pytest.fixture
def one(portal_home, book):
    """An alert that is not resolved, about a member of the leader's team, with a notification to the leader."""
    with portal_home.register() as session:
        alert = next(
            each for each in Alerts(session).listed(states=UNRESOLVED, limit=1000) if each.subject_id in book.team
        )
        notification_id = Notifications(session).create(
            "high_default_rate",
            "critical",
            recipient="manager@example.com",
            subject="<b>Default rate</b>",
            body="What to do",
            action_required=True,
        )
        session.execute(
            sa.text("UPDATE notifications SET alert_id = :alert WHERE notification_id = :id"),
            {"alert": alert.alert_id, "id": notification_id},
        )
        return alert.alert_id, notification_id


def test_the_list_has_what_is_not_resolved_critical_first(people: People, alerts):
    page = people.sign_in("controller").get("/alerts").text
    assert sorted(listed(page)) == texts(each for each in alerts if each[2] in UNRESOLVED)
    severities = column(page, "Alerts", "Priority")
    assert severities == sorted(severities)
    assert set(severities) == {"Critical", "Warning"}
    resolved = people.sign_in("auditor").get("/alerts", params={"state": "resolved", "priority": "warning"}).text
    assert sorted(listed(resolved)) == texts(each for each in alerts if (each[2], each[1]) == ("resolved", "warning"))


def test_a_type_keeps_its_alerts(people: People, alerts):
    page = people.sign_in("admin").get("/alerts", params={"type": "high_default_rate"}).text
    expected = texts(each for each in alerts if each[2] in UNRESOLVED and each[4].startswith("Default rate"))
    assert sorted(listed(page)) == expected
    assert expected


def test_a_leader_has_the_alerts_of_the_team_and_no_others(people: People, alerts, book):
    browser = people.sign_in("manager")
    own = [each for each in alerts if each[2] in UNRESOLVED and each[3] in book.team]
    assert sorted(listed(browser.get("/alerts").text)) == texts(own)
    other = next(each for each in alerts if each[3] not in book.team)
    assert browser.get(f"/alerts/{own[0][0]}").status_code == 200
    assert browser.get(f"/alerts/{other[0]}").status_code == 404
    for step in ("acknowledge", "snooze", "reopen", "notifications/read", "notifications/act"):
        answer = browser.post(f"/alerts/{other[0]}/{step}", data={"reason": "mine", "until": "2030-01-01"})
        assert answer.status_code == 404, step


@pytest.mark.parametrize("name", ["investor", "customer"])
def test_who_does_no_work_of_the_lender_sees_no_alerts(people: People, name):
    assert people.sign_in(name).get("/alerts").status_code == 403


def test_an_alert_shows_its_number_by_day_and_its_loans(people: People, portal_home):
    with portal_home.register() as session:
        alert = next(
            each
            for each in Alerts(session).listed(states=("open",), limit=1000)
            if each.text.startswith("Default rate") and each.details["loans"]
        )
        subject_id, currency, loans = alert.subject_id, alert.currency, alert.details["loans"]
    page = people.sign_in("controller").get(f"/alerts/{alert.alert_id}").text
    days = [
        row["default_rate"]
        for row in portal_home.rows("manager_snapshots")
        if (row["manager_id"], row["currency"]) == (subject_id, currency)
    ]
    assert column(page, "Default rate", "Default rate") == [f"{value:.2f}%" for value in days]
    assert column(page, "Loans behind the alert", "Loan") == [loan["loan_id"] for loan in loans]


def test_who_acknowledges_an_alert_is_recorded(people: People, one, portal_home):
    alert_id, _ = one
    browser = people.sign_in("manager")
    refused = browser.post(f"/alerts/{alert_id}/acknowledge", data={"reason": "  "})
    assert refused.status_code == 422
    assert "reason must not be empty" in refused.text
    answer = browser.post(f"/alerts/{alert_id}/acknowledge", data={"reason": "<i>calling</i> them"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alerts/{alert_id}?done=acknowledge")
    page = browser.get(answer.headers["location"]).text
    assert "The alert is acknowledged." in page
    assert "Acknowledged by manager" in page
    assert "&lt;i&gt;calling&lt;/i&gt; them" in page
    assert "<i>calling" not in page
    with portal_home.register() as session:
        step = Alerts(session).events(alert_id)[-1]
        assert (step.step, step.by, step.reason) == ("acknowledged", "manager", "<i>calling</i> them")
        recorded = session.execute(
            sa.text("SELECT account, resource FROM audit_log WHERE action = 'alerts.act' ORDER BY entry_id DESC")
        ).first()
        assert tuple(recorded) == ("manager", f"alert {alert_id}")


def test_a_snooze_needs_a_day_that_is_not_judged_yet(people: People, one, portal_home):
    alert_id, _ = one
    browser = people.sign_in("controller")
    for until in ("", LAST.isoformat()):
        refused = browser.post(f"/alerts/{alert_id}/snooze", data={"reason": "waiting", "until": until})
        assert refused.status_code == 422, until
    until = LAST + timedelta(days=7)
    browser.post(f"/alerts/{alert_id}/snooze", data={"reason": "waiting", "until": until.isoformat()})
    with portal_home.register() as session:
        alert = session.get(Alert, alert_id)
        assert (alert.state, alert.snoozed_until, alert.acknowledged_by) == ("snoozed", until, "controller")
    assert f'action="/alerts/{alert_id}/reopen"' in browser.get(f"/alerts/{alert_id}").text
    assert browser.post(f"/alerts/{alert_id}/reopen", data={"reason": " "}).status_code == 422
    answer = browser.post(f"/alerts/{alert_id}/reopen", data={"reason": "not so"})
    page = browser.get(answer.headers["location"]).text
    assert "The alert is open again." in page
    assert "Reopened by controller" in page
    assert f'action="/alerts/{alert_id}/reopen"' not in page


def test_an_auditor_reads_and_changes_nothing(people: People, one, portal_home):
    alert_id, notification_id = one
    browser = people.sign_in("auditor")
    assert "/acknowledge" not in browser.get(f"/alerts/{alert_id}").text
    assert browser.post(f"/alerts/{alert_id}/acknowledge", data={"reason": "x"}).status_code == 403
    assert browser.post(f"/alerts/messages/{notification_id}/read").status_code == 403
    with portal_home.register() as session:
        assert Notifications(session).get(notification_id).read_at is None


def test_a_request_of_another_site_changes_nothing(people: People, one):
    answer = people.sign_in("manager").post(
        f"/alerts/{one[0]}/acknowledge", data={"reason": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_reading_and_acting_mark_the_notifications_of_an_alert(people: People, one, portal_home):
    alert_id, notification_id = one
    browser = people.sign_in("manager")
    assert "Unread" in browser.get("/alerts", params={"unread": "1"}).text
    browser.post(f"/alerts/{alert_id}/notifications/read")
    with portal_home.register() as session:
        found = Notifications(session).get(notification_id)
        assert found.read_at is not None
        assert found.acted_at is None
    browser.post(f"/alerts/{alert_id}/notifications/act")
    with portal_home.register() as session:
        assert Notifications(session).get(notification_id).acted_at is not None


def test_notifications_are_seen_by_their_recipient_and_by_who_sees_everything(people: People, one, portal_home):
    _, notification_id = one
    leader, officer, admin = (people.sign_in(name) for name in ("manager", "officer", "admin"))
    page = leader.get("/alerts/messages", params={"priority": "critical", "unread": "1"}).text
    assert "&lt;b&gt;Default rate&lt;/b&gt;" in page
    assert "<b>Default" not in page
    assert "manager@example.com" in admin.get("/alerts/messages").text
    assert "manager@example.com" not in officer.get("/alerts/messages").text
    assert officer.post(f"/alerts/messages/{notification_id}/act").status_code == 404
    assert leader.post(f"/alerts/messages/{notification_id}/act").status_code == 303
    with portal_home.register() as session:
        assert Notifications(session).get(notification_id).acted_at is not None


def test_new_alerts_come_as_events_to_who_may_see_them(people: People, one, portal_home):
    alert_id, _ = one
    before = datetime.now(UTC).isoformat()
    leader, officer = people.sign_in("manager"), people.sign_in("officer")
    first = leader.get("/alerts/events")
    assert first.headers["content-type"].startswith("text/event-stream")
    assert "event:" not in first.text
    assert "\nid: " in first.text
    with portal_home.register() as session:
        alert = session.get(Alert, alert_id)
        alert.state, alert.changed_at = "open", datetime.now(UTC)
        text = alert.text
    new = leader.get("/alerts/events", headers={"Last-Event-ID": before}).text
    assert f"event: alert\ndata: {text}\n" in new
    assert new.endswith("\n\n")
    assert "event:" not in officer.get("/alerts/events", headers={"Last-Event-ID": before}).text


BAD = ["nothing", "'", "<script>alert(1)</script>", "\0", "١", "-1", "9" * 30, "x" * 500, "%", "../..", "NaN"]


@pytest.mark.parametrize("value", BAD)
def test_no_parameter_breaks_a_page(people: People, alerts, value):
    browser, alert_id = people.sign_in("admin"), alerts[0][0]
    answers = [
        *(browser.get("/alerts", params={name: value}) for name in ("state", "priority", "type", "unread", "page")),
        *(browser.get("/alerts/messages", params={name: value}) for name in ("priority", "type", "done")),
        browser.get(f"/alerts/{alert_id}", params={"done": value}),
        browser.post(f"/alerts/{alert_id}/snooze", data={"reason": "x", "until": value}),
        browser.post("/alerts/nothing/acknowledge", data={"reason": value}),
        browser.post("/alerts/messages/nothing/nothing"),
    ]
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}
    assert not [answer for answer in answers if "<script>alert(1)" in answer.text]
