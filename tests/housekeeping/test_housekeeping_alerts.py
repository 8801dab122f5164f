"""Alerts: open ones stay with their days, resolved ones go by age with their steps and findings."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from lending_pipelines.housekeeping.references import references
from lending_pipelines.housekeeping.register_rows import register_chores
from lending_pipelines.register import Notifications, Register
from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding, AlertRuleRow
from lending_pipelines.register.models import Notification

BEFORE = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def register(tmp_path):
    """A register with an open alert of 2023, one resolved on 1 May 2024 and one resolved on 1 June 2024."""
    made = Register(f"sqlite:///{tmp_path / 'register.db'}")
    made.upgrade()
    with made.session() as session:
        session.add(
            AlertRuleRow(
                rule_id="R",
                name="PAR 30",
                detector="threshold",
                scope="all",
                severity="critical",
                message="",
                settings={},
            )
        )
        session.flush()
        for name, opened, resolved in (
            ("open", date(2023, 3, 1), None),
            ("old", date(2024, 4, 1), date(2024, 5, 1)),
            ("young", date(2024, 4, 1), date(2024, 6, 1)),
        ):
            subject = {"topic": "par_30", "subject_kind": "branch", "subject_id": name, "currency": "USD"}
            state = "resolved" if resolved else "open"
            last = resolved or date(2024, 5, 20)
            session.add(
                Alert(
                    alert_id=name,
                    rule_id="R",
                    **subject,
                    opened_on=opened,
                    last_on=last,
                    severity="critical",
                    text="",
                    state=state,
                    resolved_on=resolved,
                )
            )
            session.flush()
            session.add(AlertEvent(alert_id=name, business_date=opened, number=0, step="opened", severity="critical"))
            session.add(
                AlertFinding(rule_id="R", business_date=opened, **subject, severity="critical", text="", ended=False)
            )
            Notifications(session).create("portfolio_alert", "critical", recipient="risk", subject=name, body="")
        for notification in session.scalars(sa.select(Notification)):
            notification.created_at, notification.alert_id = datetime(2023, 1, 1, tzinfo=UTC), notification.subject
    yield made
    made.dispose()


def left(register, column):
    with register.session() as session:
        return sorted(session.scalars(sa.select(column)))


def test_open_and_young_alerts_stay_whole(register):
    alerts, _, notifications = register_chores(register, BEFORE, BEFORE)
    assert (alerts.rows, alerts.kept) == (1, "1 open")
    assert (notifications.rows, notifications.kept) == (
        0,
        "3 older: of an alert that is kept, or unread and an action is required",
    )
    alerts.do()
    for column in (Alert.alert_id, AlertEvent.alert_id, AlertFinding.subject_id):
        assert left(register, column) == ["open", "young"]


def test_the_notifications_of_an_alert_go_after_it(register):
    register_chores(register, BEFORE, BEFORE)[0].do()
    *_, notifications = register_chores(register, BEFORE, BEFORE)
    assert notifications.rows == 1
    notifications.do()
    assert left(register, Notification.subject) == ["open", "young"]


def test_old_findings_of_unknown_numbers_go(register):
    with register.session() as session:
        for day in (date(2024, 5, 31), date(2024, 6, 1)):
            unknown = AlertFinding(
                rule_id="R", business_date=day, topic="par_30", subject_kind="branch", subject_id=f"unknown {day}",
                currency="USD", text="", ended=False,
            )  # fmt: skip
            session.add(unknown)
    _, findings, _ = register_chores(register, BEFORE, BEFORE)
    assert findings.rows == 1
    findings.do()
    assert left(register, AlertFinding.subject_id) == ["old", "open", "unknown 2024-06-01", "young"]


def test_an_open_alert_keeps_the_day_on_which_it_began_and_the_last(register):
    found = references(register, [], [])
    assert found.days == {date(2023, 3, 1): "an open alert", date(2024, 5, 20): "an open alert"}


def test_a_policy_of_forever_has_no_chores(register):
    assert register_chores(register, None, None) == []
