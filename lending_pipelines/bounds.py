"""Bounds of what people write: the types of days, hours, numbers and texts, and files and JSON read within bounds.

A model declares its fields with these types. What a value means is documented where it is declared.
"""

import json
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lending_pipelines.errors import CONTROL, LendingError, first_of

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""Days outside this range are mistakes. A day in the range plus at most MOST_DAYS is always a valid date."""

MOST_DAYS = 36_525
MOST_HOURS = 24 * 366
MOST_BYTES = 10_000_000
MOST_LISTED = 10_000
"""The maximum number of rows that a list prints."""

LONGEST_TEXT = 2_000
LONGEST_NAME = 200
MOST_LEVELS = 30

_MOST = 10**18 - 1


def day_from(text: str) -> date:
    """A date written like 2025-01-31. Raises ValueError for other text, and before 1900 or after 2199."""
    try:
        day = date.fromisoformat(text) if len(text) == len("2025-01-31") and text.isascii() else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError("write a date like 2025-01-31")
    return within_days(day)


def within_days(day: date) -> date:
    """The day or datetime itself. Raises ValueError when it is before 1900 or after 2199."""
    if not FIRST_DAY.year <= day.year <= LAST_DAY.year:
        raise ValueError(f"write a day from {FIRST_DAY} to {LAST_DAY}")
    return day


def instant_from(text: str) -> datetime:
    """A time written like 2025-01-31T18:00. Raises ValueError for other text, and before 1900 or after 2199."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a time like 2025-01-31T18:00") from None
    within_days(instant)
    return instant


def plain_text(text: str) -> str:
    """The text itself. Raises ValueError when it has control characters or characters that UTF-8 cannot encode."""
    if odd := CONTROL.search(text.replace("\r\n", "\n")):
        raise ValueError(f"remove the character {odd[0]!a}")
    return text


def required_text(text: str | None, what: str, longest: int = LONGEST_NAME) -> str | None:
    """The text itself, or None for None. Raises LendingError if it is blank, too long, or has control characters."""
    if text is None:
        return None
    try:
        plain_text(text)
    except ValueError as error:
        raise LendingError(f"{what} {text!r}: {error}") from None
    if not text.strip() or len(text) > longest:
        raise LendingError(f"{what} {text!r}: write 1 to {longest:,} characters")
    return text


Place = tuple[str | int, ...]
"""Where a value is in a document: the names of its tables and its numbers in lists, from the outside in."""

Day = Annotated[date, AfterValidator(within_days)]
"""A date from 1900 to 2199."""

Days = Annotated[int, Field(ge=0, le=MOST_DAYS)]
"""A number of days, up to a century."""

Hours = Annotated[int, Field(ge=0, le=MOST_HOURS)]
"""A number of hours, up to a year."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(plain_text)]
"""A text of at most 2,000 characters without control characters."""

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(plain_text)]
"""A text of 1 to 200 characters without control characters."""


def read_text(path: str | Path, what: str, error: type[LendingError] = LendingError) -> str:
    """The text of a UTF-8 file of at most 10 MB, without a byte order mark. Raises `error`, which names the file.

    Args:
        path: The file.
        what: What the file is, as in "conventions file".
        error: The class of the error.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise error(f"{what} {path} cannot be read: it has more than {MOST_BYTES:,} bytes")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as found:
        raise error(f"{what} {path} cannot be read: {found}") from found


def read_toml(
    path: str | Path, what: str, error: type[LendingError] = LendingError, *, decimals: bool = False
) -> dict[str, Any]:
    """The content of a TOML file within bounds. Raises `error`, which names the file and every value out of bounds.

    Args:
        path: The file.
        what: What the file is, as in "conventions file".
        error: The class of the error.
        decimals: Read numbers with a decimal point as Decimal.
    """
    return parse_toml(read_text(path, what, error), f"{what} {path}", error, decimals=decimals)


def parse_toml(
    text: str,
    where: str,
    error: type[LendingError] = LendingError,
    *,
    decimals: bool = False,
    outside: dict[Place, str] | None = None,
) -> dict[str, Any]:
    """The content of a TOML text within bounds.

    Args:
        text: The text.
        where: Where the text is from; error messages begin with it.
        error: The class of the error.
        decimals: Read numbers with a decimal point as Decimal.
        outside: This dictionary receives the place of each value out of bounds and what to write instead, so that the
            caller can report them with the other faults of the content. Without it, such values are an error.

    Raises:
        LendingError: The text is not TOML, or has values out of bounds.
    """
    try:
        given = tomllib.loads(text, parse_float=Decimal if decimals else float)
    except (ValueError, ArithmeticError, RecursionError) as found:
        raise error(f"{where} cannot be read: {_reason(found)}") from found
    _require_within(given, where, error, outside)
    return given


def parse_json(
    text: str,
    where: str,
    error: type[LendingError] = LendingError,
    *,
    decimals: bool = False,
    outside: dict[Place, str] | None = None,
) -> Any:
    """The value of a JSON text within bounds. Arguments and errors are those of `parse_toml`."""
    try:
        given = json.loads(text, parse_float=Decimal if decimals else float)
    except (ValueError, ArithmeticError, RecursionError) as found:
        raise error(f"{where}: not valid JSON: {_reason(found)}") from found
    _require_within(given, where, error, outside)
    return given


def without_reported(outside: Mapping[Place, str], reported: Collection[Place]) -> dict[Place, str]:
    """The values out of bounds for which the model has not reported an error at the same place or below it."""
    return {
        place: fault
        for place, fault in outside.items()
        if not any(tuple(each[: len(place)]) == place for each in reported)
    }


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:LONGEST_NAME]


def _require_within(given: Any, where: str, error: type[LendingError], outside: dict[Place, str] | None) -> None:
    """Raise an error for values out of bounds, or add them to `outside` if it is given."""
    found = dict(_out_of_bounds(given, ()))
    if outside is not None:
        outside.update(found)
    elif found:
        raise error(f"{where}: {first_of(listed(found))}")


def listed(outside: Mapping[Place, str]) -> list[str]:
    """One line for each value out of bounds: its place as a path, and what to write instead."""
    return [f"{path_of(place)}: {fault}" for place, fault in outside.items()]


def path_of(place: Place) -> str:
    """A place in the form of messages: `rules[0].threshold`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")[:LONGEST_NAME]


def _out_of_bounds(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """The place of each value that is too large, too long or nested too deeply, and what to write instead."""
    if len(place) > MOST_LEVELS:
        yield place, f"write at most {MOST_LEVELS} levels"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if len(key) > LONGEST_NAME:
                yield (*place, f"{key[:50]}…"), f"a name has at most {LONGEST_NAME} characters"
            else:
                yield from _out_of_bounds(each, (*place, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _out_of_bounds(each, (*place, number))
    elif fault := _fault(value):
        yield place, fault


def _fault(value: Any) -> str | None:
    """What to write instead of a value that is out of bounds; None for other values."""
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return f"a text has at most {LONGEST_TEXT:,} characters, not {len(value):,}"
        case str() | date():
            try:
                plain_text(value) if isinstance(value, str) else within_days(value)
            except ValueError as error:
                return str(error)
        case int() if not -_MOST <= value <= _MOST:
            return "a whole number has at most 18 digits"
        case float() if not math.isfinite(value):
            return "write a finite number"
        case Decimal() if not value.is_finite() or abs(value.adjusted()) > 30:
            return "write a finite number with at most 30 digits"
    return None
