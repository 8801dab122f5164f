"""Which alerts nobody has to be notified of any more, and the notifications that are not sent yet."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column and the indexes. The index on who was notified of an alert is not needed any more."""
    # Only add the column: for other changes SQLite would drop and recreate the table, and other rows refer to its rows.
    op.add_column("alerts", sa.Column("is_settled", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_alerts_is_settled", "alerts", ["is_settled"])
    op.create_index("ix_alerts_subject", "alerts", ["topic", "subject_kind", "subject_id", "currency"])
    op.create_index(
        "ix_notifications_unsent",
        "notifications",
        ["emailed_at", "sending_at", "read_at", "channel", "recipient", "priority"],
    )
    op.create_index("ix_notifications_alert_id", "notifications", ["alert_id"])
    op.drop_index("ix_notifications_told", "notifications")
