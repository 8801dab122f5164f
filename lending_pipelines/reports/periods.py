"""Periods of reports: which days `current_month`, `quarter` and the others are, their months, and what is before them.

Pure dates; which of them are closed is found in days.py.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from lending_pipelines.reports.parameters import InPeriod, PeriodName

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """The days first..last, both inclusive."""

    name: PeriodName
    first: date
    last: date

    @property
    def display(self) -> str:
        """The period for people: `March 2025`, `2025-03-01 to 2025-03-14`."""
        if self.first == self.first.replace(day=1) and self.last == month_end(self.first):
            return f"{self.first:%B %Y}"
        return f"{self.first} to {self.last}"

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def opening(self) -> date:
        """The day before it, at whose end its opening balances are taken."""
        return self.first - _DAY

    @property
    def previous(self) -> "Period":
        """The period of equal length that ends on the day before it."""
        return Period("custom", self.first - timedelta(days=self.days), self.opening)

    @property
    def months(self) -> list["Period"]:
        """Its calendar months in order, the first and last cut to it."""
        return [
            Period("custom", max(month.start_time.date(), self.first), min(month.end_time.date(), self.last))
            for month in pd.period_range(self.first, self.last, freq="M")
        ]

    def trend(self, months: int) -> list["Period"]:
        """That many calendar months in order, the last the one of its last day, cut to it."""
        return Period("custom", months_before(self.last.replace(day=1), months - 1), self.last).months

    def block(self) -> dict[str, str]:
        """It as JSON reports print it."""
        return {
            "start_date": self.first.isoformat(),
            "end_date": self.last.isoformat(),
            "period_name": self.name,
            "period_display": self.display,
        }


def period_of(parameters: InPeriod, as_of: date) -> Period:
    """The period asked for, seen from the business date `as_of`."""
    match parameters.period:
        case "current_month":
            first, last = as_of.replace(day=1), as_of
        case "previous_month":
            last = as_of.replace(day=1) - _DAY
            first = last.replace(day=1)
        case "quarter":
            first, last = date(as_of.year, as_of.month - (as_of.month - 1) % 3, 1), as_of
        case "year":
            first, last = date(as_of.year, 1, 1), as_of
        case "custom":
            first, last = date.fromisoformat(parameters.from_date), date.fromisoformat(parameters.to_date)
    return Period(parameters.period, first, last)


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def months_before(day: date, months: int) -> date:
    """The same day that many months before, or the last of that month when it is shorter."""
    return (pd.Timestamp(day) - pd.DateOffset(months=months)).date()
