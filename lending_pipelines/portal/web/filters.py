"""The parameters of pages with lists: texts, days, choices and the order of rows. An empty one counts as missing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from lending_pipelines.bounds import within_days
from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.portal.lake.keyset import Sort
from lending_pipelines.portal.web.errors import NotFound


class BadFilter(LendingError):
    """A parameter of a page has a value that it does not allow."""


Text = Annotated[str | None, Query(max_length=200), AfterValidator(lambda value: (value or "").strip() or None)]
"""A text, such as an id."""

Day = Annotated[
    date | None,
    BeforeValidator(lambda value: value or None),
    AfterValidator(lambda day: day and within_days(day)),
]
"""A day as YYYY-MM-DD, within the bounds of days."""

Cursor = Annotated[str | None, Query(max_length=4000)]
"""The cursor of a page of rows."""


def one_of(name: str, value: str | None, choices: Collection[str], default: str) -> str:
    """The value of a parameter, or its default. Raises BadFilter when it is not one of the choices."""
    if value is None:
        return default
    if value not in choices:
        raise BadFilter(f"{name} is {value!r}: {did_you_mean(value, choices)}")
    return value


def found(name: str, value: str, choices: Collection[str]) -> str:
    """The value of a part of the URL's path. Raises NotFound when it is not one of the choices."""
    if value not in choices:
        raise NotFound(f"There is no such {name}.")
    return value


def in_currency(rows: Sequence[Mapping[str, Any]], currency: str | None) -> Mapping[str, Any] | None:
    """The row in a currency, or the first row without one; None if there is none."""
    return next((row for row in rows if currency in (None, row["currency"])), None)


def sort_of(value: str | None, columns: Sequence[str], default: str, key: tuple[str, ...]) -> Sort:
    """The order of rows: the name of a column, after `-` for the largest first. Raises BadFilter."""
    chosen = one_of("sort", value, [f"{sign}{name}" for name in columns for sign in ("", "-")], default)
    return Sort(chosen.removeprefix("-"), key, chosen.startswith("-"))


def given(**values: Any) -> dict[str, Any]:
    """The parameters that have a value, in a fixed order."""
    return {name: value for name, value in sorted(values.items()) if value is not None}


def month_ends(days: Sequence[date], last: date, months: int) -> tuple[date, ...]:
    """The last closed day of each of the latest months up to a day, the oldest first."""
    by_month = {(day.year, day.month): day for day in days if day <= last}
    return tuple(sorted(by_month.values())[-months:])


def range_start(days: Sequence[date], last: date, number: int) -> date:
    """The first day of a range of that many days up to the last one; not before the first closed day."""
    return max(last - timedelta(days=number - 1), min(days, default=last))
