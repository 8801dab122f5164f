"""Locks of periods."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_IN_FORCE = sa.text("reopened_at IS NULL")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "period_locks",
        sa.Column("lock_id", sa.Text(), primary_key=True),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("locked_by", sa.Text(), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reopened_by", sa.Text()),
        sa.Column("reopened_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text()),
        sa.CheckConstraint(
            "(reopened_at IS NULL) = (reopened_by IS NULL) AND (reopened_at IS NULL) = (reason IS NULL)",
            name="reopened_with_reason",
        ),
    )
    op.create_index(
        "uq_period_locks_in_force",
        "period_locks",
        ["period_end"],
        unique=True,
        sqlite_where=_IN_FORCE,
        postgresql_where=_IN_FORCE,
    )
