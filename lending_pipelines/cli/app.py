"""The command `lending`: the same Dagster jobs as in the UI, for a terminal or cron.

Commands only parse, call and print. An error is one line; --verbose adds the trace.
"""

import gc
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lending_pipelines.cli import portfolios, tapes
from lending_pipelines.cli.status import status
from lending_pipelines.cli.terminal import register_session, tell_step
from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings
from lending_pipelines.tables import SERVICING

if TYPE_CHECKING:
    from lending_pipelines.runs import Finished

app = typer.Typer(
    help="A lender's reporting: sync, daily close, reports, loan tapes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.add_typer(portfolios.portfolio, name="portfolio")
app.add_typer(portfolios.investor, name="investor")
app.command()(portfolios.undo_sale)
app.command()(status)
for command in tapes.COMMANDS:
    app.command()(command)

_state = {"verbose": False}

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""How many new objects start a garbage collection."""

From = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First business date.")]
Status = Annotated[
    Literal["pending", "generating", "completed", "failed"], typer.Option(help="Only requests of this status.")
]
To = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last business date.")]


@app.callback()
def options(verbose: Annotated[bool, typer.Option("--verbose", help="Show the trace of an error.")] = False) -> None:
    """A lender's reporting: sync, daily close, reports, loan tapes."""
    _state["verbose"] = verbose


@app.command()
def sample(
    first: From,
    last: To,
    loans: Annotated[int, typer.Option(help="How many loans.")] = 3000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same lender.")] = 1,
    url: Annotated[
        str, typer.Option(help="SQLAlchemy URL of the database to fill. Empty: LENDING_SERVICING_URL.")
    ] = "",
    overwrite: Annotated[bool, typer.Option(help="Replace servicing tables that have rows.")] = False,
) -> None:
    """Make up a lender: fill a servicing database with sample data."""
    from lending_pipelines.sample import SampleSpec, fill_database

    rows = fill_database(
        SampleSpec(loans, first.date(), last.date(), seed),
        url or Settings.from_environment().servicing_url,
        progress=lambda done, total: typer.echo(f"  {done:,} of {total:,} loans", err=True),
        overwrite=overwrite,
    )
    for table, number in rows.items():
        typer.echo(f"{table:<24}{number:>14,}")


@app.command()
def sync(
    full: Annotated[bool, typer.Option(help="Read every table whole, not only what is new.")] = False,
) -> None:
    """Bring the servicing tables into the lake."""
    from lending_pipelines.runs import run_job

    finished = run_job("sync", {"ops": {"servicing_tables": {"config": {"full": full}}}}, progress=tell_step)
    for table, metadata in finished.metadata.items():
        typer.echo(f"{table:<24}{_synced(metadata)}")
        for subject, note in metadata.get("notes", {}).items():
            typer.echo(f"  {subject.replace('_', ' ')}: {note}")
    _warn(finished)
    if refused := [table for table in SERVICING if table not in finished.metadata]:
        raise LendingError(
            f"sync: {len(refused)} of {len(SERVICING)} tables are refused and the lake keeps what it had: "
            f"{', '.join(refused)}"
        )


@app.command()
def close(
    first: From,
    last: To,
    force: Annotated[bool, typer.Option(help="Close days again that are closed already.")] = False,
) -> None:
    """Run the daily close over a range of business dates, in one run."""
    from lending_pipelines.expectations import client

    # It imports Great Expectations, for seconds, while this process imports the rest.
    client.start()
    from lending_pipelines.close_summary import as_text
    from lending_pipelines.partitions import contiguous
    from lending_pipelines.runs import open_days, run_job, status_of_closes

    days = (first.date(), last.date())
    ranges = [days] if force else contiguous(open_days(*days))
    if not ranges:
        typer.echo(f"{days[0]} to {days[1]} is closed already; --force closes it again.")
    for span in ranges:
        typer.echo(f"Closing {span[0]} to {span[1]}")
        finished = run_job("daily_close", days=span, progress=tell_step)
        if absent := [table for table, metadata in finished.metadata.items() if "absent" in metadata]:
            typer.echo(f"  no data: the source has no {', '.join(absent)}", err=True)
        _warn(finished)
    if ranges:
        typer.echo(as_text(status_of_closes()))


@app.command()
def report(
    report_type: Annotated[str, typer.Argument(help="A report type; a wrong one lists those there are.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter of the report: name=value.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="csv, xlsx, pdf, json or parquet.")] = "xlsx",
) -> None:
    """Make a report and print where it is."""
    from lending_pipelines.runs import run_report

    made = run_report(report_type, _assignments(settings or []), output_format, progress=tell_step)
    typer.echo(f"{made['file']}  ({made['dagster/row_count']:,} rows, sha256 {made['sha256']})")


@app.command()
def requests(
    status: Status | None = None,
    limit: Annotated[int, typer.Option(help="How many, the latest first.")] = 20,
) -> None:
    """List the requests for reports and what became of them."""
    from lending_pipelines.register import ReportRequests

    with register_session() as session:
        for asked in ReportRequests(session).recent(status, limit):
            typer.echo(
                f"{asked.report_id}  {asked.requested_at:%Y-%m-%d %H:%M}  {asked.status:<10}  {asked.report_type:<24}"
                f"  {asked.requested_by}  {asked.file_url or asked.error_message or ''}"
            )


@app.command()
def ask_again(
    report_id: Annotated[str, typer.Argument(help="The id of a failed request, as lending requests lists it.")],
) -> None:
    """Make a failed request for a report pending once more: the sensor report_requests runs it."""
    from lending_pipelines.register import ReportRequests

    with register_session() as session:
        ReportRequests(session).ask_again(report_id)


@app.command()
def demo() -> None:
    """Fill a home of its own with sample data, close its 18 months, deliver tapes, make five reports, and say where."""
    from lending_pipelines.cli.demo import run_demo

    run_demo(typer.echo, tell_step)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open Dagster on 127.0.0.1 (it has no sign-in: put a proxy in front of it to share it)."""
    from lending_pipelines.runs import instance_home

    instance_home(Settings.from_environment())
    arguments = ["dagster", "dev", "-m", "lending_pipelines.definitions", "-h", "127.0.0.1", "-p", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", *arguments])


def _synced(metadata: dict[str, Any]) -> str:
    """What the sync of a table did."""
    if "absent" in metadata:
        return f"  {metadata['absent']}"
    counted = ("read", "added", "updated", "removed")
    return "".join(f"{metadata[f'rows_{each}']:>14,} {each}" for each in counted)


def _warn(finished: "Finished") -> None:
    for warning in finished.warnings:
        typer.echo(f"  warning: {warning}", err=True)


def _assignments(settings: list[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise LendingError(f"--set {wrong[0]}: write a parameter as name=value")
    return {name: value for name, _, value in pairs}


def main() -> None:
    """Run the command; an error that the user can mend is one line, and exit status 1."""
    # With Python's default of 700 objects a close collects 2,000 times, a tenth of its CPU time, and frees little.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        app()
    except LendingError as error:
        if _state["verbose"]:
            typer.echo(getattr(error, "trace", ""), err=True)
            raise
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
