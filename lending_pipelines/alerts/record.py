"""Brings the alerts of the register up to date with the findings, in one transaction.

life.py decides which alerts exist. The result depends only on the findings, not on the order in which days are judged
or on repetitions. The alerts of a subject are therefore recomputed from their state before the first judged day.
Subjects without a change on these days are not read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from lending_pipelines.alerts.findings import Evaluation, Finding
from lending_pipelines.alerts.judgements import Judgements, Key
from lending_pipelines.alerts.life import Episode, Step, StepName, episodes, rank
from lending_pipelines.alerts.rules import AlertRule, DetectorName
from lending_pipelines.register import Alerts
from lending_pipelines.register.alert_models import OPEN_STATES, Alert, AlertEvent
from lending_pipelines.register.alerts import state_by_people
from lending_pipelines.register.models import Notification
from lending_pipelines.register.types import new_id, utc_now


def record(
    session: Session,
    rules: Mapping[str, AlertRule],
    evaluation: Evaluation,
    days: Sequence[date],
    detectors: Collection[DetectorName],
    *,
    keep_ended: bool = False,
) -> None:
    """Replace the findings of the judged rules and days, and update the alerts of these kinds.

    Args:
        session: A session of the register.
        rules: Every rule by its rule_id.
        evaluation: What the rules found.
        days: The days that were evaluated. Rules that are not active count as judged on them, without findings.
        detectors: The kinds of rules that were evaluated.
        keep_ended: Keep findings of these days that are no longer found, marked as ended. By default they are deleted.
    """
    if not days:
        return
    ids = {rule.name: rule_id for rule_id, rule in rules.items()}
    judged = {ids[name]: own for name, own in evaluation.judged.items()}
    found = [(ids[finding.rule], finding) for finding in evaluation.findings]
    inactive = {
        rule_id: tuple(days) for rule_id, rule in rules.items() if not rule.active and rule.detector in detectors
    }
    judgements = Judgements(session, detectors)
    concerned = judgements.replace(judged, found, keep_ended=keep_ended)
    judgements.remember({**judged, **inactive})
    _Book(session, rules, judgements, days).update(concerned)
    session.flush()


class _Book:
    """The stored alerts that some days can change, and their update from the findings."""

    def __init__(
        self, session: Session, rules: Mapping[str, AlertRule], judgements: Judgements, days: Sequence[date]
    ) -> None:
        self._session = session
        self._rules = rules
        self._judgements = judgements
        self._first, self._until = min(days), max(days)
        self._cool_downs = {rule_id: rule.cool_down_days for rule_id, rule in rules.items()}
        self._last = judgements.last_day()
        self._worst_before = judgements.worst_before(self._first)
        # An alert that was resolved earlier is not reopened any more.
        since = self._first - timedelta(days=max(self._cool_downs.values(), default=0))
        here = sa.and_(
            judgements.of_these(Alert.topic), sa.or_(Alert.resolved_on.is_(None), Alert.resolved_on >= since)
        )
        self._existing: dict[Key, list[Alert]] = defaultdict(list)
        alerts = sa.select(Alert).where(here).order_by(Alert.opened_on).options(defer(Alert.details))
        for alert in session.scalars(alerts):
            self._existing[_key(alert)].append(alert)
        self._events: dict[str, list[AlertEvent]] = defaultdict(list)
        events = sa.select(AlertEvent).join(Alert, Alert.alert_id == AlertEvent.alert_id).where(here)
        for event in session.scalars(events.order_by(AlertEvent.number)):
            self._events[event.alert_id].append(event)

    def update(self, concerned: Collection[Key]) -> None:
        """Update the alerts of these keys, and all alerts that are open or were open on the days, from the findings."""
        keys = {*concerned, *(key for key, alerts in self._existing.items() if any(map(self._is_concerned, alerts)))}
        findings = self._judgements.findings_since(self._first, keys)
        judged = self._judgements.judged_since(self._first)
        for key in sorted(keys):
            alerts = self._existing[key]
            earlier = [alert for alert in alerts if alert.opened_on < self._first and not self._is_withdrawn(alert)]
            before = self._as_it_was(earlier[-1]) if earlier else None
            since = before.opened_on if before else date.min
            wanted = episodes(findings[key], judged, self._cool_downs, before)
            self._reconcile(key, [alert for alert in alerts if alert.opened_on >= since], wanted)

    def _is_concerned(self, alert: Alert) -> bool:
        """Whether the alert is open, or was open on one of the days."""
        if alert.resolved_on is None:
            return True
        return alert.resolved_on >= self._first and alert.opened_on <= self._until

    def _is_withdrawn(self, alert: Alert) -> bool:
        return any(event.step == "withdrawn" for event in self._events[alert.alert_id])

    def _as_it_was(self, alert: Alert) -> Episode:
        """An alert as it was at the end of the day before the first of the judged days."""
        steps = [
            Step(event.business_date, cast(StepName, event.step), event.severity, event.value)
            for event in self._events[alert.alert_id]
            if not event.by and event.business_date < self._first
        ]
        resolved_on = steps[-1].business_date if steps[-1].step == "resolved" else None
        if alert.last_on >= self._first:
            last = self._worst_before[_key(alert)]
        else:
            last = Finding(
                rule=alert.rule_id,
                business_date=alert.last_on,
                kind=alert.subject_kind,
                subject=alert.subject_id,
                topic=alert.topic,
                severity=alert.severity,
                value=alert.value,
                threshold=alert.threshold,
                currency=alert.currency,
                text=alert.text,
            )
        return Episode(alert.opened_on, last, resolved_on, steps)

    def _reconcile(self, key: Key, alerts: Iterable[Alert], wanted: Sequence[Episode]) -> None:
        existing = {alert.alert_id: alert for alert in alerts}
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
        """Remove an alert that no longer follows from the findings.

        Steps of people and notifications move to the alert that replaces it. If no alert replaces it, and somebody was
        notified of it or worked on it, it is withdrawn instead of removed.
        """
        successor = next((episode for episode in wanted if _overlap(alert, episode)), None)
        own = self._events.pop(alert.alert_id, [])
        by_people = [event for event in own if event.by]
        if successor is not None:
            for event in by_people:
                event.alert_id = successor.alert_id
            self._events[successor.alert_id] += by_people
            about = sa.update(Notification).where(Notification.alert_id == alert.alert_id)
            self._session.execute(about.values(alert_id=successor.alert_id))
            self._session.get_one(Alert, successor.alert_id).is_settled = False
        elif by_people or self._was_notified(alert):
            self._withdraw(alert, own)
            return
        for event in own:
            if successor is None or event not in by_people:
                self._session.delete(event)
        self._session.flush()
        self._session.delete(alert)

    def _withdraw(self, alert: Alert, events: Sequence[AlertEvent]) -> None:
        """Mark an alert as withdrawn: by the current findings it never opened.

        It is not deleted, because somebody was notified of it or worked on it.
        """
        if any(event.step == "withdrawn" for event in events):
            return
        alert.state, alert.resolved_on = "resolved", alert.last_on
        _mark_changed(alert)
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
            "text": episode.last.text,
            **state_by_people(self._events[alert.alert_id], self._last),
        }
        if episode.resolved_on is not None:
            values["state"] = "resolved"
        changed = {name: value for name, value in values.items() if getattr(alert, name) != value}
        for name, value in changed.items():
            setattr(alert, name, value)
        if changed:
            _mark_changed(alert)

    def _update_events(self, alert: Alert, episode: Episode) -> None:
        """Replace the steps that the program recorded, if they differ. The steps of people are kept."""
        events = self._events[alert.alert_id]
        by_program = [event for event in events if not event.by]
        steps = [(step.business_date, step.step, step.severity, step.value) for step in episode.steps]
        if [(event.business_date, event.step, event.severity, event.value) for event in by_program] == steps:
            return
        for event in by_program:
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


def _key(alert: Alert) -> Key:
    return alert.topic, alert.subject_kind, alert.subject_id, alert.currency


def _mark_changed(alert: Alert) -> None:
    """Record the time of the change, and that notifications may be due."""
    alert.changed_at, alert.is_settled = utc_now(), False


def _overlap(alert: Alert, episode: Episode) -> bool:
    """Whether the alert and the episode were open at the same time."""
    ends, others_end = alert.resolved_on or date.max, episode.resolved_on or date.max
    return alert.opened_on <= others_end and episode.opened_on <= ends


def open_alerts(session: Session) -> list[Alert]:
    """The alerts that are not resolved, critical ones first."""
    found = Alerts(session).listed(states=OPEN_STATES, limit=1_000_000)
    return sorted(found, key=lambda alert: (-rank(alert.severity), alert.topic, alert.subject_id))
