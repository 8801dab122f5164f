"""Who is notified of a requested report, and the notifications that it is ready or failed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

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
    "report_ready",
    "report_failed",
)


def upgrade() -> None:
    """Add reports.notify and allow the two types of notifications."""
    with op.batch_alter_table("reports") as table:
        table.add_column(sa.Column("notify", sa.JSON(), nullable=False, server_default="[]"))
    kind = sa.Enum(*NOTIFICATIONS, name="notification_type", native_enum=False, create_constraint=True, length=40)
    with op.batch_alter_table("notifications") as table:
        table.drop_constraint("notification_type", type_="check")
        table.alter_column("notification_type", type_=kind, existing_nullable=False)
