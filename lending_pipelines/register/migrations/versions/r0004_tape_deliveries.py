"""Deliveries of tapes; on which days a tape is due, from when it is delivered, and who is notified if it is late."""

from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

CONVENTIONS = ("unadjusted", "following", "modified_following", "preceding", "modified_preceding")
NOTIFICATIONS = (
    "portfolio_alert",
    "portfolio_health_critical",
    "portfolio_health_warning",
    "high_default_rate",
    "low_collection_rate",
    "high_par",
    "negative_growth",
    "tape_delivered",
    "tape_delayed",
    "run_failed",
    "restatement",
)


def upgrade() -> None:
    """Create tape_deliveries, and add the settings of deliveries to the tape configurations."""
    op.create_table(
        "tape_deliveries",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("config_id", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("channel", _one_of("channel", "place", "email"), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("correction", sa.Integer(), nullable=False),
        sa.Column("status", _one_of("status", "pending", "delivering", "delivered", "failed"), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("delayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("supersedes_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
        sa.ForeignKeyConstraint(["config_id"], ["loan_tape_configs.config_id"]),
        sa.ForeignKeyConstraint(["supersedes_id"], ["tape_deliveries.delivery_id"]),
        sa.UniqueConstraint(
            "config_id", "business_date", "channel", "destination", "correction", name="uq_tape_deliveries_once"
        ),
    )
    op.create_index("ix_tape_deliveries_status", "tape_deliveries", ["status"])
    # Nothing was delivered before, and tapes of past days are not sent now.
    today = date.today().isoformat()
    with op.batch_alter_table("loan_tape_configs") as table:
        convention = _one_of("business_day_convention", *CONVENTIONS)
        table.add_column(sa.Column("business_day_convention", convention, nullable=False, server_default="unadjusted"))
        table.add_column(sa.Column("holiday_calendar", sa.Text(), nullable=True))
        table.add_column(sa.Column("deliver_from", sa.Date(), nullable=False, server_default=today))
        table.add_column(sa.Column("late_after_hours", sa.Integer(), nullable=False, server_default="12"))
        table.add_column(sa.Column("owner_email", sa.Text(), nullable=True))
    with op.batch_alter_table("notifications") as table:
        table.drop_constraint("notification_type", type_="check")
        table.alter_column(
            "notification_type", type_=_one_of("notification_type", *NOTIFICATIONS), existing_nullable=False
        )


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)
