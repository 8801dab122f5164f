"""Tapes that are retired: never made or delivered again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the day on which a tape was retired."""
    with op.batch_alter_table("loan_tape_configs") as table:
        table.add_column(sa.Column("retired_on", sa.Date(), nullable=True))
