"""Alerts and notifications as one person sees them, from the register."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.alerts.chart import FEWEST_DAYS, altair_chart
from lending_pipelines.alerts.notices import Channels, content, notification_type
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.alerts.saved_rules import saved_rules
from lending_pipelines.portal.access import Access
from lending_pipelines.portal.scoped_register import alert_is_covered, covered_alerts
from lending_pipelines.portal.web.charts import WebChart, web_spec
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.register import Alerts, Notifications
from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding, AlertState
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import Notification
from lending_pipelines.reports.book import Kind, ReportColumn

PersonsStep = Literal["acknowledge", "snooze", "reopen"]
"""The steps that a person takes."""

_MOST = 10_000

_HEIGHT = 200
"""The pixels of a chart; in a mail it is lower."""

_COLUMN_KINDS: Mapping[str, Kind] = {"fraction": "rate", "money": "money", "count": "count", "percent": "percent"}
"""The kind of a report column by the kind of a metric. Other metrics are plain numbers."""


@dataclass(frozen=True)
class ListedAlert:
    """An alert in a list. `kind` is the type of its notifications; `is_unread`: nobody has read any of them yet."""

    alert: Alert
    kind: str
    is_unread: bool


@dataclass(frozen=True)
class AlertDetail:
    """An alert with its rule, steps, findings, and the notifications that the person may see."""

    alert: Alert
    kind: str
    rule: AlertRule
    content: dict[str, Any]
    steps: Sequence[AlertEvent]
    findings: Sequence[AlertFinding]
    notifications: Sequence[Notification]
    chart: WebChart | None

    @property
    def is_unread(self) -> bool:
        """Whether one of the notifications is not read."""
        return any(each.read_at is None for each in self.notifications)

    @property
    def needs_action(self) -> bool:
        """Whether a notification requires an action that is not recorded yet."""
        return any(each.action_required and each.acted_at is None for each in self.notifications)


def listed_alerts(
    access: Access,
    states: Sequence[AlertState],
    *,
    severity: str | None = None,
    kind: str | None = None,
    unread: bool = False,
) -> list[ListedAlert]:
    """The alerts in the scope of the person, critical ones first, the latest opening first."""
    with access.reading() as session:
        alerts = covered_alerts(session, access.grants, states, severity)
        # Without alerts there may be no rules yet, which `saved_rules` would add.
        rules = saved_rules(session) if alerts else {}
        unread_ids = {each.alert_id for each in _notifications(access, session, unread=True)}
    listed = [
        ListedAlert(alert, notification_type(alert, rules[alert.rule_id]), alert.alert_id in unread_ids)
        for alert in alerts
    ]
    return [each for each in listed if kind in (None, each.kind) and (each.is_unread or not unread)]


def alert_detail(access: Access, alert_id: str) -> AlertDetail:
    """An alert. Raises NotFound when there is none in the scope of the person."""
    with access.reading() as session:
        alert = covered_alert(access, session, alert_id)
        rule = saved_rules(session)[alert.rule_id]
        findings = list(
            session.scalars(
                sa.select(AlertFinding)
                .where(
                    AlertFinding.topic == alert.topic,
                    AlertFinding.subject_kind == alert.subject_kind,
                    AlertFinding.subject_id == alert.subject_id,
                    AlertFinding.currency == alert.currency,
                    AlertFinding.business_date.between(alert.opened_on, alert.last_on),
                )
                .order_by(AlertFinding.business_date.desc())
            )
        )
        shown = content("opened", alert, rule, Channels(()))
        return AlertDetail(
            alert,
            notification_type(alert, rule),
            rule,
            shown,
            Alerts(session).events(alert.alert_id),
            findings,
            _notifications(access, session, alert_id=alert.alert_id),
            _chart(shown, findings),
        )


def covered_alert(access: Access, session: Session, alert_id: str) -> Alert:
    """The alert whose id begins with the text. Raises NotFound for none in the scope, or several."""
    with suppress(RegisterError):
        alert = Alerts(session).get(alert_id)
        if alert_is_covered(alert, access.grants):
            return alert
    raise NotFound("There is no such alert, or you may not see it.")


def take_step(
    access: Access,
    alert_id: str,
    step: PersonsStep,
    reason: str,
    until: date | None = None,
    event_id: str | None = None,
) -> Alert:
    """Take a step and record it, both in one transaction. Returns the alert after it.

    Args:
        access: Who takes it.
        alert_id: The alert.
        step: The step.
        reason: Why.
        until: The last business date of a snooze.
        event_id: The id of the step, if it may be sent twice.

    Raises:
        NotFound: There is no such alert in the scope of the person.
        RegisterError: The state of the alert does not allow the step, or a value is wrong.
    """
    with access.register() as session:
        alerts, by = Alerts(session), access.person.username
        alert_id = covered_alert(access, session, alert_id).alert_id
        match step:
            case "acknowledge":
                changed = alerts.acknowledge(alert_id, by, reason, event_id)
            case "reopen":
                changed = alerts.reopen(alert_id, by, reason, event_id)
            case "snooze":
                if until is None:
                    raise RegisterError("write the last day of the snooze")
                changed = alerts.snooze(alert_id, by, reason, until, event_id)
        access.audit("allowed", resource=f"alert {alert_id}", reason=f"{step}: {reason}", session=session)
        return changed


def mark(access: Access, session: Session, alert_id: str, step: str) -> int:
    """Mark the notifications of an alert that the person may see: `read`, or `act` that the action was taken.

    Returns:
        The number of notifications.
    """
    notifications = Notifications(session)
    found = _notifications(access, session, alert_id=covered_alert(access, session, alert_id).alert_id)
    for each in found:
        if step == "act" and each.action_required:
            notifications.act(each.notification_id)
        else:
            notifications.read(each.notification_id)
    return len(found)


def messages(
    access: Access, *, priority: str | None = None, kind: str | None = None, unread: bool = False
) -> list[Notification]:
    """The notifications that the person may see, the latest first."""
    with access.reading() as session:
        return _notifications(access, session, priority=priority, kind=kind, unread=unread)


def message(access: Access, session: Session, notification_id: str) -> Notification:
    """The notification with that id. Raises NotFound when the person may not see one."""
    found = session.get(Notification, notification_id)
    if found is None or (_recipient(access) is not None and found.recipient != _recipient(access)):
        raise NotFound("There is no such notification, or you may not see it.")
    return found


def opened_since(access: Access, since: datetime) -> list[Alert]:
    """The open alerts in the scope of the person that changed after a time."""
    with access.reading() as session:
        found = session.scalars(sa.select(Alert).where(Alert.changed_at > since, Alert.state == "open"))
        return [alert for alert in found if alert_is_covered(alert, access.grants)]


def _recipient(access: Access) -> str | None:
    """Whose notifications the person sees: everybody's (None) without restrictions, else those to their address."""
    if access.lender_wide:
        return None
    return access.person.email or ""


def _notifications(
    access: Access,
    session: Session,
    *,
    alert_id: str | None = None,
    priority: str | None = None,
    kind: str | None = None,
    unread: bool = False,
) -> list[Notification]:
    found = Notifications(session).recent(
        _recipient(access), _MOST, priority=priority, notification_type=kind, unread=unread
    )
    return [each for each in found if alert_id in (None, each.alert_id)]


def _chart(shown: dict[str, Any], findings: Sequence[AlertFinding]) -> WebChart | None:
    """The alert's number by day: from the close's history, or of a resolved alert from its findings."""
    by_day: dict[str, Any] = {each.business_date.isoformat(): each.value for each in findings if each.value is not None}
    by_day |= dict(shown["history"])
    history = [[day, by_day[day]] for day in sorted(by_day)]
    if len(history) < FEWEST_DAYS:
        return None
    kind = _COLUMN_KINDS.get(shown["kind"], "number")
    columns = (ReportColumn("day", "Day", "date"), ReportColumn("value", shown["number"], kind))
    rows = [{"day": date.fromisoformat(day), "value": value} for day, value in history]
    spec = web_spec(altair_chart({**shown, "history": history})) | {"height": _HEIGHT}
    return WebChart(shown["number"], spec, columns, rows)


def by_kind(alerts: Sequence[ListedAlert]) -> dict[str, int]:
    """The number of alerts by type."""
    found: dict[str, int] = defaultdict(int)
    for each in alerts:
        found[each.kind] += 1
    return dict(sorted(found.items()))
