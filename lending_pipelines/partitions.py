"""The partitions of daily assets: one per business date, from LENDING_START_DATE, in LENDING_TIMEZONE."""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings

_settings = Settings.from_environment()

BUSINESS_DATES = dg.DailyPartitionsDefinition(start_date=_settings.start_date.isoformat(), timezone=_settings.timezone)
"""A day's partition exists once the day has ended."""


def first_and_last(keys: dg.PartitionKeyRange) -> tuple[date, date]:
    """The first and last business date of a run's partitions."""
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def business_days(first: date, last: date) -> list[date]:
    """The days first..last. Raises LendingError when there are none, or when one has no partition."""
    if last < first:
        raise LendingError(f"{first} to {last}: the first day is after the last")
    if first < _settings.start_date:
        raise LendingError(
            f"{first} is before the first business date, {_settings.start_date}: set LENDING_START_DATE earlier"
        )
    ended = BUSINESS_DATES.get_last_partition_key()
    if ended is None or last > date.fromisoformat(ended):
        raise LendingError(
            f"{last} has not ended in {_settings.timezone}: {f'close up to {ended}' if ended else 'no day has ended'}"
        )
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def last_ended_day() -> date:
    """The last day that has ended in LENDING_TIMEZONE; the day before LENDING_START_DATE if none has."""
    ended = BUSINESS_DATES.get_last_partition_key()
    return date.fromisoformat(ended) if ended else _settings.start_date - timedelta(days=1)


def contiguous(days: Sequence[date]) -> list[tuple[date, date]]:
    """Group sorted days into the fewest ranges (first, last) of consecutive days; each range is one run."""
    ranges: list[tuple[date, date]] = []
    for day in days:
        if ranges and (day - ranges[-1][1]).days == 1:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
