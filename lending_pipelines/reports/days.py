"""The business dates of a report: resolves `latest` and histories to closed days."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import AS_OF, LATEST, InPeriod, InWeek
from lending_pipelines.reports.periods import Period, period_of
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables import TABLES


def business_date(source: ReportSource, reads: Sequence[str], as_of: str) -> date:
    """The business date of `as_of`. It must exist in every daily table of `reads`; the first table decides `latest`.

    Raises:
        LendingError: The day is missing. The message names the table, the nearest days, and the command that closes the
            day.
    """
    daily = [name for name in reads if TABLES[name].daily]
    if as_of == LATEST:
        days = source.days(daily[0])
        if not days:
            raise LendingError(
                f"{daily[0]} has no days yet: run lending close --from 2025-01-01 --to 2025-01-31 with your dates"
            )
        wanted = days[-1]
    else:
        wanted = calendar_day(source, as_of)
    for name in daily:
        _require(wanted, name, source)
    return wanted


def calendar_day(source: ReportSource, as_of: str) -> date:
    """The date that as_of means where it is not `latest`: a date, or a word for a day that has ended."""
    if as_of not in AS_OF:
        return date.fromisoformat(as_of)
    yesterday = last_ended_day(source.conventions.timezone)
    match as_of:
        case "last_month_end":
            return pd.offsets.MonthEnd().rollback(pd.Timestamp(yesterday)).date()
        case "last_quarter_end":
            return pd.offsets.QuarterEnd().rollback(pd.Timestamp(yesterday)).date()
    return yesterday


def last_ended_day(timezone: str) -> date:
    """The last day that has ended in a time zone."""
    return datetime.now(ZoneInfo(timezone)).date() - timedelta(days=1)


def ledger_date(source: ReportSource, reads: Sequence[str], as_of: str) -> date:
    """`business_date` for a report on the ledger. Before the first entry, only loan_positions needs to have the day."""
    first = source.table("journal_lines").entry_date.min().to_pyarrow().as_py()
    if first is None or (as_of != LATEST and calendar_day(source, as_of) < first):
        return business_date(source, ("loan_positions",), as_of)
    return business_date(source, reads, as_of)


def period(parameters: InPeriod, source: ReportSource) -> Period:
    """The period of the parameters, as of a closed day. LendingError if as_of is not closed."""
    return period_of(parameters, business_date(source, ("loan_positions",), parameters.as_of))


def week(parameters: InWeek, source: ReportSource, reads: Sequence[str]) -> Period:
    """The seven days that end on as_of. LendingError if as_of is missing in a daily table of `reads`."""
    last = business_date(source, reads, parameters.as_of)
    return Period("custom", last - timedelta(days=6), last)


def closed(source: ReportSource, *wanted: date) -> list[date]:
    """The closed days among `wanted`, in order and without duplicates."""
    return sorted(set(wanted).intersection(source.days("loan_positions")))


def first_closed(source: ReportSource) -> date:
    """The first day that was ever closed; it may be thinned. At least one day must have been closed."""
    return min(each for days in (source.days("loan_positions"), source.thinned("loan_positions")) for each in days[:1])


def history_days(
    source: ReportSource, table: str, last: date, points: int, step: Literal["month", "day"]
) -> list[date]:
    """The last `points` business dates up to `last`: each closed day, or the last closed day of each month."""
    days = [day for day in source.days(table) if day <= last]
    if step == "month":
        days = list({(day.year, day.month): day for day in days}.values())
    return days[-points:]


def why_absent(source: ReportSource, day: date) -> str:
    """Why loan_positions has no rows of a day, as the end of a sentence about the day."""
    return "was thinned" if _is_thinned(source, day) else "is not closed"


def _is_thinned(source: ReportSource, day: date, table: str = "loan_positions") -> bool:
    return day in source.thinned(table)


def _require(wanted: date, table: str, source: ReportSource) -> None:
    """Raise LendingError if the table does not have the day."""
    days = source.days(table)
    at = bisect_left(days, wanted)
    if at < len(days) and days[at] == wanted:
        return
    nearest = " and ".join(day.isoformat() for day in (*days[max(at - 1, 0) : at], *days[at : at + 1]))
    there = f"the nearest closed days are {nearest}" if nearest else "it has no days yet"
    again = f"lending close --from {wanted} --to {wanted}"
    if _is_thinned(source, wanted, table):
        raise LendingError(
            f"{table} has no {wanted}: the day was closed and later thinned, which removed its rows; {there}; to"
            f" compute the day again from current data run {again} --force"
        )
    raise LendingError(f"{table} has no {wanted}: {there}; run {again}")
