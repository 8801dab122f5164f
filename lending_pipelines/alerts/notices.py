"""Decides who must be notified of what, and writes notifications.

What is due depends on the alerts as they are now and on what each recipient was notified of before. A notification that
is not sent yet is updated with the alert. One that was handed over or read is not changed.
"""

import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from lending_pipelines.alerts.life import rank
from lending_pipelines.alerts.printed import as_text
from lending_pipelines.alerts.recipients import has_address
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.alerts.words import capitalized, compared, compares, kind_of, label, measured, subject
from lending_pipelines.register.alert_models import OPEN_STATES, Alert, AlertEvent
from lending_pipelines.register.models import Base, Notification, NotificationChannel, NotificationType, Priority
from lending_pipelines.register.types import new_id, utc_now

WEBHOOK = "webhook"
"""The recipient of notifications by webhook."""

SETTLED_AFTER = timedelta(minutes=10)
"""An alert whose details are not computed within this time is notified without details."""

Change = Literal["opened", "escalated", "eased", "resolved"]
_OPEN_CHANGES = ("opened", "escalated", "eased")
_NOTIFIED = ("sending_at", "emailed_at", "read_at", "acted_at")
"""Columns with a time that show that the recipient was, or may have been, notified."""
_PRIORITIES: dict[str, Priority] = {"critical": "critical", "warning": "high"}
_TYPES: dict[str, NotificationType] = {
    "default_rate": "high_default_rate",
    "collection_rate": "low_collection_rate",
    "par_30": "high_par",
    "par_60": "high_par",
    "par_90": "high_par",
    "growth_rate": "negative_growth",
}


_ALERTS = Base.metadata.tables["alerts"]
_SETTLE = (
    sa.update(_ALERTS)
    .where(_ALERTS.c.alert_id == sa.bindparam("of_alert"), _ALERTS.c.state == "resolved")
    .values(is_settled=True)
)
"""Marks resolved alerts as settled: nobody has to be notified of them any more."""


@dataclass(frozen=True)
class Channels:
    """The admins' addresses, whether a webhook is configured, and the URL of Dagster's UI (empty if not known)."""

    admins: tuple[str, ...]
    webhook: bool = False
    ui_url: str = ""


def reconcile(session: Session, rules: dict[str, AlertRule], channels: Channels) -> None:
    """Replace the unsent notifications with those that are due."""
    alerts_found, notifications = _possibly_due(session)
    groups: dict[tuple[str, ...], list[Alert]] = defaultdict(list)
    for alert in alerts_found:
        groups[alert.topic, alert.subject_kind, alert.subject_id, alert.currency].append(alert)
    by_alert: dict[str, list[Notification]] = defaultdict(list)
    for notification in notifications:
        by_alert[str(notification.alert_id)].append(notification)
    snoozes = _snoozes(session)
    settled: list[Alert] = []
    for alerts in groups.values():
        existing = [each for alert in alerts for each in by_alert[alert.alert_id]]
        latest = next((alert for alert in reversed(alerts) if alert.state != "resolved"), alerts[-1])
        if latest.state == "resolved" and not existing:
            settled += alerts
            continue
        if latest.state != "resolved" and not _has_details(latest):
            continue
        snoozed_at = snoozes.get(latest.alert_id)
        is_due = _reconcile(session, latest, rules[latest.rule_id], existing, channels, snoozed_at)
        if latest.state == "resolved" and not is_due:
            settled += alerts
    session.flush()
    _settle(session, settled)


def _possibly_due(session: Session) -> tuple[list[Alert], list[Notification]]:
    """The alerts and notifications of each subject with an open or unsettled alert; alerts in order.

    An alert is settled when nobody has to be notified of it any more.
    """
    # Details are needed of open alerts only. They are loaded here, and the next query does not replace them.
    is_open = Alert.state.in_(OPEN_STATES)
    still_open = session.scalars(sa.select(Alert).where(is_open)).all()
    subject = (Alert.topic, Alert.subject_kind, Alert.subject_id, Alert.currency)
    concerned = sa.select(*subject).where(sa.or_(Alert.is_settled.is_(False), is_open))
    here = sa.tuple_(*subject).in_(concerned)
    query = sa.select(Alert).where(here).options(defer(Alert.details))
    found = list(session.scalars(query.order_by(Alert.opened_on)))
    assert len(still_open) <= len(found)
    notifications = sa.select(Notification).where(Notification.alert_id.in_(sa.select(Alert.alert_id).where(here)))
    return found, list(session.scalars(notifications))


def _settle(session: Session, alerts: Sequence[Alert]) -> None:
    """Record that nobody has to be notified of these alerts any more, unless one was reopened in the meantime."""
    if rows := [{"of_alert": alert.alert_id} for alert in alerts if not alert.is_settled]:
        session.execute(_SETTLE, rows)


def _has_details(alert: Alert) -> bool:
    """Whether the details are current, or the time to wait for them is over."""
    return is_current(alert) or utc_now() - alert.changed_at > SETTLED_AFTER


def is_current(alert: Alert) -> bool:
    """Whether the details are those of the alert's latest finding."""
    return _details(alert).get("as_of") == alert.last_on.isoformat()


def _snoozes(session: Session) -> dict[str, str]:
    """The severity at which each snoozed alert was last snoozed."""
    query = sa.select(AlertEvent).join(Alert, Alert.alert_id == AlertEvent.alert_id)
    query = query.where(Alert.state == "snoozed", AlertEvent.step == "snoozed").order_by(AlertEvent.at)
    return {event.alert_id: event.severity for event in session.scalars(query)}


def _reconcile(
    session: Session,
    alert: Alert,
    rule: AlertRule,
    existing: Sequence[Notification],
    channels: Channels,
    snoozed_at: str | None,
) -> bool:
    """Replace the unsent notifications of a subject with those that are due. Returns whether any is due."""
    is_due = False
    # Only recipients who were notified of the open alert are notified that it was resolved.
    wanted: dict[tuple[str, NotificationChannel], None] = {}
    if alert.state != "resolved":
        addresses = _details(alert).get("recipients") or list(channels.admins)
        wanted = {(address, "email"): None for address in addresses}
        if channels.webhook:
            wanted[WEBHOOK, "webhook"] = None
    rows: dict[tuple[str, NotificationChannel], list[Notification]] = defaultdict(list)
    for notification in existing:
        rows[notification.recipient, notification.channel].append(notification)
    for key in {**wanted, **rows}:
        told = sorted((each for each in rows[key] if was_notified(each)), key=_notified_at)
        pending = [each for each in rows[key] if not was_notified(each)]
        change = _change(alert, told, snoozed_at)
        if change not in (None, "resolved") and key not in wanted:
            change = None
        if change is None:
            unwanted = pending
        else:
            is_due = True
            kept, unwanted = (pending[0], pending[1:]) if pending else (_new(session, key), [])
            _write(kept, change, alert, rule, channels)
        for notification in unwanted:
            session.delete(notification)
    return is_due


def was_notified(notification: Notification) -> bool:
    """Whether the recipient was, or may have been, notified: it was handed over, read or acted on."""
    return _notified_at(notification) is not None


def _notified_at(notification: Notification) -> Any:
    """When the recipient was, or may have been, notified; None if not yet."""
    return next((at for name in _NOTIFIED if (at := getattr(notification, name))), None)


def _change(alert: Alert, told: Sequence[Notification], snoozed_at: str | None) -> Change | None:
    """What a recipient must be notified of, given what they were notified of before; None if of nothing."""
    last = told[-1] if told else None
    last_open = last is not None and _recorded(last, "change") in _OPEN_CHANGES
    if alert.state == "resolved":
        return "resolved" if last_open else None
    if alert.state == "snoozed" and snoozed_at is not None and rank(alert.severity) <= rank(snoozed_at):
        return None
    if last is not None and last_open:
        before = rank(_recorded(last, "severity"))
    else:
        # The alert is new or was reopened. Only notifications of this alert count.
        of_this = [each for each in told if _recorded(each, "opened_on") >= alert.opened_on.isoformat()]
        opened = [rank(_recorded(each, "severity")) for each in of_this if _recorded(each, "change") in _OPEN_CHANGES]
        if not opened:
            return "opened"
        before = max(opened)
    now = rank(alert.severity)
    if now > before:
        return "escalated"
    return "eased" if now < before and last_open else None


def _recorded(notification: Notification, name: str) -> Any:
    return (notification.alert_data or {}).get(name, "")


def _new(session: Session, key: tuple[str, NotificationChannel]) -> Notification:
    recipient, channel = key
    notification = Notification(
        notification_id=new_id(), recipient=recipient, channel=channel, notification_type="portfolio_alert",
        priority="high", subject="", body="",
    )  # fmt: skip
    session.add(notification)
    return notification


def _write(notification: Notification, change: Change, alert: Alert, rule: AlertRule, channels: Channels) -> None:
    """Write what changed into the notification. Values that are already there are not written again."""
    data = content(change, alert, rule, channels)
    is_open = change in ("opened", "escalated")
    values = {
        "notification_type": notification_type(alert, rule),
        "priority": _PRIORITIES[alert.severity] if is_open else "normal",
        "subject": data["title"],
        "body": as_text(data),
        "action_required": is_open,
        "alert_data": data,
        "business_date": alert.resolved_on or alert.last_on,
        "alert_id": alert.alert_id,
        "snapshot": data["snapshot"],
    }
    for name, value in values.items():
        if getattr(notification, name) != value:
            setattr(notification, name, value)


def content(change: Change, alert: Alert, rule: AlertRule, channels: Channels) -> dict[str, Any]:
    """What a notification of a change of an alert says, as JSON values: texts, numbers, history, loans and links."""
    details = _details(alert)
    about = subject(alert.subject_kind, alert.subject_id, details.get("name"))
    column = rule.measured.column if rule.metric else details.get("metric") or rule.detector
    what = capitalized(label(column))
    word = {"opened": alert.severity, "escalated": "now critical", "eased": "eased", "resolved": "resolved"}[change]
    snapshot = _snapshot(alert, rule)
    return {
        "title": f"{capitalized(word)}: {what} of {about}",
        "change": change,
        "severity": alert.severity,
        "rule": rule.name,
        "detector": rule.detector,
        "number": what,
        "subject": about,
        "currency": alert.currency,
        "kind": kind_of(rule),
        "value": alert.value,
        "threshold": alert.threshold,
        "operator": rule.operator,
        "compares": capitalized(compares(rule, label(column))),
        "value_text": measured(rule, alert.value, alert.currency),
        "threshold_text": _threshold(alert, rule),
        "opened_on": alert.opened_on.isoformat(),
        "last_on": alert.last_on.isoformat(),
        "resolved_on": alert.resolved_on.isoformat() if alert.resolved_on else None,
        "text": alert.text,
        "advice": details.get("advice", ""),
        "history": details.get("history", []),
        "loans": details.get("loans", []),
        "without_address": [each for each in details.get("recipients", []) if not has_address(each)],
        "alert_id": alert.alert_id,
        "snapshot": snapshot,
        "links": _links(alert, snapshot, channels.ui_url),
    }  # fmt: skip


def _threshold(alert: Alert, rule: AlertRule) -> str:
    details = _details(alert)
    if rule.detector == "anomaly":
        low, high = (measured(rule, details.get(name), alert.currency) for name in ("low", "high"))
        return f"{low} to {high} expected"
    side = compared(rule.operator) if rule.operator else "limit"
    return f"{side} {measured(rule, alert.threshold, alert.currency)}"


def _snapshot(alert: Alert, rule: AlertRule) -> dict[str, str] | None:
    """The row that the alert is about: its table and key."""
    if rule.metric is None:
        return None
    if rule.detector == "close_summary":
        return {"table": rule.measured.table, "business_date": alert.last_on.isoformat()}
    key = {"business_date": alert.last_on.isoformat(), "currency": alert.currency, **rule.where}
    if rule.measured.per_manager:
        key["manager_id"] = alert.subject_id
    else:
        key |= {"scope": alert.subject_kind, "scope_id": alert.subject_id}
    return {"table": rule.measured.table, **key}


def _links(alert: Alert, snapshot: dict[str, str] | None, ui_url: str) -> dict[str, str]:
    """The commands that show the alert and its subject, and the snapshot's page if the URL of Dagster is known."""
    links = {"alert": f"lending alerts show {alert.alert_id}"}
    is_manager = alert.subject_kind == "manager"
    if is_manager or (snapshot and alert.subject_kind != "close"):
        report = f"lending report {'manager_performance' if is_manager else 'portfolio_summary'}"
        links["report"] = f"{report} --set as_of={alert.last_on}"
        if alert.subject_kind != "all":
            links["report"] += f" --set {shlex.quote(f'{alert.subject_kind}={alert.subject_id}')}"
    if ui_url and snapshot:
        links["snapshot"] = f"{ui_url.rstrip('/')}/assets/{snapshot['table']}?partition={alert.last_on}"
    return links


def notification_type(alert: Alert, rule: AlertRule) -> NotificationType:
    """The type of the notifications of an alert."""
    if rule.metric is None:
        return "high_par" if rule.detector == "missed_installments" else "portfolio_alert"
    if rule.measured.column == "health_score":
        return "portfolio_health_critical" if alert.severity == "critical" else "portfolio_health_warning"
    return _TYPES.get(rule.measured.column, "portfolio_alert")


def _details(alert: Alert) -> dict[str, Any]:
    return alert.details or {}
