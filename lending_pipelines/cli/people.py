"""`lending people`: the accounts of the portal: list, add, roles, disable, invitation links.

Commands only parse, call and print. register/accounts.py checks roles and scopes.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lending_pipelines.cli.people_tokens import tokens
from lending_pipelines.cli.terminal import echo_table, ids_by_dimension, record, register_session
from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lending_pipelines.register import RoleGiven
    from lending_pipelines.register.account_models import Account

people = typer.Typer(
    help="The accounts of the portal: list, add, change and disable them.", invoke_without_command=True
)

people.add_typer(tokens, name="token")

Username = Annotated[str, typer.Argument(help="The username.")]
Role = Annotated[
    list[str],
    typer.Option(
        "--role",
        help="A role, with its scope after a colon: admin, auditor, controller, manager:S01 (a team leader's staff_id),"
        " loan_officer:S02, investor:FUND1,FUND2, user:C01 (a borrower_id). May be repeated.",
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", help="Restrict the roles: branches=B01,B02, portfolios=… or officers=…. May be repeated."),
]


@people.callback()
def list_people(context: typer.Context) -> None:
    """List the accounts with their roles and scopes."""
    if context.invoked_subcommand is not None:
        return
    from lending_pipelines.register import Accounts

    with register_session() as session:
        accounts = Accounts(session)
        rows = [
            [
                account.username,
                account.name,
                account.email or "-",
                "; ".join(_role_text(each.role, each.scope) for each in accounts.roles(account.account_id)),
                _state(account),
                f"{account.signed_in_at:%Y-%m-%d %H:%M}" if account.signed_in_at else "-",
            ]
            for account in accounts.all()
        ]
    echo_table(["username", "name", "email", "roles", "state", "last sign-in (UTC)"], rows)


@people.command("add")
def add_person(
    username: Username,
    role: Role,
    name: Annotated[str, typer.Option(help="The person's name. Empty: the username.")] = "",
    email: Annotated[str | None, typer.Option(help="The person's email address.")] = None,
    limit: Limit = None,
) -> None:
    """Add an account and print the link by which its person chooses a password."""
    from lending_pipelines.register import Accounts

    with register_session() as session:
        account = Accounts(session).create(username, name or username, _roles(role, limit), email=email)
        record(session, "people.edit", f"account {account.username}", "added")
        link = _link(session, account)
    typer.echo(f"Account {account.username} is added. This link works once, within 48 hours:\n{link}")


@people.command("role")
def set_roles(username: Username, role: Role, limit: Limit = None) -> None:
    """Replace the roles of an account. They apply from its next request on."""
    from lending_pipelines.register import Accounts

    with register_session() as session:
        account = Accounts(session).get(username)
        given = _roles(role, limit)
        Accounts(session).set_roles(account, given)
        record(session, "people.edit", f"account {account.username}", "roles set")
    typer.echo(f"{account.username}: {'; '.join(_role_text(each.role, each.scope) for each in given)}")


@people.command("disable")
def disable_person(username: Username) -> None:
    """Forbid an account to sign in, and end its sessions."""
    _set_active(username, False)
    typer.echo(f"{username} is disabled and signed out.")


@people.command("enable")
def enable_person(username: Username) -> None:
    """Allow an account to sign in again."""
    _set_active(username, True)
    typer.echo(f"{username} is enabled.")


@people.command("invite")
def invite_person(username: Username) -> None:
    """Print a new link by which the person of an account chooses a password."""
    from lending_pipelines.register import Accounts

    with register_session() as session:
        account = Accounts(session).get(username)
        record(session, "people.edit", f"account {account.username}", "link made")
        link = _link(session, account)
    typer.echo(f"This link works once, within 48 hours:\n{link}")


def _set_active(username: str, active: bool) -> None:
    from lending_pipelines.register import Accounts

    with register_session() as session:
        account = Accounts(session).get(username)
        Accounts(session).set_active(account, active)
        record(session, "people.edit", f"account {account.username}", "enabled" if active else "disabled")


def _link(session: "Session", account: "Account") -> str:
    """A new one-time link by which the person of an account chooses a password."""
    from lending_pipelines.register import OneTimeLinks

    purpose: Any = "password_reset" if account.password_hash else "invitation"
    address = Settings.from_environment().portal_url.rstrip("/") or "http://127.0.0.1:8000"
    return f"{address}/welcome/{OneTimeLinks(session).create(purpose, account.account_id)}"


def _roles(roles: list[str], limits: list[str] | None) -> "list[RoleGiven]":
    """The roles of the options, each checked with its scope and the limits."""
    from lending_pipelines.register import RoleGiven

    limited = ids_by_dimension(limits or ())
    return [RoleGiven.checked(*_role(each, limited)) for each in roles]


def _role(text: str, limited: dict[str, list[str]]) -> tuple[str, dict[str, Any]]:
    """The role and scope of an option such as `manager:S01`; the scope includes the limits."""
    role, _, ids = text.partition(":")
    keys = {"manager": "manager", "loan_officer": "officer", "user": "borrower"}
    scope: dict[str, Any] = dict(limited)
    if ids and role == "investor":
        scope["investors"] = [part.strip() for part in ids.split(",") if part.strip()]
    elif ids:
        if role not in keys:
            raise LendingError(f"--role {text!r}: the role {role} has no id after a colon; use --limit to restrict it")
        scope[keys[role]] = ids
    return role, scope


def _role_text(role: str, scope: dict[str, Any]) -> str:
    return f"{role} {json.dumps(scope)}" if scope else role


def _state(account: "Account") -> str:
    if not account.active:
        return "disabled"
    return "active" if account.password_hash or account.subject else "invited"
