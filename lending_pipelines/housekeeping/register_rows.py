"""Rows of the register that nothing depends on: old notifications, and alerts that were resolved long ago."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.register import Notifications, Register
from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding

_SUBJECT = ("topic", "subject_kind", "subject_id", "currency")


def register_chores(
    register: Register, notified_before: datetime | None, resolved_before: datetime | None
) -> list[Chore]:
    """Chores that remove notifications and resolved alerts from before these instants.

    None as an instant: they are kept forever, and there is no chore.
    """
    chores = []
    if resolved_before is not None:
        chores += [_alerts(register, resolved_before.date()), _unknown_findings(register, resolved_before.date())]
    if notified_before is not None:
        chores.append(_notifications(register, notified_before))
    return chores


def _notifications(register: Register, before: datetime) -> Chore:
    with register.session() as session:
        old, others = Notifications(session).older_than(before)

    def do() -> None:
        with register.session() as session:
            Notifications(session).delete_older_than(before)

    kept = f"{others:,} older: of an alert that is kept, or unread and an action is required" if others else ""
    return Chore("Old notifications", do, rows=old, kept=kept)


def _alerts(register: Register, before: date) -> Chore:
    with register.session() as session:
        old = len(_resolved(session, before))
        still_open = session.scalar(sa.select(sa.func.count()).where(Alert.state != "resolved")) or 0

    def do() -> None:
        with register.session() as session:
            for alert in _resolved(session, before):
                _delete(session, alert)

    return Chore("Resolved alerts", do, rows=old, kept=f"{still_open:,} open" if still_open else "")


def _unknown_findings(register: Register, before: date) -> Chore:
    """Old findings that say that a number is not known. No alert contains them, so they are not deleted with one."""
    old = sa.and_(AlertFinding.severity.is_(None), AlertFinding.business_date < before)
    with register.session() as session:
        rows = session.scalar(sa.select(sa.func.count()).select_from(AlertFinding).where(old)) or 0

    def do() -> None:
        with register.session() as session:
            session.execute(sa.delete(AlertFinding).where(old))

    return Chore("Findings of numbers that were not known", do, rows=rows)


def _resolved(session: Session, before: date) -> list[Alert]:
    query = sa.select(Alert).where(Alert.state == "resolved", Alert.resolved_on < before)
    return list(session.scalars(query))


def _delete(session: Session, alert: Alert) -> None:
    """Delete an alert with its steps and findings.

    The findings must be deleted too, because alerts are computed from all findings in the register.
    """
    of_alert = [getattr(AlertFinding, name) == getattr(alert, name) for name in _SUBJECT]
    within = AlertFinding.business_date.between(alert.opened_on, alert.resolved_on)
    session.execute(sa.delete(AlertFinding).where(*of_alert, within))
    session.execute(sa.delete(AlertEvent).where(AlertEvent.alert_id == alert.alert_id))
    session.delete(alert)
