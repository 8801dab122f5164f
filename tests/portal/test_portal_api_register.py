"""What the API shows of the register and the platform: alerts and the steps of people, tapes, the overview."""

import json
from decimal import Decimal

import pytest
from homes import LAST
from people import People

from lending_pipelines.register.alert_models import Alert, AlertEvent
from lending_pipelines.register.models import LoanTapeConfig

API = "/api/v1"


@pytest.fixture
def alerts(portal_home):
    """The alerts of the home, by id."""
    with portal_home.register() as session:
        return {alert.alert_id: alert for alert in session.query(Alert)}


def all_of(browser, path, **parameters):
    rows, cursor = [], None
    while True:
        answer = browser.get(f"{API}/{path}", params=parameters | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        rows += answer.json()["data"]
        cursor = answer.json()["next"]
        if cursor is None:
            return rows


@pytest.mark.parametrize("sort", ["-opened_on", "severity", "-subject_id"])
def test_alerts_are_listed_in_pages_and_filtered(people: People, alerts, sort):
    rows = all_of(people.sign_in("controller"), "alerts", limit=7, sort=sort)
    assert {row["alert_id"] for row in rows} == alerts.keys()
    assert len(rows) == len(alerts)
    column = sort.removeprefix("-")
    assert [row[column] for row in rows] == sorted((row[column] for row in rows), reverse=sort.startswith("-"))
    critical = all_of(people.sign_in("controller"), "alerts", severity="critical", state="open")
    assert {row["alert_id"] for row in critical} == {
        name for name, alert in alerts.items() if (alert.severity, alert.state) == ("critical", "open")
    }


def test_a_manager_sees_the_alerts_of_the_team_only(people: People, alerts, book):
    rows = all_of(people.sign_in("manager"), "alerts")
    own = {name for name, alert in alerts.items() if alert.subject_id in book.team}
    assert {row["alert_id"] for row in rows} == own
    other = next(name for name in alerts if name not in own)
    manager = people.sign_in("manager")
    assert manager.get(f"{API}/alerts/{other}").status_code == 404
    assert manager.post(f"{API}/alerts/{other}/acknowledge", json={"reason": "mine"}).status_code == 404


def test_an_alert_is_acknowledged_once_however_often_it_is_sent(people: People, alerts, portal_home):
    name = next(each for each, alert in alerts.items() if alert.state == "open")
    browser = people.sign_in("controller")
    before = len(browser.get(f"{API}/alerts/{name}").json()["steps"])
    for _ in range(2):
        sent = {"reason": "We call them."}
        answer = browser.post(f"{API}/alerts/{name}/acknowledge", json=sent, headers={"idempotency-key": "k1"})
        assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged"), answer.text
    steps = browser.get(f"{API}/alerts/{name}").json()["steps"]
    assert len(steps) == before + 1
    assert (steps[-1]["step"], steps[-1]["by"], steps[-1]["reason"]) == ("acknowledged", "controller", "We call them.")
    with portal_home.register() as session:
        assert session.query(AlertEvent).filter_by(alert_id=name, step="acknowledged").count() == 1
    for _ in range(2):
        answer = browser.post(f"{API}/alerts/{name}/reopen", json=sent, headers={"idempotency-key": "k2"})
        assert (answer.status_code, answer.json()["state"]) == (200, "open"), answer.text
    assert browser.post(f"{API}/alerts/{name}/reopen", json=sent).status_code == 409


def test_steps_that_cannot_be_taken_are_refused(people: People, alerts):
    browser = people.sign_in("controller")
    resolved = next(name for name, alert in alerts.items() if alert.state == "resolved")
    answer = browser.post(f"{API}/alerts/{resolved}/acknowledge", json={"reason": "late"})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert "was resolved on" in answer.json()["detail"]
    still = next(name for name, alert in alerts.items() if alert.state == "open")
    assert browser.post(f"{API}/alerts/{still}/acknowledge", json={"reason": " "}).status_code == 422
    assert browser.post(f"{API}/alerts/{still}/snooze", json={"reason": "x", "until": "2020-01-01"}).status_code == 409
    assert people.sign_in("auditor").post(f"{API}/alerts/{still}/acknowledge", json={"reason": "x"}).status_code == 403


def test_investors_see_their_own_tapes(people: People, portal_home, book):
    with portal_home.register() as session:
        configs = {config.config_id: config.investor_id for config in session.query(LoanTapeConfig)}
    assert {row["config_id"] for row in all_of(people.sign_in("controller"), "tapes")} == configs.keys()
    own = {row["config_id"] for row in all_of(people.sign_in("investor"), "tapes")}
    assert own == {name for name, investor in configs.items() if investor == book.investor}
    for name in configs:
        expected = 200 if name in own else 404
        assert people.sign_in("investor").get(f"{API}/tapes/{name}/deliveries").status_code == expected


def test_the_overview_has_the_numbers_of_the_last_day(people: People, book):
    rows = [row for row in book.home.rows("platform_activity") if row["business_date"] == LAST]
    found = people.sign_in("admin").get(f"{API}/platform/overview").json()
    assert found["business_date"] == LAST.isoformat()
    assert found["total_users"] == len(book.home.rows("users"))
    assert found["active_loans"] == len([row for row in book.last if row["status"] == "active"])
    assert {each["currency"]: Decimal(each["amount"]) for each in found["total_volume"]} == {
        row["currency"]: row["total_volume"] for row in rows
    }
    balances = json.loads(rows[0]["wallet_balances"], parse_float=Decimal)
    assert [Decimal(each["balance"]) for each in found["wallet_balances"]] == [each["balance"] for each in balances]
    assert people.sign_in("controller").get(f"{API}/platform/overview").status_code == 403
    assert people.sign_in("admin").get(f"{API}/platform/overview?date=1999-01-01").status_code == 404
