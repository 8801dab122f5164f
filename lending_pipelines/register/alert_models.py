"""The register's tables of alert rules, findings, alerts and their steps, as SQLAlchemy models.

What rules and findings mean, and how alerts follow from findings, is in alerts/.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from lending_pipelines.register.models import Base, one_of
from lending_pipelines.register.types import new_id, utc_now

AlertSeverity = Literal["warning", "critical"]
AlertState = Literal["open", "acknowledged", "snoozed", "resolved"]
OPEN_STATES: tuple[AlertState, ...] = ("open", "acknowledged", "snoozed")
"""The states of an alert that is not resolved."""

AlertStep = Literal["opened", "escalated", "eased", "resolved", "reopened", "acknowledged", "snoozed", "withdrawn"]


class AlertRuleRow(Base):
    """A rule as it was saved. It is read from `settings`: all its fields that differ from their defaults.

    The other columns repeat some of them for people who query the register.
    """

    __tablename__ = "alert_rules"

    rule_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    detector: Mapped[str]
    metric: Mapped[str | None]
    scope: Mapped[str]
    operator: Mapped[str | None]
    threshold: Mapped[str | None]
    severity: Mapped[AlertSeverity] = mapped_column(one_of("severity", AlertSeverity))
    minimum: Mapped[Decimal | None]
    window_days: Mapped[int | None]
    message: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime] = mapped_column(default=utc_now)


class AlertFinding(Base):
    """What a rule found about a subject on a business date. Without a severity, the result is unknown."""

    __tablename__ = "alert_findings"
    __table_args__ = (
        sa.Index("ix_alert_findings_subject", "topic", "subject_kind", "subject_id", "currency", "business_date"),
    )

    rule_id: Mapped[str] = mapped_column(sa.ForeignKey("alert_rules.rule_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    severity: Mapped[AlertSeverity | None] = mapped_column(one_of("severity", AlertSeverity))
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    text: Mapped[str]
    details: Mapped[dict[str, Any] | None]
    ended: Mapped[bool] = mapped_column(default=False)


class AlertDay(Base):
    """The rules that were judged on a business date, by id."""

    __tablename__ = "alert_days"

    business_date: Mapped[date] = mapped_column(primary_key=True)
    rule_ids: Mapped[list[Any]]


class Alert(Base):
    """Something that needs action, from the day on which it opened.

    `rule_id` is the rule of the latest finding; `value`, `threshold` and `text` are of that finding, and `last_on` is
    its business date. `acknowledged_by`, `reason` and `snoozed_until` are those of the latest step by a person, and
    null when that step reopened the alert.
    `details` has what a notification shows as of the last judged day: history, loans and recipients. An alert
    that `is_settled` is resolved, and nobody has to be notified of it any more.
    """

    __tablename__ = "alerts"
    __table_args__ = (sa.Index("ix_alerts_subject", "topic", "subject_kind", "subject_id", "currency"),)

    alert_id: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(sa.ForeignKey("alert_rules.rule_id"), index=True)
    topic: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    currency: Mapped[str]
    opened_on: Mapped[date]
    last_on: Mapped[date]
    severity: Mapped[AlertSeverity] = mapped_column(one_of("severity", AlertSeverity))
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    text: Mapped[str]
    state: Mapped[AlertState] = mapped_column(one_of("state", AlertState), index=True)
    acknowledged_by: Mapped[str | None]
    reason: Mapped[str | None]
    snoozed_until: Mapped[date | None]
    resolved_on: Mapped[date | None]
    details: Mapped[dict[str, Any] | None]
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)
    is_settled: Mapped[bool] = mapped_column(default=False, index=True)


class AlertEvent(Base):
    """A step in the life of an alert. Steps with `by` were taken by a person; the others follow from the findings.

    `reopened` by a person undoes an acknowledgement or a snooze; without `by`, the alert returned in its cool-down.
    """

    __tablename__ = "alert_events"

    event_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    alert_id: Mapped[str] = mapped_column(sa.ForeignKey("alerts.alert_id"), index=True)
    business_date: Mapped[date]
    number: Mapped[int]
    step: Mapped[AlertStep] = mapped_column(one_of("step", AlertStep))
    severity: Mapped[AlertSeverity] = mapped_column(one_of("severity", AlertSeverity))
    value: Mapped[float | None]
    by: Mapped[str | None]
    reason: Mapped[str | None]
    until: Mapped[date | None]
    at: Mapped[datetime | None]
