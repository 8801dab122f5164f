"""An index on the findings of a topic and subject by day."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the index."""
    op.create_index(
        "ix_alert_findings_subject",
        "alert_findings",
        ["topic", "subject_kind", "subject_id", "currency", "business_date"],
    )
