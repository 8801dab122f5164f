"""`lending init`: writes the settings file of a new home once its servicing database can be read."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import FILE_NAMES, Settings
from lending_pipelines.settings_file import NAME, write_settings_file


def init(
    servicing_url: Annotated[
        str | None,
        typer.Option(
            help="The servicing database: postgresql://user:password@host/database, mysql://… or sqlite:////path.db. "
            "With --source mapped: the mapping file."
        ),
    ] = None,
    start_date: Annotated[str | None, typer.Option(help="The first day to close, as 2025-01-01.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Where a day ends: an IANA zone, as Europe/Amsterdam.")] = None,
    name: Annotated[str | None, typer.Option(help="The lender's name. Empty: none.")] = None,
    source: Annotated[str, typer.Option(help="The adapter that reads the servicing system.")] = "canonical",
    home: Annotated[str, typer.Option(help="Folder of lake, exports and register.")] = ".lending",
    folder: Annotated[Path, typer.Option(help=f"Where to write {NAME}.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help=f"Replace a {NAME} that exists.")] = False,
) -> None:
    """Write the settings file that every command finds in this folder. Asks for what is not given as an option."""
    file = folder.absolute() / NAME
    if file.exists() and not overwrite:
        raise LendingError(f"{file} exists: edit it, or replace it with --overwrite")
    settings = {
        "servicing_url": _absolute(_answer(servicing_url, "Servicing database (SQLAlchemy URL)"), source),
        "start_date": _answer(start_date, "First day to close", "2025-01-01"),
        "timezone": _answer(timezone, "Time zone in which a day ends", "UTC"),
        "name": _answer(name, "The lender's name", ""),
        "source": source,
        "home": home,
    }
    checked = Settings.from_environment({FILE_NAMES[key]: value for key, value in settings.items()})
    found, absent = _tables(checked)
    write_settings_file(file, {key: value for key, value in settings.items() if value})
    typer.echo(f"{file} is written. The database can be read and has {len(found)} of the servicing tables.")
    if absent:
        typer.echo(f"It does not have: {', '.join(absent)}")
    typer.echo("Next:")
    if absent and source == "canonical":
        typer.echo("  lending source ddl --views   templates of views for the tables that you want to add")
    today = date.today().isoformat()
    typer.echo("  lending doctor               everything that can be known before the first close")
    typer.echo(f"  lending close --from {checked.start_date} --to {min(today, _week_after(checked.start_date))}")


def _answer(given: str | None, question: str, default: str | None = None) -> str:
    if given is not None:
        return given
    try:
        return typer.prompt(question, default=default, err=True)
    except typer.Abort:
        option = question.lower()
        raise LendingError(f"nothing was written: {option} is not given; see `lending init --help`") from None


def _absolute(url: str, source: str) -> str:
    """The URL, with an absolute path if it is a SQLite file or a mapping file."""
    if source == "mapped" and "://" not in url:
        return str(Path(url).absolute())
    path = url.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).absolute()}" if path != url and path else url


def _tables(settings: Settings) -> tuple[list[str], list[str]]:
    """The servicing tables that the source has, and those that it lacks. Raises SourceError if it cannot be read."""
    from lending_pipelines.sources import open_source
    from lending_pipelines.tables import SERVICING

    with open_source(settings.source, settings.servicing_url).snapshot() as reader:
        absent = [name for name in SERVICING if name in reader.absent]
    return [name for name in SERVICING if name not in absent], absent


def _week_after(first: date) -> str:
    return date.fromordinal(first.toordinal() + 6).isoformat()
