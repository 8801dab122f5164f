"""Tapes that could not be made; empty tapes by permission; ownership of sold loans from the day after the sale."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create tape_faults, add allow_empty, and date the assignments of sales to the day after the sale."""
    op.create_table(
        "tape_faults",
        sa.Column("config_id", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("waits_for_close", sa.Boolean(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("config_id", "business_date"),
        sa.ForeignKeyConstraint(["config_id"], ["loan_tape_configs.config_id"]),
    )
    with op.batch_alter_table("loan_tape_configs") as table:
        table.add_column(sa.Column("allow_empty", sa.Boolean(), nullable=False, server_default=sa.false()))
    _date_sales_to_the_day_after()


def _date_sales_to_the_day_after() -> None:
    """Move each assignment of a sale on D to D + 1, unless the loan has another assignment on that day."""
    loans = sa.table(
        "loan_assignments",
        sa.column("loan_id", sa.Text()),
        sa.column("assignment_date", sa.Date()),
        sa.column("sale_id", sa.Text()),
    )
    connection = op.get_bind()
    sold = connection.execute(sa.select(loans).where(loans.c.sale_id.is_not(None))).all()
    taken = {(row.loan_id, row.assignment_date) for row in connection.execute(sa.select(loans))}
    for row in sold:
        day_after = row.assignment_date + timedelta(days=1)
        if (row.loan_id, day_after) not in taken:
            here = sa.and_(loans.c.loan_id == row.loan_id, loans.c.assignment_date == row.assignment_date)
            connection.execute(sa.update(loans).where(here).values(assignment_date=day_after))
