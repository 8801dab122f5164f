"""Checks of the tables that sum loan_positions: aging_buckets, aging_transitions, portfolio_snapshots."""

from datetime import timedelta
from functools import partial

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import TOLERANCE, by_scope, differences
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables
from lending_pipelines.conventions import Conventions
from lending_pipelines.tables.derived import TRANSITION_ENTRY

_SCOPE = ["business_date", "scope", "scope_id", "currency"]
_LONGEST_STEP = timedelta(days=31)
_PAR_DAYS = (30, 60, 90)


def total_checks(conventions: Conventions) -> tuple[Check, ...]:
    """The checks of the tables that sum positions."""
    return (
        DailyCheck(
            "aging_equals_positions",
            "aging_buckets",
            "loans, principal, past due amount and balance share of every bucket equal those of the active positions",
            ("aging_buckets", "loan_positions"),
            aging_unlike_positions,
            blocking=True,
        ),
        DailyCheck(
            "transition_rates_add_up",
            "aging_transitions",
            "the rates from each opening bucket add up to 1",
            ("aging_transitions",),
            rates_not_one,
            blocking=True,
        ),
        DailyCheck(
            "transitions_open_with_positions",
            "aging_transitions",
            "loans and principal of each opening bucket equal those of the active positions one step earlier",
            ("aging_transitions", "loan_positions", "closed_days"),
            partial(openings_unlike_positions, step=conventions.transition_step),
            blocking=True,
        ),
        DailyCheck(
            "snapshots_equal_positions",
            "portfolio_snapshots",
            "balances, counts, PAR and MOIC of every scope equal those of the positions",
            ("portfolio_snapshots", "loan_positions"),
            partial(snapshots_unlike_positions, par_operator=conventions.par_operator),
            blocking=True,
        ),
    )


def aging_unlike_positions(tables: Tables, days: Days) -> ir.Table:
    """Buckets of a scope whose totals differ from its active positions."""
    active = _active(days.rows(tables["loan_positions"]))
    expected = by_scope(active, ["bucket"], ["loan_count", "principal_outstanding", "past_due_amount"])
    scope_total = expected.principal_outstanding.sum().over(group_by=_SCOPE)
    expected = expected.mutate(balance_share=_ratio(expected.principal_outstanding, scope_total))
    return differences(
        expected,
        days.rows(tables["aging_buckets"]),
        [*_SCOPE, "bucket"],
        ["loan_count", "principal_outstanding", "past_due_amount", "balance_share"],
    )


def rates_not_one(tables: Tables, days: Days) -> ir.Table:
    """Opening buckets whose rates, by count or by balance, do not add up to 1."""
    rows = days.rows(tables["aging_transitions"])
    rows = rows.filter(rows.from_bucket != TRANSITION_ENTRY)
    sums = rows.group_by([*_SCOPE, "from_bucket"]).agg(
        count_rates=rows.count_rate.sum(),
        balance_rates=rows.balance_rate.sum(),
        opening_principal=rows.opening_principal.sum(),
    )
    count_off = ((sums.count_rates - 1).abs() > TOLERANCE).fill_null(True)
    balance_off = ((sums.balance_rates - 1).abs() > TOLERANCE).fill_null(True) & (sums.opening_principal != 0)
    return sums.filter(count_off | balance_off)


def openings_unlike_positions(tables: Tables, days: Days, *, step: str) -> ir.Table:
    """Opening buckets of a scope that differ from its active positions one transition step before the day."""
    positions = tables["loan_positions"]
    closed = days.rows(positions).select("business_date").distinct()
    closed = closed.mutate(from_date=_opening(closed.business_date, step).cast("date"))
    opening = positions.filter(positions.business_date.between(days.first - _LONGEST_STEP, days.last))
    opening = _active(opening.semi_join(closed, opening.business_date == closed.from_date))
    opening = by_scope(opening, ["bucket"], ["loan_count", "principal_outstanding"])
    opening = opening.rename(from_date="business_date", from_bucket="bucket", opening_principal="principal_outstanding")
    # An opening day that was thinned has no positions to compare with.
    recorded = tables["closed_days"]
    thinned = recorded.filter(recorded.table_name == "loan_positions", recorded.thinned_at.notnull())
    transitions = days.rows(tables["aging_transitions"])
    transitions = transitions.anti_join(thinned, [("from_date", "business_date")])
    return differences(
        closed.join(opening, "from_date"),
        transitions.filter(transitions.from_bucket != TRANSITION_ENTRY),
        [*_SCOPE, "from_date", "from_bucket"],
        ["loan_count", "opening_principal"],
    )


def snapshots_unlike_positions(tables: Tables, days: Days, *, par_operator: str) -> ir.Table:
    """Snapshots of a scope whose totals differ from its positions."""
    rows = days.rows(tables["loan_positions"])
    nothing = ibis.literal(0).cast("decimal(18, 2)")

    def late(days: int) -> ir.Value:
        at_risk = rows.days_past_due > days if par_operator == ">" else rows.days_past_due >= days
        return at_risk.ifelse(rows.principal_outstanding, nothing)

    rows = rows.mutate(
        total_balance=rows.principal_outstanding,
        delinquent_amount=(rows.days_past_due >= 1).ifelse(rows.principal_outstanding, nothing),
        loan_count=(rows.status == "active").cast("int64"),
        total_disbursed=rows.principal_disbursed,
        charged_off=rows.principal_charged_off,
        **{f"late_{days}": late(days) for days in _PAR_DAYS},
    )
    sums = [
        "total_balance",
        "interest_receivable",
        "delinquent_amount",
        "past_due_amount",
        "loan_count",
        "total_disbursed",
        "total_collected",
        "charged_off",
        "recovered",
    ]
    expected = by_scope(rows, [], [*sums, *(f"late_{days}" for days in _PAR_DAYS)])
    expected = expected.mutate(
        moic=_ratio(expected.total_collected, expected.total_disbursed),
        **{f"par_{days}": _ratio(expected[f"late_{days}"], expected.total_balance) for days in _PAR_DAYS},
    )
    snapshots = days.rows(tables["portfolio_snapshots"])
    return differences(expected, snapshots, _SCOPE, [*sums, "moic", *(f"par_{days}" for days in _PAR_DAYS)])


def _opening(day: ir.Value, step: str) -> ir.Value:
    """The day one transition step earlier; for a month end, the previous month end."""
    if step != "month":
        return day - (ibis.interval(weeks=1) if step == "week" else ibis.interval(days=1))
    month_end = (day + ibis.interval(days=1)).cast("date").day() == 1
    return month_end.ifelse(day.truncate("M") - ibis.interval(days=1), day - ibis.interval(months=1))


def _active(positions: ir.Table) -> ir.Table:
    return positions.filter(positions.status == "active").mutate(loan_count=ibis.literal(1, "int64"))


def _ratio(part: ir.Value, total: ir.Value) -> ir.Value:
    return part.cast("float64") / total.cast("float64").nullif(0)
