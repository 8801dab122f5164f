"""Collections: contacts of collectors, promises made and kept, and past due loans that became current again.

Each activity has its own table (`contacts`, `promises`, `cures`), so that missing data of a source is null, not zero.
`performance` sums them per collector and queue.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import instants, timeline
from lending_pipelines.metrics.delinquency import delinquent
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.parts import add_up
from lending_pipelines.metrics.ratios import ratio

MEASURES = (
    "contacts",
    "right_party_contacts",
    "promises",
    "promises_due",
    "promises_kept",
    "late_loans",
    "cured_loans",
)
"""The counts of `performance`."""

RATES = {
    "contact_rate": ("right_party_contacts", "contacts"),
    "ptp_rate": ("promises", "right_party_contacts"),
    "kept_rate": ("promises_kept", "promises_due"),
    "cure_rate": ("cured_loans", "late_loans"),
}
"""The numerator and denominator of each rate. Rates are fractions, and null if the denominator is 0."""

_WORKER = ("collector_id", "queue")
_ONE = ibis.literal(1, "int64")


def contacts(collection_contacts: ir.Table, first: date, last: date, timezone: str) -> ir.Table:
    """Contact attempts on the days first..last of the time zone, one row each. `performance` sums them.

    Returns:
        collector_id, queue, contacts (1), right_party_contacts (1 or 0).
    """
    made = collection_contacts.filter(instants.on_days(collection_contacts.contacted_at, first, last, timezone))
    return made.select(*_WORKER, contacts=_ONE, right_party_contacts=_flag(made.outcome == "right_party"))


def promises(promises_to_pay: ir.Table, first: date, last: date) -> ir.Table:
    """Promises made or due on the days first..last, one row each. `performance` sums them.

    Returns:
        collector_id, queue, and each 1 or 0: promises (made on these days), promises_due, and promises_kept (due on
        these days and kept by the last day).
    """
    made = promises_to_pay.promised_on.between(first, last)
    due = promises_to_pay.due_on.between(first, last)
    return promises_to_pay.filter(made | due).select(
        *_WORKER, promises=_flag(made), promises_due=_flag(due), promises_kept=_flag(due & _kept(promises_to_pay, last))
    )


def cures(collection_assignments: ir.Table, positions: ir.Table, opening: date, last: date) -> ir.Table:
    """Past due loans with a collector, and whether they became current again, one row each. `performance` sums them.

    Args:
        collection_assignments: The table collection_assignments.
        positions: loan_positions of both days.
        opening: The day at whose end the loans are assigned and past due.
        last: The day at whose end cured loans are active and not past due, as in the cure rates of aging_transitions.

    Returns:
        collector_id, queue, late_loans (1), cured_loans (1 or 0).
    """
    assigned = timeline.intervals(collection_assignments, "assigned_on", "released_on", _WORKER, opening, opening)
    late = positions.filter(positions.business_date == opening, delinquent(positions.days_past_due))
    current = positions.filter(
        positions.business_date == last, positions.status == "active", ~delinquent(positions.days_past_due)
    )
    cohort = assigned.filter(assigned.collector_id.notnull()).semi_join(late, "loan_id")
    after = cohort.left_join(current.select(current_loan="loan_id"), cohort.loan_id == current.loan_id)
    return after.select(*_WORKER, late_loans=_ONE, cured_loans=_flag(after.current_loan.notnull()))


def performance(work: Sequence[ir.Table], *by: str) -> ir.Table:
    """Sum MEASURES and compute RATES.

    Args:
        work: The results of `contacts`, `promises` and `cures`. The measures of a missing one are null.
        *by: collector_id, queue or both. Without any, the result is one row.
    """
    sums = add_up(work, dict.fromkeys(MEASURES, "int64"), *by)
    return sums.mutate(**{rate: ratio(sums[part], sums[of]) for rate, (part, of) in RATES.items()})


def promised_amounts(promises_to_pay: ir.Table, loans: ir.Table, first: date, last: date) -> ir.Table:
    """The promises due on the days first..last, and those of them kept by the last day, per currency of the loan.

    Returns:
        currency, promises_due, amount_due, promises_kept, amount_kept, and kept_amount_rate (amount_kept ÷ amount_due).
    """
    due = promises_to_pay.filter(promises_to_pay.due_on.between(first, last))
    due = due.left_join(loans.select("loan_id", "currency"), "loan_id")
    kept = _kept(due, last)
    sums = due.group_by("currency").agg(
        promises_due=due.count(),
        amount_due=money(due.amount.sum()),
        promises_kept=as_count(_flag(kept).sum()),
        amount_kept=money(ibis.coalesce(due.amount.sum(where=kept), ZERO)),
    )
    return sums.mutate(kept_amount_rate=ratio(sums.amount_kept, sums.amount_due))


def _kept(promises_to_pay: ir.Table, last: date) -> ir.BooleanColumn:
    """Whether each promise was kept by the last day."""
    return (promises_to_pay.kept_on <= last).fill_null(False)


def _flag(holds: ir.BooleanValue) -> ir.IntegerValue:
    """1 for true, 0 for false."""
    return holds.cast("int64")
