"""Alert rules, findings, alerts and their steps; notifications about alerts, and how each was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _severity() -> sa.Enum:
    return _one_of("severity", "warning", "critical")


def upgrade() -> None:
    """Create the tables of alerts and extend notifications."""
    _create_rules()
    _create_findings()
    _create_alerts()
    _extend_notifications()


def _create_rules() -> None:
    op.create_table(
        "alert_rules",
        sa.Column("rule_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text()),
        sa.Column("threshold", sa.Text()),
        sa.Column("severity", _severity(), nullable=False),
        sa.Column("minimum", sa.Numeric(18, 2).with_variant(sa.Text(), "sqlite")),
        sa.Column("window_days", sa.Integer()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("name"),
    )


def _create_findings() -> None:
    op.create_table(
        "alert_findings",
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("severity", _severity()),
        sa.Column("value", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON()),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "business_date", "topic", "subject_kind", "subject_id", "currency"),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rules.rule_id"]),
    )
    op.create_table(
        "alert_days",
        sa.Column("business_date", sa.Date(), primary_key=True),
        sa.Column("rule_ids", sa.JSON(), nullable=False),
    )


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.Text(), primary_key=True),
        sa.Column("rule_id", sa.Text(), nullable=False, index=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("severity", _severity(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", _one_of("state", "open", "acknowledged", "snoozed", "resolved"), nullable=False, index=True),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("snoozed_until", sa.Date()),
        sa.Column("resolved_on", sa.Date()),
        sa.Column("details", sa.JSON()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rules.rule_id"]),
    )
    steps = ("opened", "escalated", "eased", "resolved", "reopened", "acknowledged", "snoozed", "withdrawn")
    op.create_table(
        "alert_events",
        sa.Column("event_id", sa.Text(), primary_key=True),
        sa.Column("alert_id", sa.Text(), nullable=False, index=True),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", _one_of("step", *steps), nullable=False),
        sa.Column("severity", _severity(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("by", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("until", sa.Date()),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.alert_id"]),
    )


def _extend_notifications() -> None:
    with op.batch_alter_table("notifications") as table:
        table.add_column(sa.Column("acted_at", sa.DateTime(timezone=True)))
        table.add_column(sa.Column("alert_id", sa.Text()))
        table.add_column(sa.Column("snapshot", sa.JSON()))
        table.add_column(
            sa.Column("channel", _one_of("channel", "email", "webhook"), nullable=False, server_default="email")
        )
        table.add_column(sa.Column("message_id", sa.Text()))
        table.add_column(sa.Column("sending_at", sa.DateTime(timezone=True)))
        table.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("next_attempt_at", sa.DateTime(timezone=True)))
        table.add_column(sa.Column("error_message", sa.Text()))
        table.create_index("ix_notifications_alert_id", ["alert_id"])
        table.create_index("ix_notifications_message_id", ["message_id"])
