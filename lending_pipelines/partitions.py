"""The partitions of everything daily: one a business date, from LENDING_START_DATE, in LENDING_TIMEZONE."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from lending_pipelines.settings import Settings

_settings = Settings.from_environment()

BUSINESS_DATES = dg.DailyPartitionsDefinition(start_date=_settings.start_date.isoformat(), timezone=_settings.timezone)
"""A day's partition exists once the day has ended."""


def first_and_last(keys: dg.PartitionKeyRange) -> tuple[date, date]:
    """The first and the last business date of a run's partitions, which are one day or a range of days."""
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def contiguous(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as the fewest ranges (first, last) of consecutive days: each is one run."""
    ranges: list[tuple[date, date]] = []
    for day in days:
        if ranges and (day - ranges[-1][1]).days == 1:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
