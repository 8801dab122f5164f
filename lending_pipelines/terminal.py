"""What the commands share: the register opened for one command, and how a run is told of as it goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

On = Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="The business date from which it holds.")]


@contextmanager
def register_session() -> "Iterator[Session]":
    """A session on the register, brought up to this version's tables, in one transaction."""
    from lending_pipelines.register import Register

    register = Register(Settings.from_environment().register_url)
    register.upgrade()
    try:
        with register.session() as session:
            yield session
    finally:
        register.dispose()


def tell_step(name: str, seconds: float) -> None:
    """Tell of a step of a run that ended."""
    typer.echo(f"  {name:<32}{seconds:>8.1f} s", err=True)
