"""`lending source`: what a servicing database must offer."""

from typing import Annotated

import typer

from lending_pipelines.tables.ddl import Dialect, create_tables, create_views

source = typer.Typer(help="The servicing tables that a source offers.", no_args_is_help=True)


@source.callback()
def about() -> None:
    """The servicing tables that a source offers."""


@source.command("ddl")
def ddl(
    dialect: Annotated[Dialect, typer.Option(help="The database's SQL.")] = "postgresql",
    views: Annotated[bool, typer.Option("--views", help="Print templates of CREATE VIEW instead of tables.")] = False,
) -> None:
    """Print the servicing tables as CREATE TABLE, or as templates of CREATE VIEW, with each column's meaning."""
    other = "" if views else "-- For a database that has its own tables: lending source ddl --views\n\n"
    typer.echo(other + (create_views(dialect) if views else create_tables(dialect)), nl=False)
