"""Saves findings, and brings the alerts of the register up to date with all findings, in one transaction.

Which alerts there are is decided in life.py. What is saved depends on the findings alone: not on the order in which
days were judged, nor on how often.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.alerts.findings import Evaluation, Finding
from lending_pipelines.alerts.life import Episode, episodes, rank
from lending_pipelines.alerts.rules import AlertRule, DetectorName
from lending_pipelines.register import Alerts
from lending_pipelines.register.alert_models import Alert, AlertDay, AlertEvent, AlertFinding, AlertState
from lending_pipelines.register.models import Notification
from lending_pipelines.register.types import new_id, utc_now

Key = tuple[str, str, str, str]
_LIGHT = [
    getattr(AlertFinding, name)
    for name in (
        "rule_id",
        "business_date",
        "topic",
        "subject_kind",
        "subject_id",
        "currency",
        "severity",
        "value",
        "threshold",
        "ended",
    )
]


def record(
    session: Session,
    rules: Mapping[str, AlertRule],
    evaluation: Evaluation,
    days: Sequence[date],
    detectors: Collection[DetectorName],
    *,
    once_found_stays: bool = False,
) -> None:
    """Replace the findings of the judged rules and days, and update the alerts of these kinds.

    Args:
        session: A session of the register.
        rules: Every rule by its rule_id.
        evaluation: What the rules found.
        days: The days that were evaluated. Rules that are not active count as judged on them, without findings.
        detectors: The kinds of rules that were evaluated.
        once_found_stays: A finding of these days that is found no more has ended, instead of never having been.
    """
    ids = {rule.name: rule_id for rule_id, rule in rules.items()}
    judged = {ids[name]: own for name, own in evaluation.judged.items()}
    found = [(ids[finding.rule], finding) for finding in evaluation.findings]
    _replace_findings(session, judged, found, once_found_stays=once_found_stays)
    inactive = {
        rule_id: tuple(days) for rule_id, rule in rules.items() if not rule.active and rule.detector in detectors
    }
    _remember_days(session, {**judged, **inactive})
    _Book(session, rules, days, detectors).update()
    session.flush()


def _replace_findings(
    session: Session,
    judged: Mapping[str, Sequence[date]],
    found: Sequence[tuple[str, Finding]],
    *,
    once_found_stays: bool,
) -> None:
    for days, rule_ids in _grouped(judged).items():
        here = sa.and_(AlertFinding.rule_id.in_(rule_ids), AlertFinding.business_date.in_(days))
        if once_found_stays:
            same = [(finding.topic, finding.kind, finding.subject, finding.currency) for _, finding in found]
            key = sa.tuple_(
                AlertFinding.topic, AlertFinding.subject_kind, AlertFinding.subject_id, AlertFinding.currency
            )
            gone = sa.and_(here, key.not_in(same)) if same else here
            session.execute(sa.update(AlertFinding).where(gone).values(ended=True))
            here = sa.and_(here, key.in_(same)) if same else sa.false()
        session.execute(sa.delete(AlertFinding).where(here))
    rows = [
        {
            "rule_id": rule_id,
            "business_date": finding.business_date,
            "topic": finding.topic,
            "subject_kind": finding.kind,
            "subject_id": finding.subject,
            "currency": finding.currency,
            "severity": finding.severity,
            "value": finding.value,
            "threshold": finding.threshold,
            "text": finding.text,
            "details": dict(finding.details) or None,
            "ended": finding.ended,
        }
        for rule_id, finding in found
    ]
    if rows:
        session.execute(sa.insert(AlertFinding), rows)


def _grouped(judged: Mapping[str, Sequence[date]]) -> dict[tuple[date, ...], list[str]]:
    """The rules by the days on which they were judged: most of them on the same."""
    groups: dict[tuple[date, ...], list[str]] = defaultdict(list)
    for rule_id, days in judged.items():
        groups[tuple(days)].append(rule_id)
    return groups


def _remember_days(session: Session, judged: Mapping[str, Sequence[date]]) -> None:
    by_day: dict[date, set[str]] = defaultdict(set)
    for rule_id, days in judged.items():
        for day in days:
            by_day[day].add(rule_id)
    for day, rule_ids in by_day.items():
        row = session.get(AlertDay, day)
        if row is None:
            session.add(AlertDay(business_date=day, rule_ids=sorted(rule_ids)))
        elif not rule_ids.issubset(row.rule_ids):
            row.rule_ids = sorted(rule_ids.union(row.rule_ids))
    session.flush()


@dataclass
class _Subject:
    """The findings of one topic and subject, and the rules that found them."""

    findings: list[Finding] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)


class _Book:
    """The alerts of the register, and those that follow from the findings."""

    def __init__(
        self,
        session: Session,
        rules: Mapping[str, AlertRule],
        evaluated: Sequence[date],
        detectors: Collection[DetectorName],
    ) -> None:
        self._session = session
        self._detectors = detectors
        self._rules = rules
        self._evaluated = set(evaluated)
        self._days = {row.business_date: set(row.rule_ids) for row in session.scalars(sa.select(AlertDay))}
        self._existing: dict[Key, list[Alert]] = defaultdict(list)
        alerts = sa.select(Alert).where(self._of_these(Alert.topic)).order_by(Alert.opened_on)
        for alert in session.scalars(alerts):
            self._existing[alert.topic, alert.subject_kind, alert.subject_id, alert.currency].append(alert)
        self._events: dict[str, list[AlertEvent]] = defaultdict(list)
        events = sa.select(AlertEvent).join(Alert, Alert.alert_id == AlertEvent.alert_id)
        for event in session.scalars(events.where(self._of_these(Alert.topic)).order_by(AlertEvent.number)):
            self._events[event.alert_id].append(event)
        self._last = max(self._days, default=date.min)

    def update(self) -> None:
        """Make the alerts of every subject what follows from its findings."""
        subjects = self._subjects()
        for key in sorted({*subjects, *self._existing}):
            subject = subjects.get(key, _Subject())
            judged = [day for day, rule_ids in self._days.items() if rule_ids & subject.rules]
            cool_down = max((self._rules[rule].cool_down_days for rule in subject.rules), default=0)
            self._reconcile(key, episodes(subject.findings, judged, cool_down))

    def _of_these(self, topic: Any) -> sa.ColumnElement[bool]:
        """Whether a topic is of one of these kinds: a topic begins with its kind."""
        return sa.or_(*(topic.startswith(detector, autoescape=True) for detector in sorted(self._detectors)))

    def _subjects(self) -> dict[Key, _Subject]:
        subjects: dict[Key, _Subject] = defaultdict(_Subject)
        for row in self._session.execute(sa.select(*_LIGHT).where(self._of_these(AlertFinding.topic))):
            finding = Finding(
                rule=row.rule_id,
                business_date=row.business_date,
                kind=row.subject_kind,
                subject=row.subject_id,
                topic=row.topic,
                severity=row.severity,
                value=row.value,
                threshold=row.threshold,
                currency=row.currency,
                ended=row.ended,
            )
            subjects[finding.key].findings.append(finding)
            subjects[finding.key].rules.add(row.rule_id)
        return subjects

    def _reconcile(self, key: Key, wanted: Sequence[Episode]) -> None:
        existing = {alert.alert_id: alert for alert in self._existing.get(key, ())}
        for episode in wanted:
            if episode.alert_id not in existing:
                existing[episode.alert_id] = self._open(key, episode)
        ids = {episode.alert_id for episode in wanted}
        for alert_id in [each for each in existing if each not in ids]:
            self._replace(existing[alert_id], wanted)
        for episode in wanted:
            self._bring_up_to_date(existing[episode.alert_id], episode)

    def _open(self, key: Key, episode: Episode) -> Alert:
        topic, kind, subject, currency = key
        alert = Alert(
            alert_id=episode.alert_id,
            topic=topic,
            subject_kind=kind,
            subject_id=subject,
            currency=currency,
            opened_on=episode.opened_on,
            rule_id=episode.last.rule,
            last_on=episode.opened_on,
            severity=episode.severity,
            text="",
            state="open",
        )
        self._session.add(alert)
        self._session.flush()
        return alert

    def _replace(self, alert: Alert, wanted: Iterable[Episode]) -> None:
        """Give what people did and read of an alert that was restated to the alert that it is now; or withdraw it."""
        successor = next((episode for episode in wanted if _overlap(alert, episode)), None)
        own = self._events.pop(alert.alert_id, [])
        by_people = [event for event in own if event.by]
        if successor is not None:
            for event in by_people:
                event.alert_id = successor.alert_id
            self._events[successor.alert_id] += by_people
            about = sa.update(Notification).where(Notification.alert_id == alert.alert_id)
            self._session.execute(about.values(alert_id=successor.alert_id))
        elif by_people or self._was_notified(alert):
            self._withdraw(alert, own)
            return
        for event in own:
            if successor is None or event not in by_people:
                self._session.delete(event)
        self._session.flush()
        self._session.delete(alert)

    def _withdraw(self, alert: Alert, events: Sequence[AlertEvent]) -> None:
        """Keep an alert that never was, as history is now, because somebody was notified of it or worked on it."""
        if any(event.step == "withdrawn" for event in events):
            return
        alert.state, alert.resolved_on, alert.changed_at = "resolved", alert.last_on, utc_now()
        reason = "the history was restated: the rule did not hold"
        self._add_event(alert, alert.last_on, len(events), "withdrawn", alert.severity, None, reason)

    def _was_notified(self, alert: Alert) -> bool:
        about = sa.select(Notification.notification_id).where(
            Notification.alert_id == alert.alert_id,
            sa.or_(Notification.sending_at.is_not(None), Notification.read_at.is_not(None)),
        )
        return self._session.scalar(about.limit(1)) is not None

    def _bring_up_to_date(self, alert: Alert, episode: Episode) -> None:
        self._update_events(alert, episode)
        values = {
            "rule_id": episode.last.rule,
            "last_on": episode.last.business_date,
            "severity": episode.severity,
            "value": episode.last.value,
            "threshold": episode.last.threshold,
            "resolved_on": episode.resolved_on,
            "state": self._state(alert, episode),
        }
        if not alert.text or alert.last_on != episode.last.business_date or alert.last_on in self._evaluated:
            values["text"] = self._text(episode.last)
        if people := [event for event in self._events[alert.alert_id] if event.by]:
            latest = max(people, key=lambda event: event.at or utc_now())
            values |= {"acknowledged_by": latest.by, "reason": latest.reason, "snoozed_until": latest.until}
        changed = {name: value for name, value in values.items() if getattr(alert, name) != value}
        for name, value in changed.items():
            setattr(alert, name, value)
        if changed:
            alert.changed_at = utc_now()

    def _text(self, finding: Finding) -> str:
        key = (
            finding.rule,
            finding.business_date,
            finding.topic,
            finding.kind,
            finding.subject,
            finding.currency,
        )
        return self._session.get_one(AlertFinding, key).text

    def _state(self, alert: Alert, episode: Episode) -> AlertState:
        if episode.resolved_on is not None:
            return "resolved"
        people = [event for event in self._events[alert.alert_id] if event.by]
        if not people:
            return "open"
        latest = max(people, key=lambda event: event.at or utc_now())
        if latest.step == "snoozed":
            return "snoozed" if latest.until is not None and latest.until >= self._last else "open"
        return "acknowledged"

    def _update_events(self, alert: Alert, episode: Episode) -> None:
        events = self._events[alert.alert_id]
        ours = [event for event in events if not event.by]
        steps = [(step.business_date, step.step, step.severity, step.value) for step in episode.steps]
        if [(event.business_date, event.step, event.severity, event.value) for event in ours] == steps:
            return
        for event in ours:
            self._session.delete(event)
        self._events[alert.alert_id] = [event for event in events if event.by]
        for number, (day, step, severity, value) in enumerate(steps):
            self._add_event(alert, day, number, step, severity, value, None)

    def _add_event(
        self, alert: Alert, day: date, number: int, step: Any, severity: Any, value: float | None, reason: str | None
    ) -> None:
        event = AlertEvent(
            event_id=new_id(),
            alert_id=alert.alert_id,
            business_date=day,
            number=number,
            step=step,
            severity=severity,
            value=value,
            reason=reason,
        )
        self._session.add(event)
        self._events[alert.alert_id].append(event)


def _overlap(alert: Alert, episode: Episode) -> bool:
    ends, others_end = alert.resolved_on or date.max, episode.resolved_on or date.max
    return alert.opened_on <= others_end and episode.opened_on <= ends


def open_alerts(session: Session) -> list[Alert]:
    """The alerts that are not resolved, critical ones first."""
    found = Alerts(session).listed(states=("open", "acknowledged", "snoozed"), limit=1_000_000)
    return sorted(found, key=lambda alert: (-rank(alert.severity), alert.topic, alert.subject_id))
