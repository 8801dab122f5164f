"""`lending period`: lock the days of a signed-off period, reopen them, list the locks.

Commands only parse, call and print. register/period_locks.py decides who may lock and what a lock covers.
"""

from datetime import datetime
from typing import Annotated

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.cli.terminal import Yes, confirm, echo_table, record, register_session
from lending_pipelines.errors import LendingError

period = typer.Typer(
    help="Locked periods: their days cannot be closed again until the period is reopened.", no_args_is_help=True
)

End = Annotated[
    datetime, typer.Option("--end", parser=arguments.day, metavar=arguments.DAY, help="The last day of the period.")
]
By = Annotated[
    str,
    typer.Option("--by", help="Who signs off. Where the portal has accounts: the username of an admin or controller."),
]


@period.command("list")
def list_periods() -> None:
    """List the locks in force and those that were reopened, the latest period first."""
    from lending_pipelines.register import PeriodLocks

    with register_session() as session:
        rows = [
            [
                lock.period_end,
                "locked" if lock.reopened_at is None else "reopened",
                lock.locked_by,
                f"{lock.locked_at:%Y-%m-%d %H:%M}",
                lock.reopened_by or "-",
                f"{lock.reopened_at:%Y-%m-%d %H:%M}" if lock.reopened_at else "-",
                lock.reason or "-",
            ]
            for lock in PeriodLocks(session).all()
        ]
    headers = ["period end", "state", "locked by", "locked at (UTC)", "reopened by", "reopened at (UTC)", "reason"]
    echo_table(headers, rows)


@period.command("lock")
def lock_period(end: End, by: By, yes: Yes = False) -> None:
    """Lock all days up to the end of a period. They must be closed."""
    from lending_pipelines.register import PeriodLocks
    from lending_pipelines.runs import days_missing

    last = end.date()
    if missing := days_missing(last):
        which = f"{missing[0]} is" if len(missing) == 1 else f"{len(missing):,} days from {missing[0]} are"
        command = f"lending close --from {missing[0]} --to {missing[-1]}"
        raise LendingError(f"period ending {last}: {which} not closed: run `{command}` first")
    effect = "  They cannot be closed again until the period is reopened."
    confirm(f"lock all days up to {last}, signed off by {by}", [effect], yes=yes)
    with register_session() as session:
        lock = PeriodLocks(session).lock(last, by)
        record(session, "period.lock", f"period ending {last}", f"signed off by {lock.locked_by}")
    typer.echo(f"The period ending {last} is locked by {lock.locked_by}.")


@period.command("reopen")
def reopen_period(
    end: End,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why its days must change. It is kept with the lock.")],
) -> None:
    """Reopen a locked period: its days can be closed again."""
    from lending_pipelines.register import PeriodLocks

    with register_session() as session:
        lock = PeriodLocks(session).reopen(end.date(), by, reason)
        record(session, "period.reopen", f"period ending {lock.period_end}", f"{lock.reopened_by}: {lock.reason}")
    typer.echo(f"The period ending {lock.period_end} is open again. Lock it when its days are closed again.")
