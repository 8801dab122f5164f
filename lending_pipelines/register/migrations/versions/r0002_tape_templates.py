"""Tapes by a template, written as XML too, and whether personal data may be in them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

FORMATS = ("csv", "xlsx", "parquet", "xml")


def upgrade() -> None:
    """Add the columns, and the format to those allowed."""
    formats = sa.Enum(*FORMATS, name="tape_format", native_enum=False, create_constraint=True, length=40)
    with op.batch_alter_table("loan_tape_configs") as table:
        table.add_column(sa.Column("template_values", sa.JSON(), nullable=True))
        table.add_column(sa.Column("allow_pii", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.drop_constraint("tape_format", type_="check")
        table.alter_column("tape_format", type_=formats, existing_nullable=False)
