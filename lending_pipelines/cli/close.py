"""The command `lending close`: closes days, and prints what changed where they were closed before."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.cli.terminal import VERBOSE, echo_step, echo_warnings, opened_lake, register_session
from lending_pipelines.errors import LendingError, did_you_mean

if TYPE_CHECKING:
    from lending_pipelines.lake import Lake


def close(
    first: Annotated[
        datetime | None,
        typer.Option("--from", parser=arguments.day, metavar=arguments.DAY, help="First business date."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date.")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--date", parser=arguments.day, metavar=arguments.DAY, help="One business date, instead of --from and --to."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Close days again that are already closed, and print which metrics changed.")
    ] = False,
    manager: Annotated[
        str, typer.Option(help="Staff id of a loan officer or team leader: print the numbers of this manager.")
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print every changed metric, and the traceback of an error.")
    ] = False,
) -> None:
    """Run the daily close for a range of business dates, in one run."""
    from lending_pipelines.expectations import client

    VERBOSE.chosen = VERBOSE.chosen or verbose
    days = _days(first, last, day)
    # Start the validating process now: it imports Great Expectations, which takes seconds, while this process imports
    # other modules.
    client.start()
    from lending_pipelines.close_summary import as_text, snapshot_versions
    from lending_pipelines.partitions import contiguous
    from lending_pipelines.runs import open_days, run_job, status_of_closes, thinned_days

    ranges = [days] if force else contiguous(open_days(*days))
    if not ranges:
        thinned = len(thinned_days(*days))
        told = f" ({thinned} of these days are thinned)" if thinned else ""
        typer.echo(f"{days[0]} to {days[1]} is already closed{told}; use --force to close it again.")
    require_open(ranges)
    versions: dict[str, int] = {}
    if force:
        with opened_lake() as lake:
            versions = snapshot_versions(lake)
    for span in ranges:
        typer.echo(f"Closing {span[0]} to {span[1]}")
        finished = run_job("daily_close", days=span, progress=echo_step)
        if absent := [table for table, metadata in finished.metadata.items() if "absent" in metadata]:
            typer.echo(f"  no data: the source does not have {', '.join(absent)}", err=True)
        echo_warnings(finished)
    if ranges:
        typer.echo(as_text(status_of_closes()))
    if manager or versions:
        with opened_lake() as lake:
            if manager:
                _tell_manager(lake, manager, days[1])
            if versions:
                _tell_changes(lake, versions, days, manager)


def require_open(ranges: Sequence[tuple[date, date]]) -> None:
    """Raise PeriodLocked if a day of the ranges is in a locked period, before a run starts."""
    from lending_pipelines.partitions import business_days
    from lending_pipelines.register import PeriodLocks

    with register_session() as session:
        PeriodLocks(session).require_open([day for span in ranges for day in business_days(*span)])


def _days(first: datetime | None, last: datetime | None, day: datetime | None) -> tuple[date, date]:
    """The first and last day that the options name."""
    if day and not first and not last:
        return day.date(), day.date()
    if first and last and not day:
        return first.date(), last.date()
    raise LendingError("close: write --date with a day, or both --from and --to, such as --date 2025-01-31")


def _tell_manager(lake: "Lake", manager: str, day: date) -> None:
    """Print the manager's metrics on a day, with a column per currency, or that the manager has no loans on the day.

    Raises LendingError if the id is neither a manager with loans nor in staff.
    """
    from tabulate import tabulate

    from lending_pipelines.close_summary import value_as_text

    today = lake.table("manager_snapshots", day, day).order_by("manager_id", "currency").to_pyarrow().to_pylist()
    rows = [row for row in today if row["manager_id"] == manager]
    if not rows:
        staff = set(lake.table("staff").staff_id.to_pyarrow().to_pylist()) if lake.has("staff") else set()
        if manager in staff:
            typer.echo(f"\n{manager} has no loans on {day}, and so no metrics.")
            return
        known = staff.union(row["manager_id"] for row in today)
        raise LendingError(f"no manager {manager!r} has loans on {day}; {did_you_mean(manager, known)}")
    metrics = [name for name in rows[0] if name not in ("business_date", "manager_id", "currency")]
    table = [[name, *(value_as_text(row[name]) for row in rows)] for name in metrics]
    header = [f"{manager}, {day}", *(row["currency"] for row in rows)]
    align = ("left", *("right" for _ in rows))
    typer.echo(f"\n{tabulate(table, header, tablefmt='plain', disable_numparse=True, colalign=align)}")


def _tell_changes(lake: "Lake", versions: dict[str, int], days: tuple[date, date], manager: str) -> None:
    from lending_pipelines.close_summary import changed_metrics, changes_as_text

    changes = changed_metrics(lake, versions, *days, manager or None)
    typer.echo(f"\n{changes_as_text(changes, VERBOSE.chosen)}")
