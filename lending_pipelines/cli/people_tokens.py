"""`lending people token`: the tokens of integrations, and the key that signs access tokens.

Commands only parse, call and print. register/api_tokens.py checks scopes.
"""

import subprocess
import sys
from typing import Annotated

import typer

from lending_pipelines.cli.terminal import echo_table, ids_by_dimension, record, register_session

tokens = typer.Typer(help="Tokens of integrations with the API: list, add, revoke.", invoke_without_command=True)


@tokens.callback()
def list_tokens(context: typer.Context) -> None:
    """List the tokens of integrations. Their secrets are not stored."""
    if context.invoked_subcommand is not None:
        return
    from lending_pipelines.register import ApiTokens
    from lending_pipelines.register.types import utc_now

    now = utc_now()
    with register_session() as session:
        rows = [
            [
                token.token_id[:8],
                username,
                token.name,
                "; ".join(f"{name}={','.join(values)}" for name, values in token.scope.items()) or "all of the account",
                "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "valid",
                f"{token.expires_at:%Y-%m-%d}",
                f"{token.used_at:%Y-%m-%d %H:%M}" if token.used_at else "-",
            ]
            for token, username in ApiTokens(session).all()
        ]
    echo_table(["token", "account", "name", "scope", "state", "expires", "last used (UTC)"], rows)


@tokens.command("add")
def add_token(
    username: Annotated[str, typer.Argument(help="The account that the token acts for.")],
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    days: Annotated[int, typer.Option(help="How many days it is valid.")] = 90,
    action: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do, such as portfolios.read. May be repeated. None: all that the account may do."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Restrict it: branches=B01,B02, officers=…, portfolios=… or investors=…. May be repeated."),
    ] = None,
) -> None:
    """Make a token and print it. It is shown once, and never allows more than its account."""
    from lending_pipelines.register import Accounts, ApiTokens, TokenScope

    with register_session() as session:
        account = Accounts(session).get(username)
        scope = TokenScope.checked(action or (), ids_by_dimension(limit or ()))
        token, value = ApiTokens(session).create(account.account_id, name, scope, days)
        record(session, "tokens.edit", f"token {token.token_id} of {account.username}", "made")
    typer.echo(f"Token {token.token_id[:8]} of {account.username} is valid until {token.expires_at:%Y-%m-%d}.")
    typer.echo(f"It is shown once:\n{value}")


@tokens.command("revoke")
def revoke_token(token_id: Annotated[str, typer.Argument(help="The token's id, or how it begins.")]) -> None:
    """End a token, and the access tokens that were made with it."""
    from lending_pipelines.register import ApiTokens

    with register_session() as session:
        token = ApiTokens(session).revoke(token_id)
        record(session, "tokens.edit", f"token {token.token_id}", "revoked")
    typer.echo(f"Token {token.token_id[:8]} ({token.name}) is revoked.")


@tokens.command("rotate-key")
def rotate_key() -> None:
    """Sign access tokens with a new key. Those of the key before stay valid until they expire, within 15 minutes."""
    done = subprocess.run([sys.executable, "-m", "lending_pipelines.portal", "--rotate-key"])
    raise typer.Exit(done.returncode)
