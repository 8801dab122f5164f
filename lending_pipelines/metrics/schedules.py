"""Repayment schedules over time: the version in force, the installment period of each day, the oldest unpaid due date.

A *period* is the time [starts_on, due_on) between two due dates of one schedule version, with the installment due at
its end and the amount due before it. The period after the last due date ends at MAX_DATE. An installment with 0.00 of
principal and interest has no due date.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, cents, from_cents, money, quotient
from lending_pipelines.metrics.timeline import MAX_DATE, MIN_DATE

_BOUNDED = ("loan_id", "version", "in_force_from", "in_force_until", "least", "most")
"""The columns of `with_candidate_bounds` that the periods of a schedule version have too."""


def versions(installments: ir.Table, first: date, last: date) -> ir.Table:
    """The schedule versions in force on the days first..last.

    The schedule in force is the highest version with effective_on ≤ the day. A version ends when a higher one begins.
    The totals per version make it possible to sort only the installments near the days. An installment of 0.00 has no
    due date.

    Returns:
        loan_id, version, in_force_from, in_force_until (exclusive); due_by and principal_by, the amounts due by
        `first`; starts_on, the last due date up to `first` (or null); due_through, the amount due by `last`; next_on,
        the first due date after `last` (or null).
    """
    due = installments.principal + installments.interest
    by_first, by_last = installments.due_on <= first, installments.due_on <= last
    begun = installments.group_by("loan_id", "version").agg(
        in_force_from=installments.effective_on.min(),
        due_by=_sum(due, by_first),
        principal_by=_sum(installments.principal, by_first),
        starts_on=installments.due_on.max(where=by_first & (due != 0)),
        due_through=_sum(due, by_last),
        next_on=installments.due_on.min(where=~by_last & (due != 0)),
    )
    higher = ibis.window(group_by="loan_id", order_by=ibis.desc("version"), rows=(None, -1))
    begun = begun.mutate(in_force_until=ibis.coalesce(begun.in_force_from.min().over(higher), ibis.literal(MAX_DATE)))
    return begun.filter(
        begun.in_force_from < begun.in_force_until, begun.in_force_from <= last, begun.in_force_until > first
    )


def with_candidate_bounds(versions: ir.Table, settled: ir.Table, first: date, name: str) -> ir.Table:
    """Add bounds to the versions: only installments with after_on < due_on ≤ until_on can matter on the days.

    Installments due by `first` are excluded, except for loans that have not settled them all. Installments after the
    next due date are excluded, except for loans that owe principal and have paid ahead. due_by, principal_by and
    starts_on then describe the excluded earlier installments.

    Args:
        versions: The result of `versions`.
        settled: For the loans with installments to pay: loan_id, least and most (the range of the settled amount over
            the days), and owing (whether principal is outstanding).
        first: The first day.
        name: A name that is unique in the expression, so that the engine computes the result once.

    Returns:
        The versions with after_on, until_on, least and most.
    """
    behind = (settled.least < versions.due_by).fill_null(False)
    ahead = (settled.owing & (settled.most > versions.due_through)).fill_null(False)
    far = ibis.literal(MAX_DATE)
    rows = versions.left_join(settled, "loan_id").select(
        *_BOUNDED,
        after_on=behind.ifelse(ibis.literal(MIN_DATE), ibis.literal(first)),
        until_on=ahead.ifelse(far, ibis.coalesce(versions.next_on, far)),
        due_by=behind.ifelse(ZERO, versions.due_by),
        principal_by=behind.ifelse(ZERO, versions.principal_by),
        starts_on=behind.ifelse(ibis.null("date"), versions.starts_on),
    )
    # The name makes the engine compute the result once for both of its uses.
    return rows.alias(name)


def periods(installments: ir.Table, versions: ir.Table) -> ir.Table:
    """The periods of the schedule versions, within their bounds.

    Args:
        installments: The table installments.
        versions: The result of `with_candidate_bounds`.

    Returns:
        loan_id, version, in_force_from, in_force_until, least and most of `versions`; starts_on (null: disbursement)
        and due_on; and the amounts due (principal + interest) and interest of the installment at the period's end, and
        due_before and principal_before, due by starts_on.
    """
    nothing_due = (installments.principal == 0) & (installments.interest == 0)
    # Null instead of a filter: DuckDB would expect fewer installments than versions, and build its hash table of them.
    due_on = nothing_due.ifelse(ibis.null("date"), installments.due_on)
    installments = installments.select("loan_id", "version", "number", "principal", "interest", due_on=due_on)
    reached = versions.inner_join(installments, ["loan_id", "version"])
    reached = reached.filter(reached.due_on > reached.after_on, reached.due_on <= reached.until_on)
    tail = versions.filter(versions.until_on == MAX_DATE).mutate(
        due_on=ibis.literal(MAX_DATE), number=ibis.literal(0, "int64"), principal=ZERO, interest=ZERO
    )
    rows = ibis.union(reached.select(*tail.columns), tail)
    rows = rows.mutate(due=money(rows.principal + rows.interest))
    order = {"group_by": ["loan_id", "version"], "order_by": ["due_on", "number"]}
    before = ibis.window(**order, rows=(None, -1))

    def so_far(base: ir.DecimalColumn, column: ir.DecimalColumn) -> ir.DecimalColumn:
        return money(base + ibis.coalesce(money(column.sum().over(before)), ZERO))

    return rows.select(
        *_BOUNDED,
        "due_on",
        "due",
        "interest",
        starts_on=ibis.coalesce(rows.due_on.lag().over(ibis.window(**order)), rows.starts_on),
        due_before=so_far(rows.due_by, rows.due),
        principal_before=so_far(rows.principal_by, rows.principal),
    )


def candidate_installments(periods: ir.Table, first: date, last: date) -> ir.Table:
    """The periods that matter on the days: they overlap the days, or their installments are paid on the days.

    Few periods per loan remain, so later steps work on a small table. Adds `current` (overlaps), `payable` (paid), and
    `on` (the first day).
    """
    begins = ibis.greatest(ibis.coalesce(periods.starts_on, periods.in_force_from), periods.in_force_from)
    rows = periods.mutate(
        current=(ibis.least(periods.due_on, periods.in_force_until) > ibis.greatest(begins, ibis.literal(first)))
        & (begins <= last),
        payable=((periods.due_before + periods.due > periods.least) & (periods.due_before <= periods.most)).fill_null(
            False
        ),
        on=ibis.greatest(begins, ibis.literal(first)),
    )
    # The name makes the engine compute the result once for both of its uses.
    return rows.filter(rows.current | rows.payable).drop("least", "most").alias("relevant_periods")


def _sum(amount: ir.DecimalColumn, where: ir.BooleanColumn) -> ir.DecimalScalar:
    return money(ibis.coalesce(money(amount.sum(where=where)), ZERO))


def current(candidate_installments: ir.Table) -> ir.Table:
    """The level of the period that contains the day: loan_id, on, and the columns of `periods`."""
    return candidate_installments.filter(candidate_installments.current).select(
        "loan_id",
        "on",
        "version",
        "starts_on",
        "due_on",
        "due",
        "interest",
        "due_before",
        "principal_before",
    )


def oldest_due(candidate_installments: ir.Table, spans: ir.Table) -> ir.Table:
    """The due date of the oldest installment that is not fully settled, per span.

    Installments and spans are merged by amount, largest first, with a running minimum of the due dates. This needs one
    sort instead of a join on an inequality.

    Args:
        candidate_installments: The result of `candidate_installments`.
        spans: loan_id, version, on, settled.

    Returns:
        loan_id, on, oldest_due_on. Spans whose schedule is fully settled have no row.
    """
    far = ibis.literal(MAX_DATE)
    installments = candidate_installments.filter(candidate_installments.payable, candidate_installments.due_on < far)
    merged = ibis.union(
        installments.select(
            "loan_id",
            "version",
            amount=installments.due_before + installments.due,
            is_span=ibis.literal(0, "int8"),
            due_on=installments.due_on,
            on=ibis.null("date"),
        ),
        spans.select(
            "loan_id",
            "version",
            amount=spans.settled,
            is_span=ibis.literal(1, "int8"),
            due_on=ibis.null("date"),
            on=spans.on,
        ),
    )
    # An exactly settled installment counts as settled: at equal amounts, the span is sorted before it.
    window = ibis.window(
        group_by=["loan_id", "version"],
        order_by=[ibis.desc("amount"), ibis.desc("is_span")],
        rows=(None, 0),
    )
    merged = merged.mutate(oldest_due_on=merged.due_on.min().over(window))
    return merged.filter(merged.is_span == 1, merged.oldest_due_on.notnull()).select("loan_id", "on", "oldest_due_on")


def with_earned(rows: ir.Table, on: ir.DateColumn, begins_on: ir.DateColumn) -> ir.Table:
    """Add `scheduled_interest`, the interest earned since the drawing by the end of the day `on`.

    It is the interest of earlier periods without interest_before_drawing, plus the interest of the period that contains
    the day × days elapsed ÷ days in the period, rounded to the cent, half to even. A period begins at the earliest on
    the day `begins_on`, from which principal is outstanding. The amounts are whole cents, so that rounding is exact.
    The interest is divided before it is multiplied, so that no product overflows.
    """
    begins = ibis.greatest(ibis.coalesce(rows.starts_on, begins_on), begins_on)
    open_end = rows.due_on == ibis.literal(MAX_DATE)
    # In two steps, so that no long expression is repeated within others.
    steps = rows.mutate(
        cents_before=cents(rows.due_before)
        - cents(rows.principal_before)
        - cents(ibis.coalesce(rows.interest_before_drawing, ZERO)),
        cents_in=cents(rows.interest),
        length=open_end.ifelse(1, ibis.greatest(rows.due_on.delta(begins, unit="day"), 1)),
        elapsed=open_end.ifelse(0, ibis.greatest(on.delta(begins, unit="day"), 0)),
    )
    rest = (steps.cents_in % steps.length) * steps.elapsed
    in_period = quotient(steps.cents_in, steps.length) * steps.elapsed + quotient(rest, steps.length)
    whole, half = steps.cents_before + in_period, (rest % steps.length) * 2
    rounds_up = (half > steps.length) | ((half == steps.length) & (whole % 2 == 1))
    return steps.select(*rows.columns, scheduled_interest=from_cents(whole + rounds_up.cast("int64")))
