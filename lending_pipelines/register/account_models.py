"""The register's tables of people who use the portal, as SQLAlchemy models: accounts, sessions, tokens, the audit log.

What a role may do, and which rows it sees, is decided in portal/policy.py and portal/lake/table_rules.py.
"""

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from lending_pipelines.bounds import required_text
from lending_pipelines.register.models import Base, one_of
from lending_pipelines.register.types import new_id, utc_now

Role = Literal["admin", "auditor", "controller", "manager", "loan_officer", "investor", "user"]
LinkPurpose = Literal["first_admin", "invitation", "password_reset"]
AuditOutcome = Literal["allowed", "denied", "failed"]


class Account(Base):
    """A person who signs in to the portal.

    `password_hash` is null until the person chooses a password, and for people who sign in by OIDC; `subject` is the
    OIDC issuer and subject. `failed_attempts` counts wrong passwords since the last sign-in or lock.
    """

    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    username: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    email: Mapped[str | None]
    password_hash: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    failed_attempts: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    signed_in_at: Mapped[datetime | None]

    @validates("username", "name", "email")
    def _bounded(self, column: str, text: str | None) -> str | None:
        return required_text((text or None) if column == "email" else text, f"account: {column}")


class AccountRole(Base):
    """A role of an account, and the part of the lender that it covers (see accounts.py)."""

    __tablename__ = "account_roles"

    account_id: Mapped[str] = mapped_column(sa.ForeignKey("accounts.account_id"), primary_key=True)
    role: Mapped[Role] = mapped_column(one_of("role", Role), primary_key=True)
    scope: Mapped[dict[str, Any]]


class WebSession(Base):
    """A signed-in browser. `session_hash` is the SHA-256 of the cookie's value, which is not stored."""

    __tablename__ = "sessions"

    session_hash: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("accounts.account_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    address: Mapped[str]
    browser: Mapped[str]


class ApiToken(Base):
    """A token of an integration. `token_hash` is the SHA-256 of the token, which is shown once and not stored.

    A token acts for its account within `scope`: {"actions": [...], "branches": [...], …} (api_tokens.py); a key that is
    absent does not limit it.
    """

    __tablename__ = "api_tokens"

    token_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    token_hash: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("accounts.account_id"), index=True)
    name: Mapped[str]
    scope: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class TokenFamily(Base):
    """The refresh tokens that follow each other from one sign-in, or from one use of an integration's token.

    `scope` is as in ApiToken. A family that is revoked makes no more tokens, and its access tokens stop working.
    """

    __tablename__ = "token_families"

    family_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("accounts.account_id"), index=True)
    token_id: Mapped[str | None] = mapped_column(sa.ForeignKey("api_tokens.token_id"))
    scope: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token, which works once. `token_hash` is the SHA-256 of the token, which is not stored."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str] = mapped_column(sa.ForeignKey("token_families.family_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OneTimeLink(Base):
    """A link that works once: to choose a first or new password, or to create the first admin (no account yet).

    `link_hash` is the SHA-256 of the link's secret part, which is not stored.
    """

    __tablename__ = "one_time_links"

    link_hash: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[LinkPurpose] = mapped_column(one_of("purpose", LinkPurpose))
    account_id: Mapped[str | None] = mapped_column(sa.ForeignKey("accounts.account_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Something that a person did in the portal, or was denied. Rows are only added; the database refuses changes.

    `account` is the username, or what was typed when nobody was signed in. `rows` and `sha256` describe what was
    downloaded.
    """

    __tablename__ = "audit_log"

    entry_id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    account: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    resource: Mapped[str]
    scope: Mapped[list[Any] | None]
    rows: Mapped[int | None]
    sha256: Mapped[str | None]
    outcome: Mapped[AuditOutcome] = mapped_column(one_of("outcome", AuditOutcome))
    reason: Mapped[str]
    address: Mapped[str]
