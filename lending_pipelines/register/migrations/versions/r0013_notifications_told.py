"""Indexes on the time of a notification, and on who was notified of an alert and when."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the indexes. The second one has the columns of the former index on alert_id first."""
    op.create_index("ix_notifications_created_at", "notifications", ["created_at"])
    op.create_index(
        "ix_notifications_told",
        "notifications",
        ["alert_id", "recipient", "channel", "emailed_at", "read_at", "acted_at", "sending_at", "notification_id"],
    )
    op.drop_index("ix_notifications_alert_id", "notifications")
