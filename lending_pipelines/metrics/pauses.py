"""Delinquency pauses: the days on which a loan's days past due stand still."""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import as_count
from lending_pipelines.metrics.timeline import MAX_DATE

_NEVER = date(1, 1, 1)


def with_paused_days(rows: ir.Table, pauses: ir.Table) -> ir.Table:
    """Add `paused_days` to the rows: the days in pauses from `late_since` to the business date.

    The days after the first day of a pause up to its last day are paused: the loan keeps the days past due of the first
    day. Days of several pauses count once.

    Args:
        rows: loan_id, business_date, and late_since, from which days past due are counted (or null).
        pauses: The table delinquency_pauses.
    """
    spans = _merged(pauses)
    late = rows.select("loan_id", "business_date", "late_since").inner_join(spans, "loan_id")
    begins, ends = ibis.greatest(late.starts_on, late.late_since), ibis.least(late.ends_on, late.business_date)
    late = late.filter(ends > begins)
    # DuckDB sums integers to a wider type without Ibis knowing it. Ibis would drop a direct cast to int64.
    days = ends.delta(begins, unit="day").sum().cast("int32").cast("int64")
    paused = late.group_by("loan_id", "business_date").agg(paused_days=days)
    joined = rows.left_join(paused, ["loan_id", "business_date"], rname="{name}_paused")
    return joined.select(*rows.columns, paused_days=ibis.coalesce(paused.paused_days, 0))


def days_before(spans: ir.Table, pauses: ir.Table, last: date, days: int) -> ir.Table:
    """The paused days before the day on which a span's loan becomes `days` days past due.

    Args:
        spans: loan_id, on, and late_since, from which days past due are counted (or null).
        pauses: The table delinquency_pauses.
        last: The last day of the spans.
        days: The days past due.

    Returns:
        loan_id, on, paused_before. A span without paused days has no row.
    """
    rows = spans.select("loan_id", "on", "late_since").inner_join(_merged(pauses), "loan_id")
    begins, ends = ibis.greatest(rows.starts_on, rows.late_since), ibis.least(rows.ends_on, ibis.literal(last))
    rows = rows.mutate(counted=begins.delta(rows.late_since, unit="day"), paused=ends.delta(begins, unit="day"))
    rows = rows.filter(rows.late_since.notnull(), rows.paused > 0)
    earlier = ibis.window(group_by=["loan_id", "on"], order_by="counted", rows=(None, -1))
    rows = rows.mutate(earlier=as_count(ibis.coalesce(rows.paused.sum().over(earlier), 0)))
    rows = rows.filter(rows.counted - rows.earlier < days)
    return rows.group_by("loan_id", "on").agg(paused_before=as_count(rows.paused.sum()))


def _merged(pauses: ir.Table) -> ir.Table:
    """The pauses of each loan without overlaps: loan_id, starts_on, ends_on."""
    rows = pauses.select(
        "loan_id", "starts_on", ends_on=ibis.coalesce(pauses.ends_on, ibis.literal(MAX_DATE))
    ).distinct()
    order = {"group_by": "loan_id", "order_by": ["starts_on", "ends_on"]}
    before = rows.ends_on.max().over(ibis.window(**order, rows=(None, -1)))
    rows = rows.mutate(begins=(ibis.coalesce(before, ibis.literal(_NEVER)) < rows.starts_on).cast("int64"))
    rows = rows.mutate(span=rows.begins.sum().over(ibis.window(**order, rows=(None, 0))))
    return rows.group_by("loan_id", "span").agg(starts_on=rows.starts_on.min(), ends_on=rows.ends_on.max()).drop("span")
