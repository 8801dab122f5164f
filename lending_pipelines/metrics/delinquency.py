"""Delinquency: days past due, buckets, aging, and transitions between buckets."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import scopes
from lending_pipelines.metrics.money import ZERO, money
from lending_pipelines.metrics.timeline import as_date
from lending_pipelines.tables.derived import TRANSITION_ENTRY, TRANSITION_EXITS
from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES, Period

_DAYS = {"week": 7, "day": 1}
_MONTH = ibis.interval(months=1)

_KEYS = ["business_date", "from_date", "from_bucket", "to_bucket"]
_MEASURES = ["loan_count", "opening_principal"]


def late_since(spans: ir.Table, conventions: Conventions) -> ir.Table:
    """Add `late_since` to the spans, the date from which days past due are counted (null: nothing is unpaid).

    With the convention rolling, this is the oldest unpaid due date. With strict, it is the oldest unpaid due date since
    the loan was last not past due. The OTS method counts from one payment period later, or one month for a loan without
    a period.

    Args:
        spans: loan_id, on, past_due_amount, oldest_due_on, payment_frequency.
        conventions: They choose the method.
    """
    if conventions.dpd_method == "strict":
        order = ibis.window(group_by="loan_id", order_by="on")
        so_far = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
        spans = spans.mutate(late=spans.past_due_amount > 0)
        spans = spans.mutate(turns=(spans.late != ibis.coalesce(spans.late.lag().over(order), False)).cast("int64"))
        spans = spans.mutate(spell=spans.turns.sum().over(so_far))
        in_spell = ibis.window(group_by=["loan_id", "spell"], order_by="on", rows=(None, 0))
        since = spans.late.ifelse(spans.oldest_due_on.min().over(in_spell), spans.oldest_due_on)
        spans = spans.mutate(late_since=since).drop("late", "turns", "spell")
    else:
        spans = spans.mutate(late_since=spans.oldest_due_on)
    if conventions.delinquency_method == "OTS":
        later = ibis.cases(
            *(
                (spans.payment_frequency == name, as_date(spans.late_since + _interval(period)))
                for name, period in PAYMENT_FREQUENCIES.items()
                if period
            ),
            else_=as_date(spans.late_since + _MONTH),
        )
        spans = spans.mutate(late_since=later)
    return spans


def _interval(period: Period) -> ir.IntervalScalar:
    return ibis.interval(months=period.months) if period.months else ibis.interval(days=period.days)


def days_past_due(
    on: ir.DateColumn, late_since: ir.DateColumn, paused_days: ir.IntegerColumn, conventions: Conventions
) -> ir.IntegerColumn:
    """Days from `late_since` to the day `on`, without paused days unless the convention counts them; at least 0.

    The result is 0 if `late_since` is null.
    """
    days = on.delta(late_since, unit="day")
    if conventions.paused_days == "stand_still":
        days = days - paused_days
    return ibis.coalesce(ibis.greatest(days, 0), 0)


def delinquent(days_past_due: ir.IntegerColumn) -> ir.BooleanColumn:
    """Whether a loan counts as delinquent: from its first day past due on."""
    return days_past_due >= 1


def in_par(days_past_due: ir.IntegerColumn, days: int, conventions: Conventions) -> ir.BooleanColumn:
    """Whether PAR with this number of days includes the loan."""
    return days_past_due >= least_days_in_par(days, conventions)


def least_days_in_par(days: int, conventions: Conventions) -> int:
    """The least days past due of a loan that PAR with this number of days includes."""
    return days if conventions.par_operator == ">=" else days + 1


def bucket(days_past_due: ir.IntegerColumn, conventions: Conventions) -> ir.StringColumn:
    """The delinquency bucket of a number of days past due."""
    floors = (0, *conventions.bucket_edges)
    by_lateness = sorted(zip(floors, conventions.buckets, strict=True), reverse=True)
    return ibis.cases(*((days_past_due >= floor, label) for floor, label in by_lateness[:-1]), else_=by_lateness[-1][1])


def aging_buckets(positions: ir.Table) -> ir.Table:
    """The table aging_buckets: active loans by bucket on each day of `positions`, per scope, without empty buckets."""
    rows = scopes.roll_up(
        positions.filter(positions.status == "active").mutate(loan_count=ibis.literal(1, "int64")),
        ["business_date", "bucket"],
        ["loan_count", "principal_outstanding", "past_due_amount"],
    )
    scope = ibis.window(group_by=["business_date", "scope", "scope_id", "currency"])
    total = money(rows.principal_outstanding.sum().over(scope)).cast("float64")
    return rows.mutate(balance_share=rows.principal_outstanding.cast("float64") / total.nullif(0))


def buckets_of(positions: ir.Table, key: str) -> ir.Table:
    """Active loans by `key`, currency and bucket, with the measures of aging_buckets, from the positions of one day.

    Loans whose key is null are a group of their own.
    """
    active = positions.filter(positions.status == "active")
    rows = active.group_by(key, "currency", "bucket").agg(
        loan_count=active.count(),
        principal_outstanding=money(active.principal_outstanding.sum()),
        past_due_amount=money(active.past_due_amount.sum()),
    )
    total = money(rows.principal_outstanding.sum().over(ibis.window(group_by=[key, "currency"]))).cast("float64")
    return rows.mutate(balance_share=rows.principal_outstanding.cast("float64") / total.nullif(0))


def bucket_rank(bucket: ir.StringColumn, conventions: Conventions) -> ir.IntegerColumn:
    """The sort position of a bucket: entries, then buckets by days past due, then exits."""
    known = (TRANSITION_ENTRY, *conventions.buckets, *TRANSITION_EXITS)
    return ibis.cases(*((bucket == label, rank) for rank, label in enumerate(known)), else_=len(known))


def opening_day(day: date, conventions: Conventions, months: int | None = None) -> date:
    """The day on which a transition to `day` starts: one transition step before `day`, or `months` months before it.

    Months run from month end to month end: a transition to the last day of a month starts on the last day of an earlier
    month. A transition to any other day starts on the same day of the earlier month, or on the last day of that month
    if it has no such day.
    """
    if months is None and conventions.transition_step in _DAYS:
        return day - timedelta(days=_DAYS[conventions.transition_step])
    at, count = pd.Timestamp(day), months or 1
    return (at - (pd.offsets.MonthEnd(count) if at.is_month_end else pd.DateOffset(months=count))).date()


def _opening_days(day: ir.DateColumn, conventions: Conventions, months: int | None) -> ir.DateColumn:
    """`opening_day` of each day, as an expression."""
    if months is None and conventions.transition_step in _DAYS:
        return as_date(day - ibis.interval(days=_DAYS[conventions.transition_step]))
    step = ibis.interval(months=months or 1)
    after = as_date(day + ibis.interval(days=1))
    return (after.day() == 1).ifelse(as_date(as_date(after - step) - ibis.interval(days=1)), as_date(day - step))


def aging_transitions(
    positions: ir.Table, first: date, last: date, conventions: Conventions, months: int | None = None
) -> ir.Table:
    """The table aging_transitions for the days first..last.

    A loan counts in the scopes that it belonged to on the opening day. `new` counts loans that are active in a scope on
    the day but were not on the opening day. `sold` counts loans that were sold to an investor in between,
    and `pending` loans whose disbursement was reversed in between.

    Args:
        positions: loan_positions of the days and of their opening days (`opening_day`). A day whose opening day is
            missing has no rows.
        first: The first day.
        last: The last day.
        conventions: They define the buckets and the transition step.
        months: Months between opening day and day, instead of the transition step.
    """
    days = positions.filter(positions.business_date >= first, positions.business_date <= last)
    opening_days = positions.select(from_date="business_date").distinct()
    of_loan = ("loan_id", "bucket", *scopes.DIMENSIONS.values())
    days = days.select(
        "business_date",
        "currency",
        "status",
        *of_loan,
        from_date=_opening_days(days.business_date, conventions, months),
    )
    days = days.semi_join(opening_days, "from_date")
    before = positions.filter(positions.status == "active").select(
        *of_loan, opening_principal="principal_outstanding", from_date="business_date"
    )
    moves = days.left_join(before, ["loan_id", "from_date"], rname="{name}_before")
    stayed = moves.filter(moves.bucket_before.notnull())
    sold = stayed.investor_id.notnull() & stayed.investor_id_before.isnull()
    exits = stayed.select(
        "business_date",
        "from_date",
        "currency",
        "opening_principal",
        *(stayed[f"{column}_before"].name(column) for column in scopes.DIMENSIONS.values()),
        from_bucket="bucket_before",
        to_bucket=ibis.cases(
            (stayed.status != "active", stayed.status),
            (sold, "sold"),
            else_=stayed.bucket,
        ),
        loan_count=ibis.literal(1, "int64"),
    )
    active = moves.filter(moves.status == "active").select(
        "business_date",
        "from_date",
        "currency",
        "bucket_before",
        *scopes.DIMENSIONS.values(),
        *(f"{column}_before" for column in scopes.DIMENSIONS.values()),
        from_bucket=ibis.literal(TRANSITION_ENTRY),
        to_bucket="bucket",
        loan_count=ibis.literal(1, "int64"),
        opening_principal=ZERO,
    )
    entries = [
        scopes.sum_scope(active.filter(scopes.entered(active, column)), scope, column, _KEYS, _MEASURES)
        for scope, column in (("all", None), *scopes.DIMENSIONS.items())
    ]
    rows = ibis.union(scopes.roll_up(exits, _KEYS, _MEASURES), *entries)
    out_of = ibis.window(group_by=["business_date", "scope", "scope_id", "currency", "from_bucket"])
    total = money(rows.opening_principal.sum().over(out_of)).cast("float64")
    existing = rows.from_bucket != TRANSITION_ENTRY
    return rows.mutate(
        count_rate=existing.ifelse(rows.loan_count / rows.loan_count.sum().over(out_of), ibis.null("float64")),
        balance_rate=existing.ifelse(rows.opening_principal.cast("float64") / total.nullif(0), ibis.null("float64")),
    )
