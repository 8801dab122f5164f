"""Periods of reports: their days, their months, and the previous period.

This module computes with dates only. days.py finds closed days. metrics/growth.py defines the period for growth.
"""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import pandas as pd

from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.growth import previous_period
from lending_pipelines.reports.parameters import InPeriod, PeriodName

_DAY = timedelta(days=1)

_LENGTHS = {"current_month": 1, "previous_month": 1, "month": 1, "quarter": 3, "year": 12}
"""The calendar months of each period that begins on the first of a month. A custom range has no fixed length."""


@dataclass(frozen=True)
class Period:
    """The days first..last, both inclusive. `last` can be before the end of the month, quarter or year."""

    name: PeriodName
    first: date
    last: date

    @property
    def display(self) -> str:
        """The period as printed: `March 2025`, `2025-03-01 to 2025-03-14`."""
        return month_name(self.first) if self.is_whole_month else f"{self.first} to {self.last}"

    @property
    def is_whole_month(self) -> bool:
        """Whether the period is one complete calendar month."""
        return self.first.day == 1 and self.last == month_end(self.first)

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def opening(self) -> date:
        """The day before the period; its end-of-day balances are the opening balances."""
        return self.first - _DAY

    @cached_property
    def previous(self) -> "Period":
        """The period that growth compares with."""
        return Period("custom", *previous_period(self.first, self.last, _LENGTHS.get(self.name)))

    @property
    def months(self) -> list["Period"]:
        """The calendar months in order; the first and last are limited to the period."""
        name: PeriodName = "month" if self.name in _LENGTHS else "custom"
        return [
            Period(name, max(month.start_time.date(), self.first), min(month.end_time.date(), self.last))
            for month in pd.period_range(self.first, self.last, freq="M")
        ]

    def trend(self, months: int) -> list["Period"]:
        """The last `months` calendar months in order, up to the period's last day."""
        return Period(self.name, months_before(self.last.replace(day=1), months - 1), self.last).months

    def block(self) -> dict[str, str | None]:
        """The period as JSON. `month` and `month_name` are null unless it is one month or the first days of one."""
        of_month = self.first.day == 1 and self.last <= month_end(self.first)
        return {
            "start_date": self.first.isoformat(),
            "end_date": self.last.isoformat(),
            "period_name": self.name,
            "period_display": self.display,
            "month": f"{self.first:%Y-%m}" if of_month else None,
            "month_name": month_name(self.first) if of_month else None,
        }


def period_of(parameters: InPeriod, as_of: date) -> Period:
    """The period of the parameters as of the business date. LendingError if a month, quarter or year begins later."""
    match parameters.period:
        case "current_month":
            first, last = as_of.replace(day=1), as_of
        case "previous_month":
            last = as_of.replace(day=1) - _DAY
            first = last.replace(day=1)
        case "month" | "quarter" | "year":
            first, last = _calendar_period(parameters, as_of)
        case "custom":
            first, last = date.fromisoformat(parameters.from_date), date.fromisoformat(parameters.to_date)
    return Period(parameters.period, first, last)


def with_previous(periods: Iterable[Period]) -> list[Period]:
    """The periods in order, then the periods that growth compares them with, without duplicates."""
    periods = list(periods)
    by_days: dict[tuple[date, date], Period] = {}
    for period in [*periods, *(period.previous for period in periods)]:
        by_days.setdefault((period.first, period.last), period)
    return list(by_days.values())


def month_name(day: date) -> str:
    """The day's month as printed: `March 2025`."""
    return f"{day:%B %Y}"


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def months_before(day: date, months: int) -> date:
    """The same day that number of months before, or the last day of a shorter month."""
    return (pd.Timestamp(day) - pd.DateOffset(months=months)).date()


def _calendar_period(parameters: InPeriod, as_of: date) -> tuple[date, date]:
    """The first and last day of the named month, quarter or year, or of the one with `as_of`, up to `as_of`."""
    months = _LENGTHS[parameters.period]
    first = (
        _begins(parameters.named)
        if parameters.named
        else as_of.replace(month=as_of.month - (as_of.month - 1) % months, day=1)
    )
    if first > as_of:
        raise LendingError(
            f"{parameters.period} {parameters.named} begins after the business date {as_of}:"
            f" name an earlier {parameters.period}, or close later days"
        )
    return first, min(month_end(months_before(first, 1 - months)), as_of)


def _begins(named: str) -> date:
    """The first day of a month, quarter or year written as 2025-08, 2025Q3 or 2025."""
    year, rest = int(named[:4]), named[4:]
    month = int(rest[1:] or 1)
    return date(year, 3 * month - 2 if rest.startswith("Q") else month, 1)
