"""Families of refresh tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def _instant(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "token_families",
        sa.Column("family_id", sa.Text(), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=False, index=True),
        sa.Column("token_id", sa.Text()),
        sa.Column("scope", sa.JSON(), nullable=False),
        _instant("created_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("revoked_at"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.token_id"]),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.Text(), primary_key=True),
        sa.Column("family_id", sa.Text(), nullable=False, index=True),
        _instant("created_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        sa.ForeignKeyConstraint(["family_id"], ["token_families.family_id"]),
    )
