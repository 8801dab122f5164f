"""Movements (roll-forward): the change of principal outstanding from one day to a later day, by currency."""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import money, wide

FLOWS = {
    "disbursed": ("principal_disbursed", 1),
    "capitalized": ("principal_capitalized", 1),
    "repaid": ("principal_paid", -1),
    "charged_off": ("principal_charged_off", -1),
    "forgiven": ("principal_forgiven", -1),
}
"""The flows that change principal outstanding: the cumulative column of loan_positions, and its sign."""


def movements(positions: ir.Table, before: date, day: date) -> ir.Table:
    """The change of principal outstanding from the end of `before` to the end of `day`.

    Args:
        positions: loan_positions of both days.
        before: The opening day.
        day: The closing day.

    Returns:
        A row per currency: currency; opening and closing, the principal outstanding; disbursed, capitalized, repaid,
        charged_off and forgiven, each with the sign of its effect on the balance; opening_loans and closing_loans, the
        number of active loans; opening_past_due and closing_past_due.
    """
    opens, closes = positions.business_date == ibis.literal(before), positions.business_date == ibis.literal(day)

    def total(column: str, when: ir.BooleanValue) -> ir.DecimalValue:
        return wide(positions[column]).sum(where=when).fill_null(0)

    flows = {
        name: money((total(column, closes) - total(column, opens)) * sign) for name, (column, sign) in FLOWS.items()
    }
    sides = {"opening": opens, "closing": closes}
    return positions.group_by("currency").agg(
        **{name: money(total("principal_outstanding", when)) for name, when in sides.items()},
        **flows,
        **{f"{name}_loans": ((positions.status == "active") & when).sum() for name, when in sides.items()},
        **{f"{name}_past_due": money(total("past_due_amount", when)) for name, when in sides.items()},
    )
