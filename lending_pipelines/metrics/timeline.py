"""States over time: converts values that are valid from a date on to one row per loan and day.

A *level* is a table (loan_id, on, value…): each row is valid from `on` until the loan's next row in that level. Levels
are clipped to the requested days: a value that began earlier begins on the first day. events.py, schedules.py and
positions.py create levels and define their values.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

MIN_DATE = date(1900, 1, 1)
"""Before every business date: the start of an open interval."""

MAX_DATE = date(9999, 12, 31)
"""After every business date: the end of an open interval."""


def as_date(moment: ir.DateValue) -> ir.DateValue:
    """Cast a date after date arithmetic. The engines return a timestamp, but Ibis infers a date."""
    return moment.cast("timestamp").cast("date")


def calendar_months(start: ir.DateValue, end: ir.DateValue) -> ir.IntegerValue:
    """The number of calendar months from the month of one date to the month of another."""
    return ((end.year() - start.year()) * 12 + end.month() - start.month()).cast("int64")


def intervals(rows: ir.Table, start: str, end: str | None, values: Sequence[str], first: date, last: date) -> ir.Table:
    """The level of intervals [start, end). A null end is open; a later interval ends an earlier one.

    Returns:
        loan_id, on, and the values, which are null between the end of an interval and the start of the next one.
    """
    far = ibis.literal(MAX_DATE)
    window = ibis.window(group_by="loan_id", order_by=start)
    ends = ibis.coalesce(rows[end], far) if end else far
    rows = rows.filter(rows[start] <= last)
    rows = rows.select("loan_id", *values, start=start, ends=ends, next_start=rows[start].lead().over(window))
    next_start = ibis.coalesce(rows.next_start, far)
    until = ibis.least(rows.ends, next_start)
    valid = rows.filter(until > rows.start, until > first).select(
        "loan_id", *values, on=ibis.greatest(rows.start, ibis.literal(first))
    )
    gaps = rows.filter(until < next_start, next_start > first, until <= last).select(
        "loan_id",
        *(ibis.null(rows[value].type()).name(value) for value in values),
        on=ibis.greatest(until, ibis.literal(first)),
    )
    return ibis.union(valid, gaps)


def states(loans: ir.Table, levels: Mapping[str, ir.Table], first: date, last: date) -> ir.Table:
    """Every loan's states: the spans [on, until) within the days in which no level changes.

    Args:
        loans: loan_id, and `begins_on`, before which a loan has no state.
        levels: The levels by name.
        first: The first day.
        last: The last day.

    Returns:
        The columns of `loans` and of every level, with on and until. Columns of a level are null before its first row.
    """
    spans = _spans(loans, levels, first, last)
    joined = spans
    for name, level in levels.items():
        in_force = [spans.loan_id == level.loan_id, spans[f"{name}_since"] == level.on]
        joined = joined.left_join(level, in_force, rname=f"{{name}}_of_{name}")
    values = (column for level in levels.values() for column in level.columns if column not in ("loan_id", "on"))
    return joined.select(*loans.columns, "on", "until", *values)


def _spans(loans: ir.Table, levels: Mapping[str, ir.Table], first: date, last: date) -> ir.Table:
    """The columns of `loans`, on, until and, per level, the date of its row in force: `<level>_since`."""
    begins = loans.mutate(on=ibis.greatest(loans.begins_on, ibis.literal(first)))
    if first == last:
        # Every level is clipped to the one day, so no order is needed.
        return begins.mutate(
            until=ibis.literal(last + timedelta(days=1)),
            **{f"{name}_since": ibis.literal(first) for name in levels},
        )
    points = [_point(begins.select("loan_id", "on"), None, levels)]
    points += [_point(level.select("loan_id", "on"), name, levels) for name, level in levels.items()]
    sinces = [f"{name}_since" for name in levels]
    merged = ibis.union(*points)
    merged = merged.group_by("loan_id", "on").agg(**{since: merged[since].max() for since in sinces})
    window = ibis.window(group_by="loan_id", order_by="on")
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    merged = merged.mutate(
        until=ibis.coalesce(merged.on.lead().over(window), ibis.literal(last + timedelta(days=1))),
        **{since: merged[since].max().over(running) for since in sinces},
    )
    spans = merged.inner_join(begins.rename(begins_at="on"), "loan_id")
    return (
        spans.filter(spans.until > spans.begins_at)
        .mutate(on=ibis.greatest(spans.on, spans.begins_at))
        .drop("begins_at")
    )


def _point(rows: ir.Table, level: str | None, levels: Mapping[str, ir.Table]) -> ir.Table:
    """Add `<level>_since`: the date of the row for the given level, null for all other levels."""
    never = ibis.null("date")
    return rows.mutate(**{f"{name}_since": rows.on if name == level else never for name in levels})


def days(spans: ir.Table) -> ir.Table:
    """Every day of every span: the columns of `spans` except on and until, and `business_date`."""
    # The unnested column needs its own step, because Spark rejects a generator inside an expression.
    kept = [name for name in spans.columns if name not in ("on", "until")]
    rows = spans.mutate(offset=ibis.range(0, spans.until.delta(spans.on, unit="day")).unnest())
    return rows.select(*kept, business_date=as_date(rows.on + rows.offset.as_interval("D")))
