"""Fineract's business date, and when it last changed a schedule."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from lending_pipelines.sources.stored import StoredTables

_AT_A_TIME = 5_000


def business_date(connection: sa.Connection, t: StoredTables) -> date | None:
    """Fineract's business date. If it stores none, the day of the last change of a loan; None without loans."""
    return connection.scalar(sa.select(business_date_of(t)))


def business_date_of(t: StoredTables) -> sa.ColumnElement[date]:
    """`business_date` as an expression for a SELECT."""
    kept = sa.select(sa.func.max(t.m_business_date.c.date)).where(t.m_business_date.c.type == "BUSINESS_DATE")
    changed = sa.select(sa.cast(sa.func.max(t.m_loan.c.last_modified_on_utc), sa.Date))
    return sa.func.coalesce(kept.scalar_subquery(), changed.scalar_subquery(), type_=sa.Date)


def schedules_changed_on(
    connection: sa.Connection, t: StoredTables, loan_ids: Sequence[str], timezone: str
) -> Mapping[str, date]:
    """The day in the time zone on which a row of each loan's schedule was last modified.

    It is at most the business date, because the clock of the server may be ahead of it.
    """
    row = t.m_loan_repayment_schedule
    last = business_date(connection, t) or date.max
    zone = ZoneInfo(timezone)
    changed: dict[str, date] = {}
    for begin in range(0, len(loan_ids), _AT_A_TIME):
        some = [int(loan_id) for loan_id in loan_ids[begin : begin + _AT_A_TIME]]
        query = (
            sa.select(row.c.loan_id, sa.func.max(row.c.last_modified_on_utc))
            .where(row.c.loan_id.in_(some))
            .group_by(row.c.loan_id)
        )
        changed |= {str(loan_id): min(_day(at, zone), last) for loan_id, at in connection.execute(query)}
    return changed


def _day(at: datetime, zone: ZoneInfo) -> date:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone).date()
