"""The command `lending upgrade`: upgrades a home of an earlier version to this version."""

from typing import Annotated

import typer

from lending_pipelines.cli.evidence import opened_home
from lending_pipelines.settings import Settings


def upgrade(
    apply: Annotated[
        bool, typer.Option("--apply", help="Upgrade the home. Without this option, the changes are only shown.")
    ] = False,
) -> None:
    """Show what a home of an earlier version lacks: columns and types of the lake's tables, the register's schema.

    Add it with --apply. Stop other runs first, and make a backup.
    """
    from lending_pipelines.evidence.keys import SigningKey
    from lending_pipelines.evidence.upgrade import plan, upgrade_home

    with opened_home(upgrade=False) as places:
        found = plan(places)
        lines = found.lines()
        for line in lines:
            typer.echo(f"  {line}")
        if not lines:
            typer.echo("The home is up to date.")
        elif not apply:
            typer.echo("Nothing was changed: run `lending upgrade --apply`.")
        else:
            upgrade_home(places, found, SigningKey.of(Settings.from_environment().signing_key))
            typer.echo("Done.")
