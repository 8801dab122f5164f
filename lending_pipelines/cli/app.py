"""The command `lending`: the same Dagster jobs as in the UI, for a terminal or cron.

Commands only parse, call and print. An error is one line; --verbose adds the traceback.
"""

import sys
import traceback
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from lending_pipelines.cli import alerts, arguments, evidence, portfolios, reports, tapes
from lending_pipelines.cli.close import close
from lending_pipelines.cli.doctor import doctor
from lending_pipelines.cli.housekeeping import housekeeping
from lending_pipelines.cli.init import init
from lending_pipelines.cli.interrupt import stopped_by_interrupt
from lending_pipelines.cli.notifications import notifications
from lending_pipelines.cli.people import people
from lending_pipelines.cli.period import period
from lending_pipelines.cli.portal import portal
from lending_pipelines.cli.restate import restate
from lending_pipelines.cli.source import source
from lending_pipelines.cli.status import status
from lending_pipelines.cli.terminal import VERBOSE, Yes, echo_step, echo_warnings
from lending_pipelines.cli.ui import ui
from lending_pipelines.cli.upgrade import upgrade
from lending_pipelines.errors import LendingError
from lending_pipelines.machine_errors import explanation
from lending_pipelines.processes import collect_rarely, restrict_files
from lending_pipelines.settings import UMASKS, Settings
from lending_pipelines.tables import SERVICING
from lending_pipelines.url_secrets import hide_secrets

app = typer.Typer(
    help="A lender's reporting: sync, daily close, reports, loan tapes.",
    no_args_is_help=True,
    cls=arguments.CheckedArguments,
    pretty_exceptions_enable=False,
)

app.add_typer(portfolios.portfolio, name="portfolio")
app.add_typer(portfolios.investor, name="investor")
app.command()(portfolios.undo_sale)
app.command()(reports.reports)
app.command(cls=reports.ReportCommand)(reports.report)
app.command()(reports.requests)
app.command()(reports.ask_again)
app.add_typer(alerts.alerts, name="alerts")
app.add_typer(alerts.alert_rules, name="alert-rules")
app.add_typer(notifications, name="notifications")
app.add_typer(tapes.tapes, name="tapes")
app.command()(close)
app.command()(restate)
app.command()(status)
app.command()(init)
app.command()(doctor)
app.command()(housekeeping)
app.command()(upgrade)
app.command()(ui)
app.command()(portal)
app.add_typer(people, name="people")
app.add_typer(period, name="period")
app.add_typer(source, name="source")
for command in (*tapes.COMMANDS, *evidence.COMMANDS):
    app.command()(command)

From = Annotated[
    datetime, typer.Option("--from", parser=arguments.day, metavar=arguments.DAY, help="First business date.")
]
To = Annotated[datetime, typer.Option("--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date.")]


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """A lender's reporting: sync, daily close, reports, loan tapes."""
    VERBOSE.chosen = verbose


@app.command()
def sample(
    first: From,
    last: To,
    loans: Annotated[int, typer.Option(min=1, max=arguments.MOST_LOANS, help="Number of loans.")] = 3000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Random seed; the same seed gives the same data.")
    ] = 1,
    book: Annotated[
        Literal["mixed", "healthy"],
        typer.Option(help="mixed: borrowers of every kind; healthy: only those of two loan officers do not pay."),
    ] = "mixed",
    url: Annotated[
        str, typer.Option(help="SQLAlchemy URL of the database to fill. Empty: LENDING_SERVICING_URL.")
    ] = "",
    overwrite: Annotated[bool, typer.Option(help="Replace servicing tables that have rows.")] = False,
) -> None:
    """Fill a servicing database with the sample data of an invented lender."""
    from lending_pipelines.sample import SampleSpec, fill_database

    rows = fill_database(
        SampleSpec(loans, first.date(), last.date(), seed, book),
        url or Settings.from_environment().servicing_url,
        progress=lambda done, total: typer.echo(f"  {done:,} of {total:,} loans", err=True),
        overwrite=overwrite,
    )
    for table, number in rows.items():
        typer.echo(f"{table:<24}{number:>14,}")


@app.command()
def sync(
    full: Annotated[bool, typer.Option(help="Read every table in full, not only new rows.")] = False,
    reload: Annotated[
        list[str] | None,
        typer.Option(help="Reload this table, or `all`: shows what would change, and asks. May be repeated."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Sync the servicing tables into the lake."""
    from lending_pipelines.assets.servicing import ROW_FINDINGS
    from lending_pipelines.cli.reload import ask_to_reload
    from lending_pipelines.runs import run_job

    anew = ask_to_reload(reload, yes=yes) if reload else []
    config = {"full": full, "reload": anew}
    finished = run_job("sync", {"ops": {"servicing_tables": {"config": config}}}, progress=echo_step)
    for table, metadata in finished.metadata.items():
        typer.echo(f"{table:<24}{_synced(metadata)}")
        for subject, note in metadata.get("notes", {}).items():
            typer.echo(f"  {subject.replace('_', ' ')}: {note}")
    echo_warnings(finished)
    if rejected := [table for table in SERVICING if table not in finished.metadata]:
        raise LendingError(
            f"sync: {len(rejected)} of {len(SERVICING)} tables were rejected and keep their earlier rows: "
            f"{', '.join(rejected)}"
        )
    if incomplete := [table for table, metadata in finished.metadata.items() if ROW_FINDINGS in metadata]:
        raise LendingError(f"sync: rows of {', '.join(incomplete)} were rejected, see the warnings above")


@app.command()
def demo(
    last: Annotated[
        datetime | None,
        typer.Option(
            "--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date. Default: yesterday."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Create a demo: sample data, 18 months of closes, delivered tapes and five reports, in a folder of its own.

    Some faults are in it on purpose; the end of the output says where to look. The same last date gives the same data.
    Asks before it deletes reports that you made in that folder.
    """
    from lending_pipelines.cli.demo_home import demo_spec, new_home

    spec = demo_spec(last.date() if last else None)
    settings = new_home(spec, yes=yes)
    # Imported last: the modules of the runs read the first business date, which the new home sets.
    from lending_pipelines.cli.demo import run_demo

    run_demo(settings, spec, typer.echo, echo_step)


def _synced(metadata: dict[str, Any]) -> str:
    """The result of the sync of a table."""
    if "absent" in metadata:
        removed = f"; {metadata['rows_removed']:,} rows removed" if metadata["rows_removed"] else ""
        return f"  {metadata['absent']}{removed}"
    counted = ("read", "added", "updated", "removed")
    return "".join(f"{metadata[f'rows_{each}']:>14,} {each}" for each in counted)


def main() -> None:
    """Run the command. An error is printed as one line, with exit status 1."""
    collect_rarely()
    try:
        restrict_files(_umask())
        with stopped_by_interrupt():
            app()
    except Exception as error:
        if VERBOSE.chosen:
            traces = [getattr(error, "trace", ""), traceback.format_exc()]
            typer.echo(hide_secrets("\n".join(filter(None, traces))), err=True)
        typer.echo(f"Error: {_line(error)}", err=True)
        sys.exit(1)


def _umask() -> int:
    """The umask of the settings, or the strictest one if they cannot be read."""
    try:
        return Settings.from_environment().umask
    except LendingError:
        return UMASKS["owner"]


def _line(error: Exception) -> str:
    """The error as one line, with what to do if that is known."""
    if isinstance(error, LendingError):
        return str(error)
    if told := explanation(error):
        return str(LendingError(told))
    name = type(error).__name__
    return str(LendingError(f"unexpected {name}: {error}; `lending --verbose …` prints where it happened"))
