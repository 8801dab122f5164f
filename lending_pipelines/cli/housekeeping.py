"""The command `lending housekeeping`: shows the data that the retention policy no longer keeps, and removes it."""

from typing import Annotated

import typer

from lending_pipelines.cli.terminal import echo_step


def housekeeping(
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove the data. Without this option, it is only shown.")
    ] = False,
    wait_minutes: Annotated[
        int, typer.Option(min=0, max=24 * 60, help="Minutes to wait for runs that may be writing.")
    ] = 0,
) -> None:
    """Show the data that the retention policy no longer keeps, and why the rest stays. --apply removes it."""
    from lending_pipelines.housekeeping import as_text
    from lending_pipelines.jobs import housekeeping_run_config
    from lending_pipelines.runs import housekeeping_plan, run_job

    if not apply:
        typer.echo(as_text(housekeeping_plan(), applied=False))
        typer.echo("\nNothing was removed: run `lending housekeeping --apply`.")
        return
    finished = run_job("housekeeping", housekeeping_run_config(wait_minutes), progress=echo_step)
    typer.echo(finished.metadata["housekeeping"]["summary"])
