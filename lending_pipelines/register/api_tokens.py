"""Tokens of integrations: long-lived secrets that act for an account, within a scope, until they expire or are revoked.

Short-lived access tokens are in portal/auth/access_tokens.py, their refresh tokens in refresh_tokens.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.account_models import Account, AccountRole, ApiToken
from lending_pipelines.register.actions import ACTIONS
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.sessions import SignedIn, hashed, secret, signed_in_by
from lending_pipelines.register.types import new_id, utc_now

PREFIX = "lending_"
"""How every token of an integration begins, so that a token in a log or a repository is recognised."""

LONGEST_DAYS = 366
"""The maximum number of days for which a token is valid."""

LIMITED = ("branches", "officers", "portfolios", "investors")
"""The dimensions in which a token can be limited."""


@dataclass(frozen=True)
class TokenScope:
    """What a token may do for its account, checked: never more than the account itself.

    `actions` are names of register/actions.py; empty: all actions of the account. `limits` are ids by dimension.
    """

    actions: tuple[str, ...] = ()
    limits: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def checked(cls, actions: Sequence[str] = (), limits: Mapping[str, Sequence[str]] | None = None) -> "TokenScope":
        """The scope. Raises RegisterError that names every fault."""
        faults = [f"action {each!r}: {did_you_mean(each, ACTIONS)}" for each in actions if each not in ACTIONS]
        for name, ids in (limits or {}).items():
            if name not in LIMITED:
                faults.append(f"limit {name!r}: {did_you_mean(name, LIMITED)}")
            elif not ids or not all(each.strip() for each in ids):
                faults.append(f"limit {name!r}: write at least one id")
        if faults:
            raise RegisterError(f"scope of the token: {'; '.join(faults)}")
        return cls(tuple(sorted(set(actions))), limits)

    def as_json(self) -> dict[str, Any]:
        """The scope as the register stores it."""
        limits = {name: sorted(ids) for name, ids in (self.limits or {}).items()}
        return ({"actions": list(self.actions)} if self.actions else {}) | limits


class ApiTokens:
    """The tokens of integrations, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self, account_id: str, name: str, scope: TokenScope, days: int, token_id: str | None = None
    ) -> tuple[ApiToken, str]:
        """Add a token that is valid for `days` days. Returns the token and its secret, which is not stored.

        If a token with the `token_id` exists, it gets a new secret and no token is added. So a client that repeats a
        request because the answer was lost gets a secret that works. Raises RegisterError.
        """
        if not name.strip():
            raise RegisterError("the name of the token is empty: write what it is for")
        if not 1 <= days <= LONGEST_DAYS:
            raise RegisterError(f"a token is valid for 1 to {LONGEST_DAYS} days, not {days}")
        value = PREFIX + secret()
        token = self._session.get(ApiToken, token_id) if token_id else None
        if token is None:
            token = ApiToken(
                token_id=token_id or new_id(),
                account_id=account_id,
                name=name.strip(),
                scope=scope.as_json(),
                expires_at=utc_now() + timedelta(days=days),
            )
            self._session.add(token)
        elif (token.account_id, token.name, token.scope) != (account_id, name.strip(), scope.as_json()):
            raise RegisterError(f"token {token_id} already exists with another account, name or scope: use a new id")
        elif token.revoked_at is not None:
            raise RegisterError(f"token {token_id} was revoked: make a new one")
        token.token_hash = hashed(value)
        self._session.flush()
        return token, value

    def all(self, account_id: str | None = None) -> list[tuple[ApiToken, str]]:
        """The tokens of one account or of all accounts, each with the username, the latest first."""
        query = sa.select(ApiToken, Account.username).join(Account, Account.account_id == ApiToken.account_id)
        if account_id is not None:
            query = query.where(ApiToken.account_id == account_id)
        rows = self._session.execute(query.order_by(ApiToken.created_at.desc(), ApiToken.token_id))
        return [(token, username) for token, username in rows]

    def get(self, token_id: str) -> ApiToken:
        """The token whose id begins with the text. Raises RegisterError when none does, or several do."""
        here = ApiToken.token_id.startswith(token_id, autoescape=True)
        found = list(self._session.scalars(sa.select(ApiToken).where(here).limit(2)))
        if len(found) != 1 or not token_id:
            what = "several tokens begin with" if len(found) > 1 and token_id else "there is no token"
            raise RegisterError(f"{what} {token_id!r}: `lending people token` lists them")
        return found[0]

    def revoke(self, token_id: str) -> ApiToken:
        """Revoke a token. Access tokens that were made with it stop working too."""
        token = self.get(token_id)
        token.revoked_at = token.revoked_at or utc_now()
        return token

    def touch(self, token_id: str) -> None:
        """Record that a token was used now."""
        self._session.execute(sa.update(ApiToken).where(ApiToken.token_id == token_id).values(used_at=utc_now()))


def usable(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a token is neither revoked nor expired."""
    return sa.and_(ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)


def account_of_token(connection: sa.Connection, value: str, now: datetime) -> SignedIn | None:
    """The account of the token, if the token is usable and the account is active."""
    seen = sa.func.coalesce(ApiToken.used_at, ApiToken.created_at)
    query = (
        sa.select(seen.label("seen_at"), ApiToken.scope.label("token_scope"), ApiToken.token_id.label("credential"))
        .join(Account, Account.account_id == ApiToken.account_id)
        .join(AccountRole, AccountRole.account_id == Account.account_id)
        .where(ApiToken.token_hash == hashed(value), usable(now), Account.active.is_(True))
    )
    return signed_in_by(connection, query, now)
