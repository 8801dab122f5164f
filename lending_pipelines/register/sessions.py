"""Sessions of signed-in browsers, and links that work once. Only hashes of their secrets are stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.account_models import (
    Account,
    AccountRole,
    LinkPurpose,
    OneTimeLink,
    Role,
    WebSession,
)
from lending_pipelines.register.types import utc_now

IDLE, LONGEST = timedelta(hours=1), timedelta(hours=12)
"""A session ends IDLE after its last request, and at the latest LONGEST after the sign-in."""

LINK_VALID = timedelta(hours=48)
"""The time for which a one-time link works."""

_SEEN_EVERY = timedelta(minutes=1)
"""The use of a session or token is recorded at most once in this time."""
_KEPT = timedelta(days=30)
"""The time after which expired sessions are deleted."""


def secret() -> str:
    """A new secret for a cookie, a link or a token: 256 random bits as text."""
    return secrets.token_urlsafe(32)


def hashed(value: str) -> str:
    """The stored form of a secret. A secret has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True)
class SignedIn:
    """Who a session or a token belongs to, with the current roles and the scope of each.

    `token_scope` is what a token is limited to (api_tokens.py), and `credential` the id of the token or of its family;
    a session has neither.
    """

    account_id: str
    username: str
    name: str
    email: str | None
    roles: tuple[tuple[Role, dict[str, Any]], ...]
    seen_long_ago: bool
    token_scope: dict[str, Any] | None = None
    credential: str = ""


def signed_in(connection: sa.Connection, cookie: str, now: datetime) -> SignedIn | None:
    """Who a cookie's session belongs to, if it is valid and the account is active. A single query per request."""
    query = (
        sa.select(WebSession.seen_at)
        .join(Account, Account.account_id == WebSession.account_id)
        .join(AccountRole, AccountRole.account_id == Account.account_id)
        .where(
            WebSession.session_hash == hashed(cookie),
            WebSession.revoked_at.is_(None),
            WebSession.expires_at > now,
            WebSession.seen_at > now - IDLE,
            Account.active.is_(True),
        )
    )
    return signed_in_by(connection, query, now)


def signed_in_by(connection: sa.Connection, query: sa.Select[Any], now: datetime) -> SignedIn | None:
    """Who a credential belongs to. The query joins Account and AccountRole, and selects seen_at (or null) of the
    credential; for a token also token_scope and credential.
    """
    person = (Account.account_id, Account.username, Account.name, Account.email, AccountRole.role, AccountRole.scope)
    rows = connection.execute(query.add_columns(*person).order_by(AccountRole.role)).all()
    if not rows:
        return None
    first = rows[0]._mapping
    return SignedIn(
        first["account_id"],
        first["username"],
        first["name"],
        first["email"],
        tuple((row.role, row.scope) for row in rows),
        first["seen_at"] is not None and first["seen_at"] < now - _SEEN_EVERY,
        first.get("token_scope"),
        first.get("credential", ""),
    )


class Sessions:
    """The sessions, within one session of the register."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(self, account_id: str, address: str, browser: str) -> str:
        """Start a session and return the value of its cookie. Old expired sessions of the account are deleted."""
        value = secret()
        now = utc_now()
        long_over = sa.and_(WebSession.account_id == account_id, WebSession.expires_at < now - _KEPT)
        self._session.execute(sa.delete(WebSession).where(long_over))
        self._session.add(
            WebSession(
                session_hash=hashed(value),
                account_id=account_id,
                created_at=now,
                seen_at=now,
                expires_at=now + LONGEST,
                address=address,
                browser=browser[:200],
            )
        )
        self._session.flush()
        return value

    def touch(self, cookie: str) -> None:
        """Record that a session was used now."""
        here = WebSession.session_hash == hashed(cookie)
        self._session.execute(sa.update(WebSession).where(here).values(seen_at=utc_now()))

    def end(self, cookie: str) -> None:
        """End a session, if it is not revoked yet."""
        here = sa.and_(WebSession.session_hash == hashed(cookie), WebSession.revoked_at.is_(None))
        self._session.execute(sa.update(WebSession).where(here).values(revoked_at=utc_now()))

    def end_others(self, account_id: str, cookie: str) -> int:
        """End the sessions of an account except that of a cookie. Returns how many."""
        here = (
            WebSession.account_id == account_id,
            WebSession.session_hash != hashed(cookie),
            WebSession.revoked_at.is_(None),
        )
        change = sa.update(WebSession).where(*here).values(revoked_at=utc_now()).returning(WebSession.session_hash)
        return len(self._session.execute(change).all())

    def open(self, account_id: str) -> list[WebSession]:
        """The valid sessions of an account, the latest used first."""
        now = utc_now()
        here = (
            WebSession.account_id == account_id,
            WebSession.revoked_at.is_(None),
            WebSession.expires_at > now,
            WebSession.seen_at > now - IDLE,
        )
        return list(self._session.scalars(sa.select(WebSession).where(*here).order_by(WebSession.seen_at.desc())))


class OneTimeLinks:
    """Links that work once, within one session of the register."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, purpose: LinkPurpose, account_id: str | None = None) -> str:
        """Create a link and return its secret part. Earlier links for the same purpose and account stop working."""
        same = OneTimeLink.account_id == account_id if account_id else OneTimeLink.account_id.is_(None)
        unused = sa.and_(same, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_(None))
        self._session.execute(sa.update(OneTimeLink).where(unused).values(used_at=utc_now()))
        value = secret()
        link = OneTimeLink(
            link_hash=hashed(value), purpose=purpose, account_id=account_id, expires_at=utc_now() + LINK_VALID
        )
        self._session.add(link)
        self._session.flush()
        return value

    def find(self, value: str) -> OneTimeLink | None:
        """The link with that secret part, if it is unused and not expired."""
        link = self._session.get(OneTimeLink, hashed(value))
        return link if link and link.used_at is None and link.expires_at > utc_now() else None

    def use(self, value: str) -> OneTimeLink | None:
        """Use a link. None if it does not work. Of two uses at the same time, only one gets the link."""
        here = (
            OneTimeLink.link_hash == hashed(value),
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > utc_now(),
        )
        change = sa.update(OneTimeLink).where(*here).values(used_at=utc_now()).returning(OneTimeLink)
        return self._session.scalars(change).one_or_none()
