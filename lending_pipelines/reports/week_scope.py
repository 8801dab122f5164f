"""The loans, managers and alerts that a weekly summary is about: those of the lender, or of one team leader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.reports.parameters import ALL
from lending_pipelines.reports.protocol import ReportSource

_STAFF = ("manager", "officer")
"""The kinds of alerts' subjects that are members of staff."""


@dataclass(frozen=True)
class WeekScope:
    """The loans, managers and alerts of a weekly summary, on all days.

    Attributes:
        name: The team leader; empty for the lender.
        team: The staff ids of the leader and the team; None for the lender.
        positions: loan_positions.
        snapshots: A row per day and currency with active_loans, total_outstanding, PAR and health.
        managers: manager_snapshots, with full_name and `manager`, the name and id.
        alerts: alert_log, with `subject`, its kind and id, and full_name if the subject is a member of staff.
    """

    name: str
    team: Sequence[str] | None
    positions: ir.Table
    snapshots: ir.Table
    managers: ir.Table
    alerts: ir.Table

    def loans_on(self, day: date) -> ir.Table:
        """The positions on all days of the loans that the scope has on a day."""
        if self.team is None:
            return self.positions
        on_day = self.positions.filter(self.positions.business_date == day, self.positions.officer_id.isin(self.team))
        return self.positions.semi_join(on_day, "loan_id")


def week_scope(source: ReportSource, leader: str, day: date, *, named: bool) -> WeekScope:
    """The scope of the lender, or of a team leader who has loans on the day.

    Args:
        source: The lake.
        leader: Staff id or name of a team leader, or ALL.
        day: The last day of the week.
        named: Whether `name` is the leader's name and id instead of the id alone.

    Raises:
        LendingError: No such team leader has loans on the day, or the name is not unique.
    """
    managers = source.table("manager_snapshots")
    staff = source.table("staff")
    names = staff.select("staff_id", "full_name")
    managers = managers.left_join(names, managers.manager_id == names.staff_id).drop("staff_id")
    printed = (managers.full_name + " (" + managers.manager_id + ")").fill_null(managers.manager_id)
    managers = managers.mutate(manager=printed)
    alerts = _with_subject(source.table("alert_log"), names)
    if leader.strip().upper() == ALL:
        snapshots = source.table("portfolio_snapshots")
        snapshots = snapshots.filter(snapshots.scope == "all")
        snapshots = snapshots.mutate(active_loans=snapshots.loan_count, total_outstanding=snapshots.total_balance)
        return WeekScope("", None, source.table("loan_positions"), snapshots, managers, alerts)
    leaders = managers.filter(managers.business_date == day, managers.role == "team_leader")
    found = _leader(leader, leaders, day)
    members = staff.filter(staff.team_leader_id == found["manager_id"]).staff_id.to_pyarrow().to_pylist()
    team = sorted({found["manager_id"], *members})
    return WeekScope(
        found["manager" if named else "manager_id"],
        team,
        source.table("loan_positions"),
        managers.filter(managers.manager_id == found["manager_id"]),
        managers.filter(managers.manager_id.isin(team)),
        _alerts_of(alerts, team, found["branch_id"]),
    )


def _with_subject(alerts: ir.Table, names: ir.Table) -> ir.Table:
    """The alerts with `subject`, its kind and id, and full_name if the subject is a member of staff."""
    rows = alerts.left_join(names, [alerts.subject_id == names.staff_id, alerts.subject_kind.isin(_STAFF)])
    subject = rows.subject_kind.replace("_", " ") + " " + rows.subject_id
    return rows.drop("staff_id").mutate(subject=(rows.subject_kind == "all").ifelse("all loans", subject))


def _leader(wanted: str, leaders: ir.Table, day: date) -> dict[str, str]:
    """The row of the team leader with this id or name."""
    rows = leaders.select("manager_id", "manager", "full_name", "branch_id").distinct().to_pyarrow().to_pylist()
    folded = wanted.strip().casefold()
    found = [row for row in rows if folded in (row["manager_id"].casefold(), (row["full_name"] or "").casefold())]
    ids = sorted(row["manager_id"] for row in found)
    if len(found) > 1:
        raise LendingError(f"leader name {wanted!r} is not unique: write one of the ids {', '.join(ids)}")
    if not found:
        known = [row["manager_id"] for row in rows]
        raise LendingError(f"no team leader {wanted!r} has loans on {day}; {did_you_mean(wanted, known)}")
    return found[0]


def _alerts_of(alerts: ir.Table, team: Sequence[str], branch: str | None) -> ir.Table:
    """The alerts on a team leader, the team, and their branch."""
    on_staff = alerts.subject_kind.isin(_STAFF) & alerts.subject_id.isin(list(team))
    if branch is None:
        return alerts.filter(on_staff)
    return alerts.filter(on_staff | ((alerts.subject_kind == "branch") & (alerts.subject_id == branch)))
