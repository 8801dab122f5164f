"""`lending source`: the tables that a servicing database must have, and the check of a mapping file for other
databases.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings
from lending_pipelines.tables import REQUIRED
from lending_pipelines.tables.ddl import Dialect, create_tables, create_views

if TYPE_CHECKING:
    from lending_pipelines.sources.mapped.coverage import Coverage

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


@source.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The mapping file. Empty: LENDING_SERVICING_URL.", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(min=0, max=1000, help="Rows to show of each table.")] = 10,
) -> None:
    """Read a mapping file and all its tables, and show what it gives: columns, codes, rows before and after.

    Exit status 1 if the mapping does not fit the data.
    """
    from lending_pipelines.conventions import Conventions
    from lending_pipelines.lake import Lake
    from lending_pipelines.lake.engines.duckdb import DuckDBEngine
    from lending_pipelines.processes import temporary_folder
    from lending_pipelines.sources import preview_reload
    from lending_pipelines.sources.mapped import Adapter
    from lending_pipelines.sources.mapped.coverage import OpenSource, coverage

    mapped = Adapter(str(file or _mapping_file()))
    conventions = Conventions.load(Settings.from_environment().conventions_file)
    with (
        temporary_folder("source_check") as folder,
        closing(DuckDBEngine("2GB")) as engine,
        mapped.snapshot() as snapshot,
        preview_reload(OpenSource(snapshot), snapshot.tables, Lake(folder, engine), conventions) as previews,
    ):
        found = list(coverage(snapshot, previews, rows))
    for each in found:
        typer.echo(_covered(each))
    given = {each.table.name for each in found}
    if lacking := [name for name in REQUIRED if name not in given]:
        typer.echo(f"Required, but not in the mapping: {', '.join(lacking)}")
    faults = sum(len(each.faults) for each in found)
    typer.echo(f"{len(found)} tables, {faults + len(lacking)} faults")
    if faults or lacking:
        raise typer.Exit(1)


def _mapping_file() -> str:
    settings = Settings.from_environment()
    if settings.source != "mapped":
        raise LendingError(
            f"LENDING_SOURCE is {settings.source}, which has no mapping file: write the file, as in "
            "`lending source check mapping.toml`"
        )
    return settings.servicing_url


def _covered(found: "Coverage") -> str:
    """A table of a mapping as text."""
    names = ", ".join(origin.name for origin in found.origins)
    mapped = len(found.table.names) - len(found.without)
    lines = [
        f"{found.table.name}: {found.rows:,} rows from {names or 'nothing'}",
        f"  columns: {mapped} of {len(found.table.names)}"
        + (f"; without {', '.join(found.without)}" if found.without else ""),
    ]
    lines += [f"  not used: {origin.name}: {', '.join(origin.unused)}" for origin in found.origins if origin.unused]
    lines += [f"  {note}: {value}" for note, value in found.notes.items()]
    lines += [f"  FAULT: {fault}" for fault in found.faults]
    for origin in found.origins:
        lines += _rows(f"before, in {origin.name}", origin.before)
    lines += _rows("after", found.after)
    return "\n".join(lines) + "\n"


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first rows as text, without columns that are empty in all of them."""
    from tabulate import tabulate

    filled = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    if not filled:
        return []
    cells = [["" if row[name] is None else str(row[name]) for name in filled] for row in rows]
    text = tabulate(cells, headers=filled, disable_numparse=True)
    return [f"  {title}:", *(f"    {line}" for line in text.splitlines())]
