"""Business dates as timestamps: a day ends at midnight in the lender's time zone, and timestamps are stored in UTC.

Every comparison of a timestamp with a business date uses this module. Both engines then get plain UTC timestamps and
need no time zones.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa


def ends_at(day: date, timezone: str) -> datetime:
    """The end of the day in the time zone, as a UTC timestamp without a zone. The next day begins then."""
    midnight = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(timezone))
    return midnight.astimezone(UTC).replace(tzinfo=None)


def calendar(days: Iterable[date], timezone: str) -> ir.Table:
    """A row per day: business_date, and ends_at, the end of the day in the time zone, in UTC."""
    dates = sorted(set(days))
    columns = {
        "business_date": pa.array(dates, pa.date32()),
        "ends_at": pa.array([ends_at(day, timezone) for day in dates], pa.timestamp("us")),
    }
    return ibis.memtable(pa.table(columns))


def on_days(instant: ir.TimestampColumn, first: date, last: date, timezone: str) -> ir.BooleanColumn:
    """Whether the UTC timestamp falls on one of the days first..last in the time zone."""
    begins, ends = ends_at(first - timedelta(days=1), timezone), ends_at(last, timezone)
    return (instant >= ibis.literal(begins, "timestamp(6)")) & (instant < ibis.literal(ends, "timestamp(6)"))
