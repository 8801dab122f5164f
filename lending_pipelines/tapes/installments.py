"""Tape fields from the schedule in force on the tape's day: amounts scheduled in the reporting period and next due."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, as_count, money
from lending_pipelines.metrics.payment_history import month_ends
from lending_pipelines.metrics.timeline import MAX_DATE
from lending_pipelines.tables.schema import count, day
from lending_pipelines.tables.schema import money as amount
from lending_pipelines.tapes.parts import Part, TapeContext, month_later, with_columns

_SUMS = ("scheduled_principal", "scheduled_interest", "scheduled_fees", "scheduled_12m", "next_scheduled")


def _installments(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the fields of the schedule in force on the day."""
    loans_on_day = context.positions.select("loan_id", "oldest_due_on")
    every = context.read("installments")
    every = every.filter(every.effective_on <= context.day).semi_join(loans_on_day, "loan_id")
    in_force = every.group_by("loan_id").agg(in_force=every.version.max())
    rows = every.inner_join(in_force, "loan_id").filter(lambda t: t.version == t.in_force)
    rows = rows.inner_join(loans_on_day, "loan_id")
    year_end, *_, year_start = month_ends(context.day, 13)
    period = (rows.due_on >= context.day.replace(day=1)) & (rows.due_on <= context.day)
    year = (rows.due_on > year_start) & (rows.due_on <= year_end)
    coming = (rows.due_on > context.day) & (rows.due_on <= month_later(context.day))
    due = rows.principal + rows.interest
    # An installment of zero, as in a moratorium, has no due date.
    counts = due != 0
    settled = counts & (rows.due_on < ibis.coalesce(rows.oldest_due_on, ibis.literal(MAX_DATE)))
    sums = rows.group_by("loan_id").agg(
        scheduled_principal=rows.principal.sum(where=period),
        scheduled_interest=rows.interest.sum(where=period),
        scheduled_fees=rows.fees.sum(where=period),
        scheduled_12m=due.sum(where=year),
        next_scheduled=due.sum(where=coming),
        installments_remaining=as_count((counts & (rows.due_on > context.day)).cast("int64").sum()),
        settled_through=rows.due_on.max(where=settled),
    )
    sums = sums.mutate(**{name: money(ibis.coalesce(money(sums[name]), ZERO)) for name in _SUMS})
    original = every.filter(every.version == 1, every.number == 1)
    original = original.select("loan_id", original_payment=money(original.principal + original.interest))
    loans = with_columns(loans, original, "original_payment")
    loans = with_columns(loans, sums, *_SUMS, "installments_remaining", "settled_through")
    active = loans.status == "active"
    # After the principal is repaid, no installment falls due.
    owes_principal = loans.principal_outstanding > 0

    def while_active(value: ir.DecimalValue) -> ir.DecimalValue:
        return active.ifelse(value, NO_AMOUNT)

    return loans.mutate(
        period_scheduled_principal=while_active(loans.scheduled_principal),
        period_scheduled_interest=while_active(loans.scheduled_interest),
        period_scheduled=while_active(
            money(loans.scheduled_principal + loans.scheduled_interest + loans.scheduled_fees)
        ),
        scheduled_12m=while_active(loans.scheduled_12m),
        next_period_due=active.ifelse(
            money(loans.past_due_amount + owes_principal.ifelse(loans.next_scheduled, ZERO)), ZERO
        ),
        installments_remaining=(active & owes_principal).ifelse(loans.installments_remaining, 0),
        interest_paid_through=active.ifelse(
            ibis.coalesce(loans.settled_through, loans.disbursed_on), ibis.null("date")
        ),
    ).drop("scheduled_principal", "scheduled_interest", "scheduled_fees", "next_scheduled", "settled_through")


PART = Part(
    "installments",
    ("installments",),
    (
        amount(
            "original_payment", "principal and interest of the first installment of the first schedule", nullable=True
        ),
        amount("period_scheduled_principal", "principal scheduled in the period; null unless active", nullable=True),
        amount("period_scheduled_interest", "interest scheduled in the period; null unless active", nullable=True),
        amount(
            "period_scheduled",
            "principal, interest and fees scheduled in the period; null unless active",
            nullable=True,
        ),
        amount(
            "scheduled_12m",
            "principal and interest scheduled in the 12 months up to the last month end; null unless active",
            nullable=True,
        ),
        amount(
            "next_period_due", "past due amount plus the amount scheduled in the month after the day", nullable=True
        ),
        count("installments_remaining", "installments due after the day, not counting those of 0.00", nullable=True),
        day(
            "interest_paid_through",
            "due date of the last fully settled installment, or the disbursement date; null unless active",
            nullable=True,
        ),
    ),
    _installments,
)
