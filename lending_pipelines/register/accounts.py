"""Accounts of the portal and their roles: who may sign in, and which part of the lender a role covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.account_models import Account, AccountRole, Role, WebSession
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.types import utc_now

ROLES: tuple[Role, ...] = get_args(Role)

LOCKED_AFTER, LOCKED_FOR = 10, timedelta(minutes=15)
"""This many wrong passwords lock an account for this long."""

LISTS = ("branches", "officers", "portfolios", "investors")
"""The keys of a scope that have a list of ids; the others have one id."""

SCOPE_KEYS: dict[Role, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "admin": ((), ()),
    "auditor": ((), LISTS),
    "controller": ((), LISTS),
    "manager": (("manager",), ("branches",)),
    "loan_officer": (("officer",), ()),
    "investor": (("investors",), ("portfolios",)),
    "user": (("borrower",), ()),
}
"""The keys that the scope of each role must have, and those that it may have."""


@dataclass(frozen=True)
class RoleGiven:
    """A role and its scope, checked.

    The scope has lists of ids (`branches`, `officers`, `portfolios`, `investors`) or one id: `manager` (the staff_id of
    a team leader, for the leader's loans and those of the team in the lake), `officer` (a staff_id), `borrower`. A key
    that is absent does not restrict.
    """

    role: Role
    scope: dict[str, Any]

    @classmethod
    def checked(cls, role: str, scope: Mapping[str, Any]) -> "RoleGiven":
        """The role with its scope. Raises RegisterError that names every fault."""
        if role not in ROLES:
            raise RegisterError(f"there is no role {role!r}; {did_you_mean(role, ROLES)}")
        required, optional = SCOPE_KEYS[role]
        allowed = (*required, *optional)
        faults = [f"{key} is not part of it; {did_you_mean(key, allowed)}" for key in scope if key not in allowed]
        faults += [f"{key} is missing" for key in required if key not in scope]
        for key, value in scope.items():
            values = value if isinstance(value, list) else [value]
            if key in LISTS and not isinstance(value, list):
                faults.append(f"{key} is {value!r}: write a list of ids")
            elif key not in LISTS and isinstance(value, list):
                faults.append(f"{key} is {value!r}: write one id")
            elif not values or not all(isinstance(each, str) and each.strip() for each in values):
                faults.append(f"{key} is {value!r}: ids are texts, and there is at least one")
        if faults:
            raise RegisterError(f"scope of the role {role}: {'; '.join(faults)}")
        return cls(role, dict(scope))


class Accounts:
    """The accounts, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        username: str,
        name: str,
        roles: Sequence[RoleGiven],
        *,
        email: str | None = None,
        subject: str | None = None,
        password_hash: str | None = None,
    ) -> Account:
        """Add an account. Raises RegisterError when the username exists or is empty, or no role is given."""
        username = username.strip().casefold()
        if not username:
            raise RegisterError("the username is empty: write one")
        if not roles:
            raise RegisterError(f"account {username!r} has no role: give it at least one")
        if self.find(username):
            raise RegisterError(f"account {username!r} already exists: choose another username")
        account = Account(
            username=username, name=name.strip() or username, email=email, subject=subject, password_hash=password_hash
        )
        self._session.add(account)
        self._session.flush()
        self.set_roles(account, roles)
        return account

    def find(self, username: str) -> Account | None:
        """The account with that username, in any case of letters."""
        here = Account.username == username.strip().casefold()
        return self._session.scalars(sa.select(Account).where(here)).one_or_none()

    def get(self, username: str) -> Account:
        """The account with that username. Raises RegisterError when there is none."""
        if account := self.find(username):
            return account
        names = self._session.scalars(sa.select(Account.username))
        raise RegisterError(f"there is no account {username!r}: {did_you_mean(username, names)}")

    def by_id(self, account_id: str) -> Account | None:
        """The account with that id."""
        return self._session.get(Account, account_id)

    def by_email(self, email: str) -> Account | None:
        """The account with that email address, if exactly one has it."""
        here = sa.func.lower(Account.email) == email.strip().lower()
        found = self._session.scalars(sa.select(Account).where(here).limit(2)).all()
        return found[0] if len(found) == 1 else None

    def by_subject(self, subject: str) -> Account | None:
        """The account of an OIDC issuer and subject."""
        return self._session.scalars(sa.select(Account).where(Account.subject == subject)).one_or_none()

    def all(self) -> list[Account]:
        """Every account, by username."""
        return list(self._session.scalars(sa.select(Account).order_by(Account.username)))

    def roles(self, account_id: str) -> list[AccountRole]:
        """The roles of an account."""
        here = AccountRole.account_id == account_id
        return list(self._session.scalars(sa.select(AccountRole).where(here).order_by(AccountRole.role)))

    def has_admin(self) -> bool:
        """Whether an active account with the role admin can sign in."""
        query = sa.select(AccountRole.account_id).join(Account, Account.account_id == AccountRole.account_id)
        can = sa.or_(Account.password_hash.is_not(None), Account.subject.is_not(None))
        query = query.where(AccountRole.role == "admin", Account.active.is_(True), can)
        return self._session.scalar(sa.select(query.exists())) or False

    def set_roles(self, account: Account, roles: Sequence[RoleGiven]) -> None:
        """Replace the roles of an account. They apply from the next request on."""
        if len({each.role for each in roles}) < len(roles):
            raise RegisterError(f"account {account.username!r}: a role is given twice: give it one scope")
        self._session.execute(sa.delete(AccountRole).where(AccountRole.account_id == account.account_id))
        for each in roles:
            self._session.add(AccountRole(account_id=account.account_id, role=each.role, scope=each.scope))
        self._session.flush()

    def set_active(self, account: Account, active: bool) -> None:
        """Allow or forbid an account to sign in. Forbidding it ends its sessions."""
        account.active = active
        if not active:
            self.end_sessions(account)

    def set_password_hash(self, account: Account, password_hash: str) -> None:
        """Set the hash of a new password, unlock the account and end its sessions."""
        account.password_hash = password_hash
        account.failed_attempts, account.locked_until = 0, None
        self.end_sessions(account)

    def end_sessions(self, account: Account) -> None:
        """Sign an account out everywhere."""
        here = sa.and_(WebSession.account_id == account.account_id, WebSession.revoked_at.is_(None))
        self._session.execute(sa.update(WebSession).where(here).values(revoked_at=utc_now()))

    def record_failure(self, account: Account, now: datetime) -> None:
        """Count a wrong password, and lock the account after LOCKED_AFTER of them."""
        account.failed_attempts += 1
        if account.failed_attempts >= LOCKED_AFTER:
            account.failed_attempts, account.locked_until = 0, now + LOCKED_FOR

    def record_sign_in(self, account: Account, now: datetime) -> None:
        """Record that an account signed in."""
        account.failed_attempts, account.locked_until, account.signed_in_at = 0, None, now
