"""Refresh tokens: each makes one new access token and one new refresh token of the same family, and works once.

If a refresh token is used twice, one of the two users has stolen it: the family is revoked, with all its access tokens.
Only hashes are stored.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.account_models import Account, AccountRole, ApiToken, RefreshToken, TokenFamily
from lending_pipelines.register.api_tokens import usable
from lending_pipelines.register.sessions import SignedIn, hashed, secret, signed_in_by
from lending_pipelines.register.types import utc_now

FAMILY_VALID = timedelta(days=30)
"""A family ends this long after its first token."""

UNUSED_VALID = timedelta(days=7)
"""A refresh token works for this long."""


class RefreshRefused(Exception):
    """A refresh token does not work. The message is for the audit log."""


@dataclass(frozen=True)
class Refreshed:
    """The continued family, and its next refresh token."""

    family: TokenFamily
    token: str


class RefreshTokens:
    """The refresh tokens, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, account_id: str, scope: dict[str, Any], token_id: str | None = None) -> Refreshed:
        """Begin a family for an account, after a sign-in or, with a `token_id`, for the token of an integration."""
        family = TokenFamily(account_id=account_id, token_id=token_id, scope=scope, expires_at=utc_now() + FAMILY_VALID)
        self._session.add(family)
        self._session.flush()
        return Refreshed(family, self._next(family))

    def use(self, value: str) -> Refreshed:
        """Use a refresh token. Of two uses at the same time, one gets the next token and the other revokes the family.

        Raises RefreshRefused. The caller commits also then, so that the revocation is stored.
        """
        now = utc_now()
        here = RefreshToken.token_hash == hashed(value)
        change = sa.update(RefreshToken).where(here, RefreshToken.used_at.is_(None)).values(used_at=now)
        family_id = self._session.scalar(change.returning(RefreshToken.family_id))
        if family_id is None:
            self._refuse_used(here)
        family = self._session.get_one(TokenFamily, family_id)
        expires_at = self._session.scalars(sa.select(RefreshToken.expires_at).where(here)).one()
        if family.revoked_at is not None or min(expires_at, family.expires_at) <= now:
            raise RefreshRefused("the refresh token is revoked or expired")
        account = self._session.get(Account, family.account_id)
        if account is None or not account.active:
            raise RefreshRefused("the account is disabled")
        if family.token_id and not self._session.scalar(
            sa.select(sa.exists().where(ApiToken.token_id == family.token_id, usable(now)))
        ):
            raise RefreshRefused("the token of the integration is revoked or expired")
        return Refreshed(family, self._next(family))

    def revoke(self, value: str) -> str | None:
        """End the family of a refresh token. Returns the id of its account; None if there is no such token."""
        token = self._session.get(RefreshToken, hashed(value))
        if token is None:
            return None
        self._end(token.family_id)
        return self._session.get_one(TokenFamily, token.family_id).account_id

    def _refuse_used(self, here: sa.ColumnElement[bool]) -> None:
        """Raise RefreshRefused for a token that is unknown or used. The family of a used token is revoked."""
        used = self._session.scalars(sa.select(RefreshToken).where(here)).one_or_none()
        if used is None:
            raise RefreshRefused("there is no such refresh token")
        self._end(used.family_id)
        raise RefreshRefused(f"the refresh token was used before: its family {used.family_id} is revoked")

    def _end(self, family_id: str) -> None:
        here = sa.and_(TokenFamily.family_id == family_id, TokenFamily.revoked_at.is_(None))
        self._session.execute(sa.update(TokenFamily).where(here).values(revoked_at=utc_now()))

    def _next(self, family: TokenFamily) -> str:
        value = secret()
        expires_at = min(utc_now() + UNUSED_VALID, family.expires_at)
        self._session.add(RefreshToken(token_hash=hashed(value), family_id=family.family_id, expires_at=expires_at))
        self._session.flush()
        return value


def account_of_family(connection: sa.Connection, family_id: str, now: datetime) -> SignedIn | None:
    """The account of a family's access tokens, if the family is valid and the account is active."""
    query = (
        sa.select(
            sa.null().label("seen_at"),
            TokenFamily.scope.label("token_scope"),
            TokenFamily.family_id.label("credential"),
        )
        .join(Account, Account.account_id == TokenFamily.account_id)
        .join(AccountRole, AccountRole.account_id == Account.account_id)
        .outerjoin(ApiToken, ApiToken.token_id == TokenFamily.token_id)
        .where(
            TokenFamily.family_id == family_id,
            TokenFamily.revoked_at.is_(None),
            TokenFamily.expires_at > now,
            sa.or_(TokenFamily.token_id.is_(None), usable(now)),
            Account.active.is_(True),
        )
    )
    return signed_in_by(connection, query, now)
