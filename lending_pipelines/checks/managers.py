"""Checks of manager_snapshots against loan_positions: each manager's totals, and all loans exactly once."""

from functools import partial

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import differences
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables
from lending_pipelines.conventions import Conventions

_UNASSIGNED = "unassigned"
_PAR_DAYS = (30, 60, 90)
_KEYS = ("business_date", "manager_id", "currency")
_TOTALS = ("total_loans", "total_disbursed", "total_outstanding", "total_collected")
_SUMS = ("active_loans", "total_loans", "defaulted_loans", "total_disbursed", "total_outstanding", "total_collected")


def manager_checks(conventions: Conventions) -> tuple[Check, ...]:
    """The checks of manager_snapshots."""
    return (
        DailyCheck(
            "managers_equal_positions",
            "manager_snapshots",
            "loans, amounts, defaults and PAR of every manager equal those of the positions; a team leader has the"
            " team's loans, and loans without an officer are unassigned",
            ("manager_snapshots", "loan_positions", "staff"),
            partial(managers_unlike_positions, conventions=conventions),
            blocking=True,
        ),
        DailyCheck(
            "managers_add_up",
            "manager_snapshots",
            "the loan officers, the own loans of team leaders and the unassigned loans add up to all positions",
            ("manager_snapshots", "loan_positions"),
            managers_not_adding_up,
            blocking=True,
        ),
    )


def managers_unlike_positions(tables: Tables, days: Days, *, conventions: Conventions) -> ir.Table:
    """Managers whose totals differ from the positions of their loans."""
    summed = (*_SUMS, *(f"late_{n}" for n in _PAR_DAYS))
    loans = _loans(days.rows(tables["loan_positions"]), conventions)
    officers = loans.group_by(_KEYS).agg(**{name: loans[name].sum() for name in summed})
    staff = tables["staff"]
    leads = staff.filter(staff.team_leader_id != staff.staff_id).select(member="staff_id", leader="team_leader_id")
    team = officers.join(leads, officers.manager_id == leads.member)
    both = officers.union(team.mutate(manager_id=team.leader).select(officers.columns))
    expected = both.group_by(_KEYS).agg(**{name: both[name].sum() for name in summed})
    whole = expected.total_outstanding.cast("float64").nullif(0)
    expected = expected.mutate(**{f"par_{n}": expected[f"late_{n}"].cast("float64") / whole for n in _PAR_DAYS})
    stored = days.rows(tables["manager_snapshots"])
    return differences(expected, stored, _KEYS, [*_SUMS, *(f"par_{n}" for n in _PAR_DAYS)])


def managers_not_adding_up(tables: Tables, days: Days) -> ir.Table:
    """Days and currencies on which the managers do not add up to all positions.

    The sum is over loan officers, unassigned loans and the own loans of team leaders.
    """
    stored = days.rows(tables["manager_snapshots"])
    leaders = stored.filter(stored.role == "team_leader").select("business_date", officer_id="manager_id").distinct()
    positions = days.rows(tables["loan_positions"])
    led = positions.semi_join(leaders, ["business_date", "officer_id"])
    others = stored.filter(stored.role != "team_leader").select("business_date", "currency", *_TOTALS)
    return differences(
        _totals(positions), others.union(_totals(led).select(others.columns)), ["business_date", "currency"], _TOTALS
    )


def _totals(positions: ir.Table) -> ir.Table:
    """The sums of the positions of each day and currency."""
    return positions.group_by("business_date", "currency").agg(
        total_loans=positions.count(),
        total_disbursed=positions.principal_disbursed.sum().cast("decimal(18, 2)"),
        total_outstanding=positions.principal_outstanding.sum().cast("decimal(18, 2)"),
        total_collected=positions.total_collected.sum().cast("decimal(18, 2)"),
    )


def _loans(positions: ir.Table, conventions: Conventions) -> ir.Table:
    """Each position with its manager and the values to sum."""
    nothing = ibis.literal(0).cast("decimal(18, 2)")
    charged_off, active = positions.status == "charged_off", positions.status == "active"

    def late(days: int) -> ir.Value:
        past = positions.days_past_due
        at_risk = past > days if conventions.par_operator == ">" else past >= days
        return at_risk.ifelse(positions.principal_outstanding, nothing)

    return positions.select(
        "business_date",
        "currency",
        manager_id=positions.officer_id.fill_null(_UNASSIGNED),
        active_loans=active.cast("int64"),
        total_loans=ibis.literal(1, "int64"),
        defaulted_loans=(charged_off | (active & (positions.days_past_due >= conventions.default_days))).cast("int64"),
        total_disbursed="principal_disbursed",
        total_outstanding="principal_outstanding",
        total_collected="total_collected",
        **{f"late_{n}": late(n) for n in _PAR_DAYS},
    )
