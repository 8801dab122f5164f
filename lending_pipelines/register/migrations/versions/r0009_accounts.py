"""Accounts, their roles, sessions, API tokens, one-time links, the audit log, and the summaries of closes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ROLES = ("admin", "auditor", "controller", "manager", "loan_officer", "investor", "user")


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _instant(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _account(*, nullable: bool = False) -> sa.Column:
    return sa.Column("account_id", sa.Text(), nullable=nullable, index=True)


def upgrade() -> None:
    """Create the tables of people who use the portal."""
    _create_accounts()
    _create_secrets()
    _create_audit_log()
    op.create_table(
        "close_summaries",
        sa.Column("business_date", sa.Date(), primary_key=True),
        _instant("made_at", nullable=False),
        sa.Column("verdict", _one_of("verdict", "good", "warnings", "failed"), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
    )


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        _instant("locked_until"),
        _instant("created_at", nullable=False),
        _instant("signed_in_at"),
        sa.UniqueConstraint("username"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "account_roles",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("role", _one_of("role", *_ROLES), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "role"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
    )


def _create_secrets() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.Text(), primary_key=True),
        _account(),
        _instant("created_at", nullable=False),
        _instant("seen_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("revoked_at"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.Text(), primary_key=True),
        sa.Column("token_hash", sa.Text(), nullable=False),
        _account(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        _instant("created_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        _instant("revoked_at"),
        sa.UniqueConstraint("token_hash"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
    )
    op.create_table(
        "one_time_links",
        sa.Column("link_hash", sa.Text(), primary_key=True),
        sa.Column("purpose", _one_of("purpose", "first_admin", "invitation", "password_reset"), nullable=False),
        _account(nullable=True),
        _instant("created_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
    )


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column(
            "entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("account", sa.Text(), nullable=False, index=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("scope", sa.JSON()),
        sa.Column("rows", sa.Integer()),
        sa.Column("sha256", sa.Text()),
        sa.Column("outcome", _one_of("outcome", "allowed", "denied", "failed"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{change.lower()} BEFORE {change} ON audit_log "
                "BEGIN SELECT RAISE(ABORT, 'audit_log is append only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit_log is append only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only()"
    )
