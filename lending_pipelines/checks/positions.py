"""Checks of loan_positions: complete rows, roll-forward, amounts as in the transactions, consistent status and aging.

Tables that sum positions (aging, snapshots) are checked in totals.py.
"""

from datetime import date
from functools import partial

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import any_of, broken, differences, each_day
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables
from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import charge_offs, instants
from lending_pipelines.metrics.money import wide
from lending_pipelines.metrics.timeline import MAX_DATE

PARTS = (
    "principal_disbursed",
    "principal_capitalized",
    "principal_paid",
    "interest_paid",
    "fees_paid",
    "principal_charged_off",
    "principal_forgiven",
    "recovered",
    "total_collected",
)
"""The sums of transactions. All but total_collected follow the rule on charge-offs of metrics/charge_offs.py."""

_MEASURES = (*PARTS, "principal_outstanding")


def position_checks(conventions: Conventions) -> tuple[Check, ...]:
    """The checks of loan_positions."""
    return (
        DailyCheck(
            "positions_complete",
            "loan_positions",
            "every loan disbursed by a day has exactly one row on that day, and no other loan has a row",
            ("loan_positions", "loans", "closed_days"),
            partial(incomplete, timezone=conventions.timezone),
            blocking=True,
        ),
        DailyCheck(
            "roll_forward",
            "loan_positions",
            "disbursed + capitalized − paid − charged off − forgiven = principal outstanding, and the components of "
            "total_collected add up to it",
            ("loan_positions",),
            not_rolling_forward,
            blocking=True,
        ),
        DailyCheck(
            "positions_equal_transactions",
            "loan_positions",
            "every loan's amounts on every day equal the sum of its transactions up to that day, as known at the "
            "close. total_collected is summed from the transactions alone; how much a charge-off takes, and what "
            "counts as recovered after it, is computed by the rule of the positions and not checked independently",
            ("loan_positions", "loans", "transactions", "closed_days"),
            partial(unlike_transactions, timezone=conventions.timezone),
            blocking=True,
        ),
        DailyCheck(
            "positions_consistent",
            "loan_positions",
            "status, past due amounts, days past due, bucket and non-accrual are consistent with each other",
            ("loan_positions", "delinquency_pauses"),
            partial(inconsistent, conventions=conventions),
            blocking=True,
        ),
    )


def incomplete(tables: Tables, days: Days, *, timezone: str) -> ir.Table:
    """Loans and days without a row, with several rows, or with a row that should not exist.

    A loan posted after the day was closed does not count as missing: its transactions are a restatement.
    """
    positions = days.rows(tables["loan_positions"])
    due = _disbursed(tables["loans"], days)
    if days.consecutive:
        # Count days per loan first, so that only wrong loans are compared day by day.
        spent = _days_between(due.since, days.last) + 1
        suspects = differences(
            due.select("loan_id", rows=spent, days=spent),
            positions.group_by("loan_id").agg(rows=positions.count(), days=positions.business_date.nunique()),
            ["loan_id"],
            ["rows", "days"],
        )
        due, positions = due.semi_join(suspects, "loan_id"), positions.semi_join(suspects, "loan_id")
    wrong = differences(
        each_day(due.mutate(until=ibis.literal(days.last)), days).mutate(rows=ibis.literal(1)),
        positions.select("business_date", "loan_id", rows=ibis.literal(1)),
        ["business_date", "loan_id"],
        ["rows"],
    )
    loans = tables["loans"].select("loan_id", "posted_at")
    known = wrong.left_join(loans, "loan_id").drop("loan_id_right")
    known = known.join(_closes(tables["closed_days"], days, timezone), "business_date")
    late = known.stored_rows.isnull() & (known.posted_at > known.closes_at)
    return known.filter(~late.fill_null(False)).drop("posted_at", "closes_at")


def not_rolling_forward(tables: Tables, days: Days) -> ir.Table:
    """Rows whose parts do not add up to principal_outstanding, or components to total_collected."""
    rows = days.rows(tables["loan_positions"])
    rolled = _rolled(rows)
    collected = wide(rows.principal_paid) + rows.interest_paid + rows.fees_paid + rows.recovered
    rows = rows.select("business_date", "loan_id", *_MEASURES, rolled_forward=rolled, collected_parts=collected)
    return rows.filter(
        broken(rows.rolled_forward != rows.principal_outstanding, rows.collected_parts != rows.total_collected)
    )


def unlike_transactions(tables: Tables, days: Days, *, timezone: str) -> ir.Table:
    """Loans and days whose amounts differ from the signed sum of the transactions up to the day.

    Days with a transaction posted after the close are left out: restatements.py reports those.
    """
    positions = days.rows(tables["loan_positions"])
    transactions = tables["transactions"]
    transactions = transactions.filter(transactions.effective_on <= ibis.literal(days.last))
    spells = _spells(transactions, _disbursed(tables["loans"], days), days.last)
    if days.consecutive:
        suspects = _suspect_loans(spells, positions, days.first)
        spells, positions = spells.semi_join(suspects, "loan_id"), positions.semi_join(suspects, "loan_id")
    wrong = differences(each_day(spells, days), positions, ["business_date", "loan_id"], list(_MEASURES))
    posted = transactions.select("loan_id", "effective_on", "posted_at")
    wrong = wrong.join(_closes(tables["closed_days"], days, timezone), "business_date")
    unexcused = wrong.anti_join(
        posted,
        [
            wrong.loan_id == posted.loan_id,
            posted.effective_on <= wrong.business_date,
            posted.posted_at > wrong.closes_at,
        ],
    )
    return unexcused.drop("closes_at")


def _suspect_loans(spells: ir.Table, positions: ir.Table, first: date) -> ir.Table:
    """The loans whose positions have other amounts, or the same amounts on other days, than their spells.

    For each loan and set of amounts, the number of days and twice the sum of the day numbers are compared. This is
    faster than comparing every day; only the loans found here are then compared day by day.
    """
    which = ["loan_id", *_MEASURES]
    days = _days_between(spells.since, spells.until) + 1
    offsets = _days_between(ibis.literal(first), spells.since) + _days_between(ibis.literal(first), spells.until)
    spent = spells.select(*which, days=days, place=days * offsets)
    place = _days_between(ibis.literal(first), positions.business_date) * 2
    per_state = differences(spent, positions.select(*which, days=1, place=place), which, ["days", "place"])
    return per_state.select("loan_id").distinct()


def inconsistent(tables: Tables, days: Days, *, conventions: Conventions) -> ir.Table:
    """Rows that break a rule on status or aging; `broken` names the rules."""
    paused = tables["delinquency_pauses"].select("loan_id").distinct().mutate(paused=ibis.literal(True))
    rows = days.rows(tables["loan_positions"]).left_join(paused, "loan_id", rname="{name}_paused")
    rows = rows.mutate(paused=rows.paused.fill_null(False))
    active = rows.status == "active"
    ages = (rows.business_date.delta(rows.oldest_due_on, unit="day")).fill_null(0)
    age = ibis.greatest(ages, 0)
    shortfall = ibis.greatest(wide(rows.scheduled_due) - ibis.greatest(rows.settled, 0), 0)
    principal_owed = wide(rows.principal_disbursed) + rows.principal_capitalized
    overpaid = wide(rows.principal_paid) + rows.principal_forgiven > principal_owed
    aged = any_of(
        rows[name] != 0
        for name in (
            "days_past_due",
            "past_due_amount",
            "past_due_principal",
            "past_due_interest",
            "interest_receivable",
        )
    )
    rules = {
        "row before disbursement": rows.disbursed_on > rows.business_date,
        "pending does not match principal disbursed": (rows.status == "pending") != (rows.principal_disbursed <= 0),
        "active without an amount owed": active & (rows.principal_outstanding <= 0) & (rows.past_due_amount <= 0),
        "closed with principal outstanding": (rows.status == "closed") & (rows.principal_outstanding > 0),
        "charged off with principal outstanding": (rows.status == "charged_off") & (rows.principal_outstanding > 0),
        "charged off without status charged_off": ~rows.status.isin(("charged_off", "pending"))
        & (rows.principal_charged_off != 0)
        & (rows.principal_outstanding <= 0),
        "negative principal outstanding without overpayment": (rows.principal_outstanding < 0) & ~overpaid,
        "past due but not active": ~active & aged,
        "past due parts do not add up": (rows.past_due_principal + rows.past_due_interest != rows.past_due_amount)
        | (rows.past_due_principal < 0)
        | (rows.past_due_interest < 0),
        "wrong past due amount": active & (rows.past_due_amount != shortfall),
        "days past due without past due amount": (rows.days_past_due > 0) & (rows.past_due_amount <= 0),
        "past due without oldest due date": active
        & (rows.past_due_amount > 0)
        & ~(rows.oldest_due_on <= rows.business_date).fill_null(False),
        "bucket": rows.bucket != _bucket(rows.days_past_due, conventions),
        "non-accrual": rows.non_accrual != (active & (rows.days_past_due >= conventions.non_accrual_days)),
    }
    if conventions.delinquency_method == "MBA":
        wrong = rows.days_past_due != age if conventions.dpd_method == "rolling" else rows.days_past_due < age
        if conventions.paused_days == "stand_still":
            # A pause only reduces the days past due.
            wrong = rows.paused.ifelse(rows.days_past_due > age, wrong)
        rules["wrong days past due"] = active & wrong
    names = sum((broken(rule).ifelse(f"{name}; ", "") for name, rule in rules.items()), ibis.literal(""))
    rows = rows.select(
        "business_date",
        "loan_id",
        "status",
        "principal_outstanding",
        "scheduled_due",
        "settled",
        "past_due_amount",
        "past_due_principal",
        "past_due_interest",
        "oldest_due_on",
        "days_past_due",
        "bucket",
        "non_accrual",
        broken=names,
    )
    return rows.filter(rows["broken"] != "")


def _disbursed(loans: ir.Table, days: Days) -> ir.Table:
    """The loans disbursed by the last of the days, and the first of the days on which each loan needs a row."""
    loans = loans.filter(loans.disbursed_on <= ibis.literal(days.last))
    return loans.select("loan_id", since=ibis.greatest(loans.disbursed_on, ibis.literal(days.first)))


def _spells(transactions: ir.Table, due: ir.Table, last: date) -> ir.Table:
    """Each loan's amounts from its transactions, as spells of days [since, until] without a change."""
    moves = movements(transactions).join(due, "loan_id")
    moves = moves.mutate(since=ibis.greatest(moves.effective_on, moves.since))
    start = due.mutate(**{part: ibis.literal(0).cast("decimal(38, 2)") for part in PARTS})
    events = moves.select("loan_id", "since", *PARTS).union(start.select("loan_id", "since", *PARTS))
    steps = events.group_by(["loan_id", "since"]).agg(
        **{part: events[part].sum().cast("decimal(38, 2)") for part in PARTS}
    )
    running = ibis.window(group_by="loan_id", order_by="since", following=0)
    following = ibis.window(group_by="loan_id", order_by="since")
    spells = steps.select(
        "loan_id",
        "since",
        until=(steps.since.lead().over(following) - ibis.interval(days=1)).cast("date"),
        **{part: steps[part].sum().over(running).cast("decimal(18, 2)") for part in PARTS},
    )
    return spells.mutate(
        until=spells.until.fill_null(ibis.literal(last)), principal_outstanding=_rolled(spells).cast("decimal(18, 2)")
    )


def movements(transactions: ir.Table) -> ir.Table:
    """The effect of each transaction on each part of its loan's position; a reversal has the opposite effect.

    The effects of charge-offs come from the same code as the positions.
    """
    columns = ["loan_id", "effective_on", "principal", "interest", "fees"]
    links = transactions.select(root="transaction_id", type="type", below="reverses_id")
    signed = [transactions.filter(transactions.type != "reversal").select(*columns, "type", sign=ibis.literal(1))]
    level = transactions.filter(transactions.type == "reversal").select(*columns, below="reverses_id")
    # A reversed reversal restores the transaction. Another check rejects longer chains.
    for sign in (-1, 1):
        level = level.join(links, level.below == links.root).select(*columns, "type", below="below_right")
        signed.append(level.filter(level.type != "reversal").select(*columns, "type", sign=ibis.literal(sign)))
        level = level.filter(level.type == "reversal").drop("type")
    signed = ibis.union(*signed)

    def total(component: ir.Value, plus: tuple[str, ...], minus: tuple[str, ...] = ()) -> ir.Value:
        weight = ibis.cases((signed.type.isin(plus), signed.sign), (signed.type.isin(minus), -signed.sign), else_=0)
        return (component * weight).cast("decimal(38, 2)")

    paid, refunded = ("repayment",), ("refund",)
    moves = signed.select(
        "loan_id",
        "effective_on",
        principal_disbursed=total(signed.principal, ("disbursement",)),
        principal_capitalized=total(signed.interest + signed.fees, ("capitalization",)),
        principal_paid=total(signed.principal, paid, refunded),
        interest_paid=total(signed.interest, paid, refunded),
        fees_paid=total(signed.fees, paid, refunded),
        principal_charged_off=total(signed.principal, ("charge_off", "write_off")),
        principal_forgiven=total(signed.principal, ("waiver",)),
        recovered=total(signed.principal + signed.interest + signed.fees, ("recovery",)),
        total_collected=total(signed.principal + signed.interest + signed.fees, ("repayment", "recovery"), refunded),
    )
    effects = charge_offs.effects(transactions, MAX_DATE)
    changed = {
        "principal_paid": -effects.principal,
        "interest_paid": -effects.interest,
        "fees_paid": -effects.fees,
        "principal_charged_off": -effects.not_taken,
        "recovered": wide(effects.principal) + effects.interest + effects.fees,
    }
    none = ibis.literal(0).cast("decimal(38, 2)")
    parts = {part: changed[part].cast("decimal(38, 2)") if part in changed else none for part in PARTS}
    return moves.union(effects.select("loan_id", effective_on="on", **parts).select(*moves.columns))


def _rolled(rows: ir.Table) -> ir.Value:
    return (
        wide(rows.principal_disbursed)
        + rows.principal_capitalized
        - rows.principal_paid
        - rows.principal_charged_off
        - rows.principal_forgiven
    )


def _days_between(start: ir.Value, end: ir.Value | date) -> ir.Value:
    end = ibis.literal(end) if isinstance(end, date) else end
    return end.delta(start, unit="day")


def _closes(closed_days: ir.Table, days: Days, timezone: str) -> ir.Table:
    """business_date and closes_at: rows posted later than closes_at need not be in the day's positions.

    closes_at is the end of the day in the lender's time zone, or the latest time known at the close if that is earlier.
    """
    ends = instants.calendar(days.dates, timezone)
    known = closed_days.filter(closed_days.table_name == "loan_positions")
    known = known.select(recorded_date="business_date", known_until="known_until")
    ends = ends.left_join(known, ends.business_date == known.recorded_date)
    return ends.select(
        "business_date", closes_at=ibis.least(ibis.coalesce(ends.known_until, ends.ends_at), ends.ends_at)
    )


def _bucket(days_past_due: ir.Value, conventions: Conventions) -> ir.Value:
    *inner, last = conventions.buckets
    tests = ((days_past_due < edge, label) for edge, label in zip(conventions.bucket_edges, inner, strict=True))
    return ibis.cases(*tests, else_=last)
