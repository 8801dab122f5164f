"""Alerts of a range of days, from the rules of the register to notifications. The close and the sensors call this."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.alerts.evaluate import DAILY, SUMMARIZED, WATCHING, evaluate, evaluate_range, too_many_unjudged
from lending_pipelines.alerts.findings import Evaluation, Source
from lending_pipelines.alerts.histories import HISTORY_DAYS, histories
from lending_pipelines.alerts.notices import Channels, is_current, reconcile
from lending_pipelines.alerts.recipients import Staff
from lending_pipelines.alerts.record import open_alerts, record
from lending_pipelines.alerts.rules import AlertRule, DetectorName
from lending_pipelines.alerts.saved_rules import saved_rules
from lending_pipelines.alerts.top_loans import top_loans
from lending_pipelines.errors import LendingError
from lending_pipelines.register import Register
from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding
from lending_pipelines.register.models import Base
from lending_pipelines.settings import Settings

_ALERTS = Base.metadata.tables["alerts"]
_SAVE_DETAILS = (
    sa.update(_ALERTS)
    .where(_ALERTS.c.alert_id == sa.bindparam("of_alert"), _ALERTS.c.last_on == sa.bindparam("of_day"))
    .values(details=sa.bindparam("computed"))
)
"""Saves the details of an alert, unless the alert has got a later finding in the meantime."""


class TooManyUnjudged(LendingError):
    """More than a tenth of the rules could not be judged. What could be judged is saved."""


@dataclass(frozen=True)
class Outcome:
    """The result of an evaluation.

    `changed` are the alerts with a step on the evaluated days. `unjudged` has the reason for each rule that was not
    judged; `failed` has those of them that should have been judged.
    """

    changed: tuple[tuple[AlertEvent, Alert], ...]
    still_open: tuple[Alert, ...]
    rules: int
    unjudged: dict[str, str]
    failed: dict[str, str]

    def require_judged(self) -> None:
        """Raise TooManyUnjudged when more than a tenth of the rules could not be judged."""
        if too_many_unjudged(self.rules, self.failed):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise TooManyUnjudged(f"{len(self.failed)} of {self.rules} alert rules could not be judged: {reasons}")


def alerts_of_days(source: Source, register: Register, first: date, last: date, settings: Settings) -> Outcome:
    """Evaluate the daily rules on the days first..last and on later days that depend on them; save and notify."""
    with register.session() as session:
        rules = saved_rules(session)
    closed = sorted(source.days("portfolio_snapshots"))
    evaluation, days = evaluate_range(source, list(rules.values()), first, last, closed)
    with register.session() as session:
        record(session, rules, evaluation, days, DAILY)
    refresh(source, register, rules, settings, DAILY, days)
    return _outcome(register, evaluation, days)


def watch(source: Source, register: Register, day: date, settings: Settings) -> None:
    """Evaluate the rules on what is late, as of the last day that has ended; save and notify.

    A finding of the day that no longer holds is kept, marked as ended.
    """
    with register.session() as session:
        rules = saved_rules(session)
    evaluation = evaluate(source, list(rules.values()), [day], WATCHING)
    with register.session() as session:
        record(session, rules, evaluation, [day], WATCHING, keep_ended=True)
    refresh(source, register, rules, settings, WATCHING, [day])


def alerts_of_summary(source: Source, register: Register, day: date, settings: Settings) -> None:
    """Evaluate the rules on the numbers of the summary of a day's close; save and notify."""
    with register.session() as session:
        rules = saved_rules(session)
    evaluation = evaluate(source, list(rules.values()), [day], SUMMARIZED)
    with register.session() as session:
        record(session, rules, evaluation, [day], SUMMARIZED)
    refresh(source, register, rules, settings, SUMMARIZED, [day])


def refresh(
    source: Source,
    register: Register,
    rules: dict[str, AlertRule],
    settings: Settings,
    detectors: Collection[DetectorName],
    days: Collection[date],
) -> None:
    """Save the history and the loans of the open alerts of these kinds, and make the due notifications.

    History and loans are computed for alerts whose latest finding is on one of the days, and for alerts that have no
    current details yet. No transaction of the register is open during the computation, so that other writers need not
    wait.
    """
    with register.session() as session:
        alerts = [alert for alert in open_alerts(session) if rules[alert.rule_id].detector in detectors]
        kept = _kept(session, days)
        due = [alert for alert in alerts if alert.alert_id not in kept]
        found = _found(session)
        recorded = {
            alert.alert_id: _recorded_history(session, alert)
            for alert in due
            if rules[alert.rule_id].metric is None or rules[alert.rule_id].detector in SUMMARIZED
        }
    for alert in due:
        # The rows no longer belong to a session, so this does not change the register.
        alert.details = found.get(alert.alert_id, {})
    staff = Staff(source)
    history = histories(source, due, rules)
    loans = top_loans(source, due, rules, staff.team)
    computed = []
    for alert in alerts:
        details = kept.get(alert.alert_id) or {
            **found.get(alert.alert_id, {}),
            "history": history.get(alert.alert_id) or recorded.get(alert.alert_id, []),
            "loans": loans.get(alert.alert_id, []),
            "as_of": alert.last_on.isoformat(),
        }
        details["recipients"] = staff.recipients(alert, rules[alert.rule_id], settings.alert_admins)
        computed.append({"of_alert": alert.alert_id, "of_day": alert.last_on, "computed": details})
    with register.session() as session:
        if computed:
            session.execute(_SAVE_DETAILS, computed)
        reconcile(session, rules, channels(settings))


def notify(register: Register, settings: Settings) -> None:
    """Make the notifications that are due, in case a run ended before it made them."""
    with register.session() as session:
        if session.scalar(sa.select(sa.exists(sa.select(Alert.alert_id)))):
            reconcile(session, saved_rules(session), channels(settings))


def channels(settings: Settings) -> Channels:
    """Who is notified, and how."""
    return Channels(settings.alert_admins, bool(settings.alert_webhook_url), settings.ui_url)


def _kept(session: Session, days: Collection[date]) -> dict[str, dict[str, Any]]:
    """The details of open alerts that are current and whose latest finding is on another day."""
    older = sa.select(Alert).where(Alert.state != "resolved", Alert.last_on.not_in(days))
    return {alert.alert_id: dict(alert.details or {}) for alert in session.scalars(older) if is_current(alert)}


def _found(session: Session) -> dict[str, dict[str, Any]]:
    """The details of the last finding of each open alert."""
    names = ("rule_id", "topic", "subject_kind", "subject_id", "currency")
    same = [getattr(AlertFinding, name) == getattr(Alert, name) for name in names]
    query = (
        sa.select(Alert.alert_id, AlertFinding.details)
        .join(AlertFinding, sa.and_(*same, AlertFinding.business_date == Alert.last_on))
        .where(Alert.state != "resolved")
    )
    return {alert_id: details or {} for alert_id, details in session.execute(query)}


def _recorded_history(session: Session, alert: Alert) -> list[list[Any]]:
    """The values of findings by day, for numbers that no table has."""
    since = alert.last_on - timedelta(days=HISTORY_DAYS)
    query = (
        sa.select(AlertFinding.business_date, sa.func.max(AlertFinding.value))
        .where(
            *_same_subject(alert), AlertFinding.business_date.between(since, alert.last_on),
            AlertFinding.value.is_not(None),
        )
        .group_by(AlertFinding.business_date)
        .order_by(AlertFinding.business_date)
    )  # fmt: skip
    return [[day.isoformat(), value] for day, value in session.execute(query)]


def _same_subject(alert: Alert) -> list[Any]:
    names = ("topic", "subject_kind", "subject_id", "currency")
    return [getattr(AlertFinding, name) == getattr(alert, name) for name in names]


def _outcome(register: Register, evaluation: Evaluation, days: Sequence[date]) -> Outcome:
    with register.session() as session:
        query = (
            sa.select(AlertEvent, Alert)
            .join(Alert, Alert.alert_id == AlertEvent.alert_id)
            .where(AlertEvent.business_date.in_(days))
            .order_by(AlertEvent.business_date, Alert.topic, Alert.subject_id, AlertEvent.number)
        )
        changed = tuple((event, alert) for event, alert in session.execute(query))
        still_open = tuple(open_alerts(session))
        return Outcome(changed, still_open, len(evaluation.verdicts), evaluation.unjudged, evaluation.failed)
