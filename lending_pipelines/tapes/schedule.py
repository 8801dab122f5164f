"""The dates on which a tape is due: scheduled dates, adjusted to business days if the tape has a convention."""

from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache

import numpy as np
import pandas as pd
from cronsim import CronSim, CronSimError

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.register.models import BusinessDayConvention, LoanTapeConfig

SUNDAY = 6

SCHEDULES = ("daily", "weekly", "monthly", "quarterly")

MAX_ADJUSTMENT = timedelta(days=14)
"""More days than any convention adjusts a date by."""


class ScheduleError(LendingError):
    """A tape's schedule or calendar is not valid."""


def due_days(config: LoanTapeConfig, first: date, last: date) -> list[date]:
    """The business dates first..last on which the tape is due, in order.

    daily: every day. weekly, monthly, quarterly: the last day of the week (Sunday), month or quarter. A cron
    expression: every date on which it fires. A date on a weekend or holiday is adjusted by the configuration's
    business day convention (ISDA terms); `unadjusted` keeps it.

    Raises:
        ScheduleError: The schedule or the calendar is not valid.
    """
    return list(_due_days(config.tape_schedule, config.business_day_convention, config.holiday_calendar, first, last))


# Cached, because the sensor needs the days of every tape every 30 seconds and they change once a day.
@lru_cache(maxsize=1000)
def _due_days(
    schedule: str, convention: BusinessDayConvention, holiday_calendar: str | None, first: date, last: date
) -> tuple[date, ...]:
    if convention == "unadjusted":
        return tuple(_scheduled(schedule, first, last))
    moved = {
        _moved(day, convention, holiday_calendar)
        for day in _scheduled(schedule, first - MAX_ADJUSTMENT, last + MAX_ADJUSTMENT)
    }
    return tuple(sorted(day for day in moved if first <= day <= last))


def _moved(day: date, convention: BusinessDayConvention, holiday_calendar: str | None) -> date:
    """The day, adjusted by the convention if it is not a business day."""
    years = range(day.year - 1, day.year + 2) if holiday_calendar else ()
    free = [each for year in years for each in _holidays(str(holiday_calendar), year)]
    roll = convention.replace("_", "")
    return np.busday_offset(np.datetime64(day, "D"), 0, roll=roll, holidays=free).item()  # type: ignore[call-overload]


@cache
def _holidays(code: str, year: int) -> list[date]:
    """The year's holidays of a market (ISO 10383: XNYS, …; XECB is TARGET) or country (ISO 3166: NL, US-NY, …)."""
    import holidays

    markets, countries = holidays.list_supported_financial(), holidays.list_supported_countries()
    country, _, subdivision = code.partition("-")
    if code in markets:
        return list(holidays.financial_holidays(code, years=year))
    if country in countries and subdivision in ("", *countries[country]):
        return list(holidays.country_holidays(country, subdiv=subdivision or None, years=year))
    near = did_you_mean(code, [*markets, *countries, *(f"{country}-{part}" for part in countries.get(country, ()))])
    raise ScheduleError(f"unknown holiday_calendar {code!r}: {near}")


def _scheduled(schedule: str, first: date, last: date) -> list[date]:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [day for day in days if _named(schedule, day)]


def _named(schedule: str, day: date) -> bool:
    """Whether the day is a scheduled date."""
    match schedule:
        case "daily":
            return True
        case "weekly":
            return day.weekday() == SUNDAY
        case "monthly":
            return pd.Timestamp(day).is_month_end
        case "quarterly":
            return pd.Timestamp(day).is_quarter_end
        case _:
            return _fires(schedule, day)


def _fires(cron: str, day: date) -> bool:
    """Whether the cron expression fires on the day."""
    midnight = datetime.combine(day, time.min)
    try:
        return next(CronSim(cron, midnight - timedelta(minutes=1))).date() == day
    except CronSimError as error:
        raise ScheduleError(
            f"tape_schedule {cron!r} is not valid ({error}): write {', '.join(SCHEDULES)} or a cron expression"
        ) from error
