"""Signing in and out, and links that work once: what happens in the register. routes/sign_in.py has the pages."""

from datetime import datetime

from sqlalchemy.orm import Session

from lending_pipelines.portal.auth.oidc import Identity, RoleRules
from lending_pipelines.register.account_models import Account, OneTimeLink
from lending_pipelines.register.accounts import Accounts, RoleGiven
from lending_pipelines.register.database import Register
from lending_pipelines.register.passwords import hash_password, matches
from lending_pipelines.register.sessions import OneTimeLinks
from lending_pipelines.register.types import utc_now

ADMIN = "admin"
"""The username of the account that the first link makes."""


class SignInRefused(Exception):
    """A sign-in is refused. The message is for the audit log; the page always says the same."""


def password_account(session: Session, name: str, password: str, now: datetime) -> Account:
    """The account that the username, or email, and password belong to. Raises SignInRefused.

    A wrong password is counted, so the caller commits in any case. All refusals are the same exception, so that the
    page does not show that an account is locked.
    """
    accounts = Accounts(session)
    account = accounts.find(name) or accounts.by_email(name)
    correct = matches(password, account.password_hash if account else None)
    if account is None:
        raise SignInRefused("there is no such account")
    if not account.active:
        raise SignInRefused("the account is disabled")
    if account.locked_until is not None and account.locked_until > now:
        raise SignInRefused("the account is locked")
    if not correct:
        accounts.record_failure(account, now)
        raise SignInRefused("the password is wrong" if account.password_hash else "the account has no password")
    accounts.record_sign_in(account, now)
    return account


def oidc_account(session: Session, identity: Identity, rules: RoleRules | None) -> Account:
    """The account of the person who signed in by OIDC, with the roles that the rules give. Raises SignInRefused.

    The first sign-in uses an account that was added with the person's verified email address and has no password yet.
    With rules, it adds an account if there is none, and every sign-in sets the roles.
    """
    accounts = Accounts(session)
    account = accounts.by_subject(identity.subject) or _invited(accounts, identity)
    roles = rules.roles(identity.claims) if rules else []
    if rules and not roles:
        raise SignInRefused(f"the claims of {identity.username} give no role")
    if account is None and not roles:
        raise SignInRefused(f"{identity.username} has no account")
    if account is None:
        if accounts.find(identity.username):
            raise SignInRefused(f"the username {identity.username} is that of another account")
        account = accounts.create(
            identity.username, identity.name, roles, email=identity.email, subject=identity.subject
        )
    if not account.active:
        raise SignInRefused("the account is disabled")
    account.subject = identity.subject
    if roles:
        accounts.set_roles(account, roles)
    accounts.record_sign_in(account, utc_now())
    return account


def _invited(accounts: Accounts, identity: Identity) -> Account | None:
    """The account with the person's verified email address, if nobody has signed in to it yet."""
    account = accounts.by_email(identity.email) if identity.email else None
    return account if account and account.subject is None and account.password_hash is None else None


def link_account(session: Session, link: OneTimeLink) -> str:
    """The username of the account that a link is for."""
    account = Accounts(session).by_id(link.account_id) if link.account_id else None
    return account.username if account else ADMIN


def choose_password(session: Session, value: str, password: str) -> Account | None:
    """Use a link and set the account's password. None when the link does not work.

    Raises PasswordRefused, before the link is used.
    """
    links, accounts = OneTimeLinks(session), Accounts(session)
    link = links.find(value)
    if link is None:
        return None
    password_hash = hash_password(password, link_account(session, link))
    if links.use(value) is None:
        return None
    account = accounts.by_id(link.account_id) if link.account_id else _first_admin(accounts)
    if account is None or not account.active:
        return None
    accounts.set_password_hash(account, password_hash)
    accounts.record_sign_in(account, utc_now())
    return account


def first_admin_link(register: Register) -> str | None:
    """The secret part of a link that makes the first admin; None if there is an admin."""
    with register.session() as session:
        return None if Accounts(session).has_admin() else OneTimeLinks(session).create("first_admin")


def _first_admin(accounts: Accounts) -> Account | None:
    """The account that the first link is for; None if there is an admin already."""
    if accounts.has_admin():
        return None
    account = accounts.find(ADMIN)
    if account is None:
        return accounts.create(ADMIN, "Administrator", [RoleGiven.checked("admin", {})])
    accounts.set_active(account, True)
    accounts.set_roles(account, [RoleGiven.checked("admin", {})])
    return account
