"""loan_positions: every disbursed loan at the end of every day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import (
    accruals,
    charge_offs,
    delinquency,
    events,
    interest,
    pauses,
    schedules,
    scopes,
    spells,
    timeline,
)
from lending_pipelines.metrics.events import interest_settled, principal_outstanding
from lending_pipelines.metrics.modifications import latest_first
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, money, wide
from lending_pipelines.tables import DERIVED

SOURCES = (
    "loans",
    "installments",
    "transactions",
    "modifications",
    "officer_assignments",
    "delinquency_pauses",
    "products",
    "portfolio_membership",
    "loan_ownership",
)
"""The tables that positions are computed from under all conventions."""


def sources(conventions: Conventions) -> tuple[str, ...]:
    """The tables that positions are computed from under the conventions."""
    return (*SOURCES, "accruals") if conventions.interest_accrual == "servicer" else SOURCES


@dataclass(frozen=True)
class _Days:
    """The requested days first..last, and `since`, the day from which states must be computed for them."""

    first: date
    last: date
    since: date


def loan_positions(
    read: Callable[[str], ir.Table],
    first: date,
    last: date,
    conventions: Conventions,
    known_at: datetime | None = None,
) -> ir.Table:
    """The table loan_positions: one row per business_date and loan with disbursed_on ≤ the day.

    Args:
        read: Returns each of `sources` by name.
        first: The first day.
        last: The last day.
        conventions: The conventions of the run.
        known_at: Use only rows posted up to this time (UTC); by default all.

    Raises:
        AccrualInputError: The tables lack what the convention interest_accrual needs.
    """
    accruals.require_inputs(read, last, conventions)
    known = None if known_at is None else ibis.literal(known_at, "timestamp(6)")
    # Strict days past due depend on the first missed due date, and daily interest on all days before. So states are
    # computed from the start.
    from_start = conventions.dpd_method == "strict" or conventions.interest_accrual == "daily"
    since = timeline.MIN_DATE if from_start else first
    days = _Days(first, last, since)
    loans = _loans(read, days, known)
    transactions = events.known(read("transactions"), known)
    installments = events.known(read("installments"), known)

    effects = charge_offs.effects(transactions, last)
    amounts = events.amounts(charge_offs.counted(events.signed(transactions, last), effects), since, last)
    versions = schedules.versions(installments, since, last)
    unpaid = _loans_with_unpaid(amounts, versions)
    followed = ibis.union(unpaid, _drawn_on_other_days(loans, amounts), distinct=True)
    signed = events.signed(transactions, last, lambda rows: rows.semi_join(followed, "loan_id"))
    counted = charge_offs.counted(signed, effects.semi_join(followed, "loan_id"))
    spell = spells.level(spells.spells(counted, last), since)
    due = spells.due_by(spell, versions, installments)
    before_drawing = spells.due_before_drawing(spell, versions, installments)
    candidate_installments = _candidate_installments(installments, amounts, versions, unpaid, days)
    levels = {
        "amounts": amounts,
        "payment": events.last_payments(transactions, amounts, since, last),
        "charge_off": interest.charged_off(effects, transactions, installments, loans, since, last, conventions),
        "spell": spell,
        "period": schedules.current(candidate_installments),
        "rate": _rates(events.known(read("modifications"), known), days),
        **_assignments(read, days),
    }
    if conventions.interest_accrual == "servicer":
        levels["accrual"] = accruals.recorded(events.known(read("accruals"), known), since, last)
    states = timeline.states(loans, levels, since, last)
    spans = _spans(states, due, before_drawing, candidate_installments, conventions)
    paused = events.known(read("delinquency_pauses"), known)
    if conventions.interest_accrual == "daily":
        spans = accruals.with_daily(spans, paused, last, conventions)
    if since < first:
        spans = spans.filter(spans.until > first).mutate(on=ibis.greatest(spans.on, ibis.literal(first)))
    return _positions(pauses.with_paused_days(timeline.days(spans), paused), conventions)


def assigned(read: Callable[[str], ir.Table], first: date, last: date) -> ir.Table:
    """The portfolio, investor and officer of each loan over the days first..last.

    Returns:
        loan_id, on, until, portfolio_id, investor_id, officer_id. A row is a span of days [on, until) on which
        loan_positions has these values. `read` returns each of SOURCES by name.
    """
    days = _Days(first, last, first)
    spans = timeline.states(_loans(read, days, None), _assignments(read, days), first, last)
    return spans.select("loan_id", "on", "until", "portfolio_id", "investor_id", officer_id=_officer_id(spans))


def _assignments(read: Callable[[str], ir.Table], days: _Days) -> dict[str, ir.Table]:
    """The levels of officer, portfolio and investor."""
    membership, ownership = read("portfolio_membership"), read("loan_ownership")
    span = (days.since, days.last)
    return {
        "officer": _officers(read("officer_assignments"), days),
        "portfolio": timeline.intervals(membership, "assigned_on", "removed_on", ["portfolio_id"], *span),
        "investor": timeline.intervals(ownership, "assigned_on", "removed_on", ["investor_id"], *span),
    }


def _officer_id(rows: ir.Table) -> ir.StringColumn:
    """The assigned officer; before the first assignment, the officer of the table loans."""
    return rows.officer_known.fill_null(False).ifelse(rows.officer_id, rows.contract_officer_id)


def _loans(read: Callable[[str], ir.Table], days: _Days, known: ir.TimestampScalar | None) -> ir.Table:
    """The loans disbursed by the last day, with the attributes that do not change and the terms at origination."""
    loans = events.known(read("loans"), known)
    programs = read("products").select("product_id", "program_id")
    loans = loans.filter(loans.disbursed_on <= days.last).left_join(programs, "product_id")
    return loans.select(
        "loan_id",
        "program_id",
        "product_id",
        "branch_id",
        "borrower_id",
        "currency",
        "disbursed_on",
        "matures_on",
        "payment_frequency",
        "day_count",
        contract_officer_id="officer_id",
        contract_rate="annual_rate",
        begins_on="disbursed_on",
        vintage=scopes.vintage(loans.disbursed_on),
    )


def _loans_with_unpaid(amounts: ir.Table, versions: ir.Table) -> ir.Table:
    """Loans with repaid principal that have settled less than the amount due of one of their schedules (loan_id)."""
    repaid = amounts.filter(principal_outstanding(amounts) <= 0, amounts.principal_charged_off <= 0)
    repaid = repaid.group_by("loan_id").agg(settled=events.settled(repaid).min())
    both = repaid.inner_join(versions.group_by("loan_id").agg(due=versions.due_through.max()), "loan_id")
    return both.filter(both.due > ibis.greatest(both.settled, ZERO)).select("loan_id")


def _drawn_on_other_days(loans: ir.Table, amounts: ir.Table) -> ir.Table:
    """Loans with a first or last disbursement on another day than disbursed_on (loan_id)."""
    drawn = amounts.group_by("loan_id").agg(first=amounts.drawn_first.min(), last=amounts.drawn_last.max())
    drawn = drawn.inner_join(loans.select("loan_id", "disbursed_on"), "loan_id")
    return drawn.filter((drawn["first"] != drawn.disbursed_on) | (drawn["last"] != drawn.disbursed_on)).select(
        "loan_id"
    )


def _candidate_installments(
    installments: ir.Table, amounts: ir.Table, versions: ir.Table, unpaid: ir.Table, days: _Days
) -> ir.Table:
    """The installment periods that matter on the days: `schedules.candidate_installments` with its inputs."""
    # A loan has installments to pay if principal is outstanding, or if it was repaid but still owes interest.
    rows = amounts.mutate(
        settled=ibis.greatest(events.settled(amounts), ZERO), owing=principal_outstanding(amounts) > 0
    )
    rows = ibis.union(rows.filter(rows.owing), rows.filter(~rows.owing).semi_join(unpaid, "loan_id"))
    bounds = rows.group_by("loan_id").agg(least=rows.settled.min(), most=rows.settled.max(), owing=rows.owing.any())
    reached = schedules.with_candidate_bounds(versions, bounds, days.since, "schedules_of_all")
    return schedules.candidate_installments(schedules.periods(installments, reached), days.since, days.last)


def _rates(modifications: ir.Table, days: _Days) -> ir.Table:
    """The level of annual rates set by modifications. Before the first one, its before_rate is in force."""
    changes = modifications.filter(
        modifications.after_rate.notnull(),
        modifications.before_rate.isnull() | (modifications.before_rate != modifications.after_rate),
    )
    last_of_day = changes.mutate(rank=latest_first(changes, "effective_on")).filter(lambda t: t.rank == 0)
    first_of_loan = changes.mutate(
        rank=ibis.row_number().over(
            ibis.window(group_by="loan_id", order_by=["effective_on", "posted_at", "modification_id"])
        )
    ).filter(lambda t: t.rank == 0)
    rates = ibis.union(
        last_of_day.select("loan_id", starts_on="effective_on", modified_rate="after_rate"),
        first_of_loan.select("loan_id", starts_on=ibis.literal(timeline.MIN_DATE), modified_rate="before_rate"),
    )
    return timeline.intervals(rates, "starts_on", None, ["modified_rate"], days.since, days.last)


def _officers(assignments: ir.Table, days: _Days) -> ir.Table:
    """The level of assigned officers. `officer_known` is true from the first assignment on, also without an officer."""
    level = timeline.intervals(assignments, "assigned_on", "released_on", ["officer_id"], days.since, days.last)
    return level.mutate(officer_known=ibis.literal(True))


def _spans(
    states: ir.Table,
    due: ir.Table,
    before_drawing: ir.Table,
    candidate_installments: ir.Table,
    conventions: Conventions,
) -> ir.Table:
    """Add the values that are equal on every day of a span: amounts owed, status, and the start of delinquency."""
    summed = (*events.AMOUNTS, "due_before", "principal_before")
    others = [name for name in states.columns if name not in summed]
    rows = states.left_join(due, ["loan_id", "version", "repaid_on"], rname="{name}_of_due")
    rows = rows.left_join(before_drawing, ["loan_id", "version", "drawn_on"], rname="{name}_of_drawing")
    rows = rows.select(
        *others,
        "due_when_repaid",
        "principal_when_repaid",
        "interest_before_drawing",
        **{name: ibis.coalesce(states[name], ZERO) for name in summed},
    )
    status = ibis.cases(
        (rows.principal_disbursed <= 0, "pending"),
        (rows.charged_off_on.notnull(), "charged_off"),
        (spells.is_closed(rows), "closed"),
        else_="active",
    )
    rows = rows.mutate(
        principal_outstanding=principal_outstanding(rows),
        settled=events.settled(rows),
        interest_settled=interest_settled(rows),
        annual_rate=ibis.coalesce(rows.modified_rate, rows.contract_rate),
        status=status,
        active=status == "active",
    )
    # An active loan with repaid principal owes interest due by then, and nothing of later installments.
    owes_interest = rows.active & rows.repaid_on.notnull()
    rows = rows.mutate(
        owes_interest=owes_interest,
        scheduled_due=owes_interest.ifelse(rows.due_when_repaid, rows.due_before),
        scheduled_principal=owes_interest.ifelse(rows.principal_when_repaid, rows.principal_before),
    )
    payable_by = ibis.greatest(rows.settled, ZERO)
    past_due_amount = rows.active.ifelse(ibis.greatest(money(rows.scheduled_due - payable_by), ZERO), ZERO)
    principal_due = ibis.greatest(
        money(wide(rows.scheduled_principal) - rows.principal_paid - rows.principal_forgiven), ZERO
    )
    paying = rows.filter(rows.active).select("loan_id", "version", "on", settled=payable_by)
    oldest = schedules.oldest_due(candidate_installments, paying)
    joined = rows.left_join(oldest, ["loan_id", "on"], rname="{name}_of_oldest")
    rows = joined.select(
        *rows.columns,
        "oldest_due_on",
        past_due_amount=past_due_amount,
        past_due_principal=ibis.least(past_due_amount, principal_due),
    )
    return delinquency.late_since(rows, conventions)


def _positions(rows: ir.Table, conventions: Conventions) -> ir.Table:
    """Add the columns that change daily, and convert to the table's columns and types."""
    if conventions.interest_accrual == "scheduled":
        rows = interest.with_scheduled_interest(rows)
    late = delinquency.days_past_due(rows.business_date, rows.late_since, rows.paused_days, conventions)
    rows = rows.mutate(
        interest_earned=interest.earned(rows, conventions),
        days_past_due=rows.active.ifelse(late, 0),
        next_due_on=(rows.active & ~rows.owes_interest & (rows.due_on < timeline.MAX_DATE)).ifelse(
            rows.due_on, ibis.null("date")
        ),
    )
    added = {
        "officer_id": _officer_id(rows),
        "past_due_interest": money(rows.past_due_amount - rows.past_due_principal),
        "bucket": delinquency.bucket(rows.days_past_due, conventions),
        "non_accrual": rows.active & (rows.days_past_due >= conventions.non_accrual_days),
        "interest_receivable": rows.active.ifelse(
            ibis.greatest(money(rows.interest_earned - rows.interest_settled), ZERO), ZERO
        ),
        "total_collected": money(wide(rows.principal_paid) + rows.interest_paid + rows.fees_paid + rows.recovered),
        "next_due_amount": rows.next_due_on.notnull().ifelse(rows.due, NO_AMOUNT),
    }
    table = DERIVED["loan_positions"]
    return rows.select(**{name: added.get(name, name) for name in table.names}).cast(table.schema)
