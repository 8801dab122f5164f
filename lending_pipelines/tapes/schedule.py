"""When a tape is due: the business dates that its schedule names."""

import calendar
from datetime import date, datetime, time, timedelta

from cronsim import CronSim, CronSimError

from lending_pipelines.tapes.spec import TapeError

SUNDAY = 6

SCHEDULES = ("daily", "weekly", "monthly", "quarterly")


def is_due(schedule: str, day: date) -> bool:
    """Whether the tape of that business date is due.

    daily: every day; weekly, monthly, quarterly: the last day of the week (Sunday), month or quarter; a cron
    expression: every date on which it fires. TapeError for anything else.
    """
    month_end = day.day == calendar.monthrange(day.year, day.month)[1]
    match schedule:
        case "daily":
            return True
        case "weekly":
            return day.weekday() == SUNDAY
        case "monthly":
            return month_end
        case "quarterly":
            return month_end and day.month % 3 == 0
        case _:
            return _fires(schedule, day)


def _fires(cron: str, day: date) -> bool:
    midnight = datetime.combine(day, time.min)
    try:
        return next(CronSim(cron, midnight - timedelta(minutes=1))).date() == day
    except CronSimError as error:
        raise TapeError(
            f"tape schedule {cron!r} is not understood ({error}): write {', '.join(SCHEDULES)} or a cron expression"
        ) from error
