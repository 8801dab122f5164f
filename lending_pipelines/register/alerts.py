"""Alerts as rows: listing them, and the steps that people take. When alerts open and resolve is in alerts/life.py."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from lending_pipelines.bounds import LONGEST_TEXT, required_text
from lending_pipelines.register.alert_models import Alert, AlertDay, AlertEvent, AlertRuleRow, AlertState, AlertStep
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.types import new_id, utc_now


def state_by_people(events: Iterable[AlertEvent], last: date | None) -> dict[str, Any]:
    """The state of an unresolved alert by the steps of people: state, acknowledged_by, reason, snoozed_until.

    Args:
        events: The steps of the alert.
        last: The last judged business date. A snooze that ends before it is over.
    """
    by_people = [event for event in events if event.by]
    latest = max(by_people, key=lambda event: event.at or utc_now(), default=None)
    if latest is None or latest.step == "reopened":
        return {"state": "open", "acknowledged_by": None, "reason": None, "snoozed_until": None}
    state: AlertState = "acknowledged"
    if latest.step == "snoozed":
        lasts = latest.until is not None and (last is None or latest.until >= last)
        state = "snoozed" if lasts else "open"
    return {
        "state": state,
        "acknowledged_by": latest.by,
        "reason": latest.reason,
        "snoozed_until": latest.until,
    }


class Alerts:
    """The alerts, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def listed(
        self,
        *,
        states: Sequence[AlertState] = (),
        severity: str | None = None,
        subject: str | None = None,
        rule: str | None = None,
        limit: int = 1000,
    ) -> list[Alert]:
        """Alerts of these states (empty: all), critical ones first, then the latest opened first.

        Their details are not loaded.
        """
        query = sa.select(Alert).join(AlertRuleRow, AlertRuleRow.rule_id == Alert.rule_id)
        query = query.options(defer(Alert.details))
        if states:
            query = query.where(Alert.state.in_(states))
        if severity:
            query = query.where(Alert.severity == severity)
        if subject:
            query = query.where(Alert.subject_id == subject)
        if rule:
            query = query.where(AlertRuleRow.name == rule)
        order = (Alert.severity, Alert.opened_on.desc(), Alert.topic, Alert.subject_id)
        return list(self._session.scalars(query.order_by(*order).limit(limit)))

    def unresolved(self, subject_kind: str, subject_ids: Sequence[str]) -> dict[tuple[str, str], int]:
        """The number of alerts on these subjects that are not resolved, by subject_id and currency."""
        query = sa.select(Alert.subject_id, Alert.currency, sa.func.count())
        query = query.where(
            Alert.subject_kind == subject_kind, Alert.subject_id.in_(subject_ids), Alert.state != "resolved"
        )
        found = self._session.execute(query.group_by(Alert.subject_id, Alert.currency))
        return {(subject_id, currency): number for subject_id, currency, number in found}

    def get(self, alert_id: str) -> Alert:
        """The alert whose id begins with the text. Raises RegisterError when none or several do, or it is empty."""
        here = Alert.alert_id.startswith(alert_id, autoescape=True)
        found = list(self._session.scalars(sa.select(Alert).where(here).limit(2)))
        if not alert_id or len(found) != 1:
            what = "there is no alert" if not found or not alert_id else "several alerts begin with"
            raise RegisterError(f"{what} {alert_id!r}: `lending alerts` lists them")
        return found[0]

    def events(self, alert_id: str) -> list[AlertEvent]:
        """The steps of an alert, in order."""
        query = sa.select(AlertEvent).where(AlertEvent.alert_id == alert_id)
        return list(self._session.scalars(query.order_by(AlertEvent.business_date, AlertEvent.number)))

    def last_judged(self) -> date | None:
        """The last business date on which any rule was judged."""
        return self._session.scalar(sa.select(sa.func.max(AlertDay.business_date)))

    def acknowledge(self, alert_id: str, by: str, reason: str, event_id: str | None = None) -> Alert:
        """Record that somebody works on an alert. Raises RegisterError when it is resolved or a text is missing.

        If a step with the `event_id` exists, nothing is added, so that a repeated request takes only one step.
        """
        return self._take_step(alert_id, "acknowledged", by, reason, None, event_id)

    def snooze(self, alert_id: str, by: str, reason: str, until: date, event_id: str | None = None) -> Alert:
        """Record that nobody is to be notified of an alert up to a business date, unless it gets worse.

        `event_id` is as in `acknowledge`.

        Raises RegisterError when the alert is resolved, a text is missing, or the date has been judged already.
        """
        last = self.last_judged()
        if last is not None and until <= last:
            raise RegisterError(f"snooze until {until}: alerts are already judged up to {last}; write a later date")
        return self._take_step(alert_id, "snoozed", by, reason, until, event_id)

    def reopen(self, alert_id: str, by: str, reason: str, event_id: str | None = None) -> Alert:
        """Undo the acknowledgement or the snooze of an alert. The earlier steps stay in its history.

        Raises RegisterError when the alert is open or resolved, or a text is missing.
        """
        return self._take_step(alert_id, "reopened", by, reason, None, event_id)

    def _take_step(
        self, alert_id: str, step: AlertStep, by: str, reason: str, until: date | None, event_id: str | None
    ) -> Alert:
        """Add a step of a person, and set the state of the alert that follows from its steps."""
        alert = self.get(alert_id)
        if event_id and (taken := self._session.get(AlertEvent, event_id)):
            if (taken.alert_id, taken.step) != (alert.alert_id, step):
                raise RegisterError(
                    f"the id {event_id} belongs to a step on another alert, or to another kind of step: use a new id"
                )
            return alert
        if alert.state == "resolved":
            raise RegisterError(f"alert {alert.alert_id} was resolved on {alert.resolved_on}: no step is left to take")
        if step == "reopened" and alert.state == "open":
            raise RegisterError(f"alert {alert.alert_id} is open: it is neither acknowledged nor snoozed")
        if missing := [name for name, text in (("by", by), ("reason", reason)) if not text.strip()]:
            raise RegisterError(f"{' and '.join(missing)} must not be empty: write who takes the step and why")
        required_text(by, "by")
        required_text(reason, "reason", LONGEST_TEXT)
        self._session.add(
            AlertEvent(
                event_id=event_id or new_id(),
                alert_id=alert.alert_id,
                business_date=self.last_judged() or alert.last_on,
                number=len(self.events(alert.alert_id)),
                step=step,
                severity=alert.severity,
                value=alert.value,
                by=by.strip(),
                reason=reason.strip(),
                until=until,
                at=utc_now(),
            )
        )
        self._session.flush()
        for name, value in state_by_people(self.events(alert.alert_id), self.last_judged()).items():
            setattr(alert, name, value)
        alert.changed_at = utc_now()
        self._session.flush()
        return alert
