"""Corrections of tapes that are delivered after approval."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns. Existing deliveries need no approval."""
    with op.batch_alter_table("loan_tape_configs") as table:
        table.add_column(sa.Column("approve_corrections", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("tape_deliveries") as table:
        table.add_column(sa.Column("needs_approval", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("approved_by", sa.Text()))
        table.add_column(sa.Column("approved_at", sa.DateTime(timezone=True)))
