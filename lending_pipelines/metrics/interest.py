"""interest_earned by the convention interest_accrual: which of schedules.py and accruals.py counts, by status."""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import accruals, charge_offs, events, schedules, spells, timeline
from lending_pipelines.metrics.events import interest_settled
from lending_pipelines.metrics.money import ZERO, money, wide


def charged_off(
    effects: ir.Table,
    transactions: ir.Table,
    installments: ir.Table,
    loans: ir.Table,
    first: date,
    last: date,
    conventions: Conventions,
) -> ir.Table:
    """The level of charge-offs: charged_off_on, and for scheduled interest, earned_before_charge_off.

    Args:
        effects: The effects of charge-offs.
        transactions: The table transactions.
        installments: The table installments.
        loans: loan_id, disbursed_on.
        first: The first day.
        last: The last day.
        conventions: They choose the accrual.
    """
    level = charge_offs.level(effects, first, last)
    if conventions.interest_accrual != "scheduled":
        return level
    moments = effects.filter(effects.charged_off_on.notnull()).select("loan_id", "charged_off_on").distinct()
    moments = moments.mutate(at=timeline.as_date(moments.charged_off_on - ibis.interval(days=1)))
    earned = _earned_at(moments, transactions, installments, loans, last)
    return level.left_join(earned, ["loan_id", "charged_off_on"]).select(
        level.loan_id, level.on, level.charged_off_on, "earned_before_charge_off"
    )


def with_scheduled_interest(rows: ir.Table) -> ir.Table:
    """Add scheduled_interest, which `earned` needs if interest_accrual is "scheduled"."""
    return schedules.with_earned(rows, rows.business_date, ibis.coalesce(rows.drawn_on, rows.disbursed_on))


def earned(rows: ir.Table, conventions: Conventions) -> ir.DecimalColumn:
    """The interest earned by the convention interest_accrual."""
    pending, closed = (rows.status == "pending", ZERO), (rows.status == "closed", rows.interest_settled)
    match conventions.interest_accrual:
        case "servicer":
            return ibis.coalesce(rows.recorded_interest, ZERO)
        case "daily":
            return ibis.cases(pending, closed, else_=accruals.daily_interest(rows, conventions))
        case "scheduled":
            return ibis.cases(
                pending,
                closed,
                (rows.status == "charged_off", ibis.coalesce(rows.earned_before_charge_off, ZERO)),
                else_=_with_settled_before(rows),
            )


def _with_settled_before(rows: ir.Table) -> ir.DecimalColumn:
    """The interest earned since the drawing, plus the interest that a loan settled before it was drawn again."""
    since, before = rows.scheduled_interest, rows.settled_before_drawing
    return money(wide(ibis.coalesce(since, ZERO)) + ibis.coalesce(before, ZERO))


def _earned_at(
    moments: ir.Table, transactions: ir.Table, installments: ir.Table, loans: ir.Table, last: date
) -> ir.Table:
    """Add earned_before_charge_off to `moments` (loan_id, at ≤ last, …): the interest earned by the end of that day.

    Charge-offs are ignored: only disbursements and repayments count.
    """
    # Few loans. The name makes the engine compute the result once for both of its uses.
    installments_of_charged_off = installments.semi_join(moments, "loan_id").alias("installments_of_charged_off")
    versions = schedules.versions(installments_of_charged_off, timeline.MIN_DATE, last)
    paying = moments.select("loan_id", least=ZERO, most=ZERO, owing=ibis.literal(True)).distinct()
    reached = schedules.with_candidate_bounds(versions, paying, timeline.MIN_DATE, "schedules_of_charged_off")
    periods = schedules.periods(installments_of_charged_off, reached)
    signed = charge_offs.of_charged_off(transactions, last)
    signed = signed.filter(~signed.type.isin(events.CHARGE_OFFS))
    at_charge_off = spells.at(spells.spells(signed, last), moments)
    amounts = events.amounts_at(signed, moments.select("loan_id", "at"))
    due = spells.due_by(at_charge_off, versions, installments_of_charged_off)
    before_drawing = spells.due_before_drawing(at_charge_off, versions, installments_of_charged_off)
    at_charge_off = at_charge_off.inner_join(loans.select("loan_id", "disbursed_on"), "loan_id")
    at_charge_off = at_charge_off.mutate(begins_on=ibis.coalesce(at_charge_off.drawn_on, at_charge_off.disbursed_on))
    within = at_charge_off.inner_join(periods, "loan_id")
    within = within.filter(
        within.in_force_from <= within["at"],
        within.in_force_until > within["at"],
        ibis.coalesce(within.starts_on, within.disbursed_on) <= within["at"],
        within.due_on > within["at"],
    )
    within = within.left_join(due, ["loan_id", "version", "repaid_on"], rname="{name}_of_due")
    within = within.left_join(before_drawing, ["loan_id", "version", "drawn_on"], rname="{name}_of_drawing")
    within = schedules.with_earned(within, within["at"], within.begins_on)
    within = within.select("loan_id", "at", "due_when_repaid", earned=_with_settled_before(within))
    rows = moments.inner_join(amounts, ["loan_id", "at"]).left_join(within, ["loan_id", "at"])
    return rows.select(
        "loan_id",
        "charged_off_on",
        earned_before_charge_off=ibis.cases(
            (rows.principal_disbursed <= 0, ZERO),
            (spells.is_closed(rows), interest_settled(rows)),
            else_=ibis.coalesce(rows.earned, ZERO),
        ),
    )
