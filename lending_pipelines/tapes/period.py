"""The reporting period of a tape, from the first of the month to its day: opening balances and movements.

Amounts are differences of loan_positions' cumulative columns between the day and the previous month end, so consecutive
tapes add up. They are null for a loan that has no row on that month end although it was disbursed by then.
"""

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, money
from lending_pipelines.tables.schema import day, flag
from lending_pipelines.tables.schema import money as amount
from lending_pipelines.tapes.parts import POSITIONS, Part, TapeContext, with_columns

_MOVED = {
    "period_disbursed": "principal_disbursed",
    "period_capitalized": "principal_capitalized",
    "period_principal_paid": "principal_paid",
    "period_interest_paid": "interest_paid",
    "period_fees_paid": "fees_paid",
    "period_forgiven": "principal_forgiven",
    "period_charged_off": "principal_charged_off",
    "period_recovered": "recovered",
}
"""For each field, the cumulative column of loan_positions whose movement it is."""


def _period(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the opening balance and the movements of the reporting period."""
    first = context.day.replace(day=1)
    opening_on = first - timedelta(days=1)
    before = context.read(POSITIONS)
    before = before.filter(before.business_date == opening_on)
    cumulative = ("principal_outstanding", *_MOVED.values())
    before = before.select("loan_id", **{f"{name} before": before[name] for name in cumulative})
    loans = with_columns(loans, before, *(f"{name} before" for name in cumulative))
    began = (loans.disbursed_on > opening_on).ifelse(ZERO, NO_AMOUNT)
    was = {name: ibis.coalesce(loans[f"{name} before"], began) for name in cumulative}
    moved = {field: money(loans[name] - was[name]) for field, name in _MOVED.items()}
    loans = loans.mutate(
        period_begins_on=ibis.literal(first), period_opening_principal=was["principal_outstanding"], **moved
    ).drop(*(f"{name} before" for name in cumulative))
    idle = (loans.period_opening_principal == 0) & (loans.principal_outstanding == 0)
    for field in moved:
        idle = idle & (loans[field] == 0)
    return loans.mutate(
        period_paid=money(loans.period_principal_paid + loans.period_interest_paid + loans.period_fees_paid),
        period_other_adjustment=money(loans.period_capitalized - loans.period_forgiven),
        in_period=~idle.fill_null(False),
    )


PART = Part(
    "period",
    (),
    (
        day("period_begins_on", "the first day of the reporting period, the month up to the day"),
        amount("period_opening_principal", "principal outstanding before the period", nullable=True),
        amount("period_disbursed", "principal disbursed in the period", nullable=True),
        amount("period_capitalized", "interest and fees that became principal in the period", nullable=True),
        amount("period_principal_paid", "principal collected in the period", nullable=True),
        amount("period_interest_paid", "interest collected in the period", nullable=True),
        amount("period_fees_paid", "fees collected in the period", nullable=True),
        amount("period_paid", "principal, interest and fees collected in the period, recoveries apart", nullable=True),
        amount("period_forgiven", "principal forgiven in the period", nullable=True),
        amount("period_other_adjustment", "principal capitalized less principal forgiven in the period", nullable=True),
        amount("period_charged_off", "principal charged off in the period", nullable=True),
        amount("period_recovered", "recoveries after charge-off in the period", nullable=True),
        flag("in_period", "whether the loan had a balance before or after the period, or anything moved in it"),
    ),
    _period,
)
