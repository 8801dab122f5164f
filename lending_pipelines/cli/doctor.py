"""`lending doctor`: what is wrong with a home, its databases and its source, before a close finds it."""

import typer

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings


def doctor() -> None:
    """Check versions, places, databases, mail server, clock, and every servicing table. Exit status 1 if one fails."""
    from lending_pipelines.diagnosis import diagnose

    failed = 0
    for finding in diagnose(Settings.from_environment()):
        typer.echo(f"{finding.verdict:<8}{finding.subject:<24}{finding.text}")
        for fault in finding.faults:
            typer.echo(f"{'':<8}- {fault}")
        failed += finding.verdict == "FAILED"
    if failed:
        raise LendingError(f"doctor: {failed} check{'s' * (failed > 1)} failed, see above")
