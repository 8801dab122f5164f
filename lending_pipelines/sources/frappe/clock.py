"""Converts Frappe's timestamps from the time zone of the site to UTC. Its dates are business dates and stay as is."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lending_pipelines.sources.convert import REFUSED, Values, to_arrow
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.sources.stored import StoredTables
from lending_pipelines.tables import Table

_INSTANT = "timestamp(6)"
_NAIVE = pa.timestamp("us")


def site_zone(connection: sa.Connection, t: StoredTables) -> str | None:
    """The IANA time zone of the System Settings; None if the database does not have it.

    Raises:
        SourceError: The zone does not exist.
    """
    row = t.singles
    zone = connection.scalar(
        sa.select(row.c.value).where(row.c.doctype == "System Settings", row.c.field == "time_zone")
    )
    if not zone:
        return None
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SourceError(
            f"frappe: tabSingles has the time zone {zone!r} for System Settings, which is not an IANA time zone"
        ) from error
    return str(zone)


def in_utc(table: Table, groups: Iterable[list[Values]], zone: str) -> Iterable[list[Values]]:
    """The columns of a table, with the timestamps converted from a zone to UTC.

    A time that occurs twice, at the end of daylight saving time, counts as its first occurrence.
    """
    timed = [column.type == _INSTANT for column in table.columns]
    for group in groups:
        yield [_utc(values, zone) if is_timed else values for values, is_timed in zip(group, timed, strict=True)]


def _utc(values: Values, zone: str) -> Values:
    try:
        local = to_arrow(values, _NAIVE)
    except REFUSED:
        # record_batches reports the values that are no timestamps.
        return values
    instants = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")
    return instants.cast(pa.timestamp("us", "UTC")).cast(_NAIVE)
