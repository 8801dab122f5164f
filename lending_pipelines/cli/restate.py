"""The command `lending restate`: closes the days again that differ from what is known now, and corrects their tapes.

Each close finds the differences (restatements/detect.py). This command looks for more after a sync or an upgrade.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.cli.close import require_open
from lending_pipelines.cli.terminal import echo_step, echo_table, echo_warnings, opened_lake, register_session
from lending_pipelines.errors import LendingError

if TYPE_CHECKING:
    from lending_pipelines.lake import Lake
    from lending_pipelines.register import Register
    from lending_pipelines.settings import Settings


def restate(
    first: Annotated[
        datetime, typer.Option("--from", parser=arguments.day, metavar=arguments.DAY, help="First business date.")
    ],
    last: Annotated[
        datetime, typer.Option("--to", parser=arguments.day, metavar=arguments.DAY, help="Last business date.")
    ],
    apply: Annotated[
        bool, typer.Option("--apply", help="Close the days again. Without this option, they are only shown.")
    ] = False,
) -> None:
    """Show which closed days differ from what is known now. Close them again and correct their tapes with --apply."""
    from lending_pipelines.partitions import contiguous
    from lending_pipelines.register import Register
    from lending_pipelines.restatements import effect
    from lending_pipelines.settings import Settings

    if last < first:
        raise LendingError(f"restate: the first day, {first.date()}, is after the last, {last.date()}")
    settings = Settings.from_environment()
    register = Register(settings.register_url)
    register.upgrade()
    try:
        with opened_lake() as lake:
            _compare(lake, register, settings)
            changed = effect(lake, register, first.date(), last.date())
    finally:
        register.dispose()
    typer.echo(f"{changed.as_text()}.")
    if not changed.days:
        return
    ranges = contiguous(changed.days)
    if changed.sent:
        echo_table(["kind", "name", "business date", "recipient"], [list(map(str, sent)) for sent in changed.sent])
    require_open(ranges)
    spans = ", ".join(str(start) if start == end else f"{start} to {end}" for start, end in ranges)
    if not apply:
        typer.echo(f"\nTo close again: {spans}. Nothing was changed: add --apply.")
        return
    _close_again(ranges)
    _deliver_corrections(ranges)


def _compare(lake: "Lake", register: "Register", settings: "Settings") -> None:
    """Find the differences that a sync or a new program version caused since the last detection."""
    from lending_pipelines.conventions import Conventions
    from lending_pipelines.register import PeriodLocks
    from lending_pipelines.restatements import detect, is_outdated

    conventions = Conventions.load(settings.conventions_file)
    if not lake.has("restatements") or not is_outdated(lake, conventions):
        return
    with register.reading_session() as session:
        locked = [lock.period_end for lock in PeriodLocks(session).in_force()]
    found = detect(lake, conventions, locked)
    if found.days_left:
        typer.echo(f"{found.left_as_text()}.")


def _close_again(ranges: list[tuple[date, date]]) -> None:
    from lending_pipelines.runs import run_job

    for span in ranges:
        typer.echo(f"Closing {span[0]} to {span[1]} again")
        echo_warnings(run_job("daily_close", days=span, progress=echo_step))


def _deliver_corrections(ranges: list[tuple[date, date]]) -> None:
    """Deliver the tape corrections of the days that need no approval, and list those that wait for approval."""
    from lending_pipelines.jobs import deliver_run_config
    from lending_pipelines.register import TapeConfigs, TapeDeliveries
    from lending_pipelines.runs import run_job

    with register_session() as session:
        corrections = sorted(
            {
                (TapeConfigs(session).get(delivery.config_id).name, delivery.business_date)
                for delivery in TapeDeliveries(session).unfinished()
                if delivery.correction and any(a <= delivery.business_date <= b for a, b in ranges)
            }
        )
        waiting = [
            (
                TapeConfigs(session).get(each.config_id).name,
                str(each.business_date),
                each.destination,
                each.error_message,
            )
            for each in TapeDeliveries(session).waiting()
            if any(a <= each.business_date <= b for a, b in ranges)
        ]
    if waiting:
        echo_table(["tape", "business date", "destination", "waits for"], waiting)
    for tape, day in corrections:
        typer.echo(f"Delivering the correction of tape {tape!r} of {day}")
        try:
            run_job("deliver_tape", deliver_run_config(tape, day, failed=False), progress=echo_step)
        except LendingError as error:
            typer.echo(f"  warning: {error}", err=True)
