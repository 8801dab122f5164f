"""Bounds of the arguments of `lending`: types of days and numbers, and the characters that an argument can have.

What an argument means is documented by its command.
"""

from datetime import datetime, time
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lending_pipelines.bounds import MOST_LISTED, day_from, plain_text
from lending_pipelines.errors import LendingError

LONGEST_ARGUMENT = 100_000
"""The maximum number of characters of an argument. Only the JSON of facility rules can be that long."""

DAY = "YYYY-MM-DD"
"""The form of a day in the help."""

MOST_LOANS = 10_000_000
"""The maximum number of loans of a sample."""

Rows = Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="Maximum number of rows listed, the latest first.")]
Port = Annotated[int, typer.Option(min=1, max=65_535, help="The port.")]


class CheckedArguments(TyperGroup):
    """The root command, which refuses arguments that no command can use."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises LendingError for one that is too long or has control characters."""
        for number, argument in enumerate(args, start=1):
            if len(argument) > LONGEST_ARGUMENT:
                raise LendingError(f"argument {number} has more than {LONGEST_ARGUMENT:,} characters: shorten it")
            try:
                plain_text(argument)
            except ValueError as error:
                raise LendingError(f"argument {number}, {argument!a}: {error}") from None
        return super().parse_args(ctx, args)


def day(text: str) -> datetime:
    """A day from 1900 to 2199, at midnight: the parser of options and arguments that are days."""
    try:
        return datetime.combine(day_from(text), time.min)
    except ValueError as error:
        raise typer.BadParameter(f"{text[:50]!r}: {error}") from None
