"""Sales of portfolios, and which loan assignments each of them made."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MONEY = sa.Numeric(18, 2).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Create portfolio_sales and refer to it from loan_assignments."""
    op.create_table(
        "portfolio_sales",
        sa.Column("sale_id", sa.Text(), nullable=False),
        sa.Column("portfolio_id", sa.Text(), nullable=False),
        sa.Column("investor_id", sa.Text(), nullable=False),
        sa.Column("sale_date", sa.Date(), nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("lake_version", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sale_id"),
        sa.ForeignKeyConstraint(["portfolio_id"], ["portfolios.portfolio_id"]),
        sa.ForeignKeyConstraint(["investor_id"], ["investors.investor_id"]),
    )
    op.create_index("ix_portfolio_sales_portfolio_id", "portfolio_sales", ["portfolio_id"])
    # SQLite cannot add a constraint to an existing table, so Alembic copies the table.
    with op.batch_alter_table("loan_assignments") as table:
        table.add_column(sa.Column("sale_id", sa.Text(), nullable=True))
        table.create_foreign_key("fk_loan_assignments_sale_id", "portfolio_sales", ["sale_id"], ["sale_id"])
        table.create_index("ix_loan_assignments_sale_id", ["sale_id"])
