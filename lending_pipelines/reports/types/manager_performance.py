"""manager_performance: the loans, clients and health of loan officers and team leaders, over a period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.metrics.managers import UNASSIGNED, with_leaders
from lending_pipelines.reports import columns, headlines, health_tables, in_period, scopes
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.health_tables import ComparedRows, SubjectRows
from lending_pipelines.reports.parameters import ALL, InPeriod, PersonalData
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables import TABLES

_SNAPSHOTS = "manager_snapshots"
_NAME = columns.lake_column("staff", "full_name", "Manager")
_SUBJECT = (*columns.lake_columns(_SNAPSHOTS, "manager_id"), _NAME, *columns.lake_columns(_SNAPSHOTS, "currency"))
_MANAGERS = (
    health_tables.RANK,
    *columns.lake_columns(_SNAPSHOTS, "manager_id"),
    _NAME,
    *columns.lake_columns(_SNAPSHOTS, "role", "branch_id", "currency", "active_loans", "active_clients"),
    *columns.lake_columns(_SNAPSHOTS, "total_outstanding", "total_collected", "par_30", "par_90"),
    *health_tables.HEALTH,
)
DAYS = (
    *columns.lake_columns(_SNAPSHOTS, "business_date", "manager_id"),
    _NAME,
    *columns.lake_columns(
        _SNAPSHOTS, *(name for name in TABLES[_SNAPSHOTS].names if name not in ("business_date", "manager_id"))
    ),
)
_CATEGORIES = (
    *columns.lake_columns(_SNAPSHOTS, "currency", "role", "health_category"),
    ReportColumn("managers", "Managers", "count"),
    *columns.lake_columns(_SNAPSHOTS, "active_loans", "total_outstanding"),
)
_NOTES = (
    "Rank 1 is the healthiest of the same role and currency. The least healthy manager is listed first;"
    " managers without active loans are last.",
    "A team leader's row includes the loans of the team. Totals count each loan once.",
    health_tables.BLANK,
)


class ManagerPerformanceParameters(PersonalData, InPeriod):
    """The form of manager_performance."""

    manager: str = Field(ALL, description="Staff id or name of one manager, or ALL.")
    role: Literal["ALL", "loan_officer", "team_leader", "unassigned"] = Field(
        "ALL",
        description="loan_officer, team_leader, unassigned or ALL. A team leader's row includes the team's loans.",
    )
    branch: str = Field(ALL, description="Branch id of the managers, or ALL.")
    contents: Literal["report", "days"] = Field(
        "report",
        description="report: the report; days: one table with a row for each manager and closed day of the period,"
        " for a single CSV file.",
    )


class ManagerPerformance:
    """Prints manager_snapshots, beside the branches of portfolio_snapshots and the previous period."""

    report_type = "manager_performance"
    title = "Manager performance"
    description = "Clients, balances, delinquency and health of loan officers and team leaders over a period."
    reads = (_SNAPSHOTS, "portfolio_snapshots", "loan_positions", "loans", "staff")
    parameters = ManagerPerformanceParameters

    def covers(self, parameters: ManagerPerformanceParameters, source: ReportSource) -> list[date]:
        """The closed days of the period, and the days that it is compared with."""
        period = in_period.period_of(parameters, source, self.reads)
        trend = in_period.closed_between(source, period.first, period.last)
        if parameters.contents == "days":
            return trend
        return sorted({*trend, *health_tables.compared_days(source, period)})

    def generate(self, parameters: ManagerPerformanceParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed, or there is no such manager."""
        period = in_period.period_of(parameters, source, self.reads)
        snapshots = _named(source)
        manager = _manager(parameters, source, snapshots, period.last)
        chosen = _chosen(parameters, manager, snapshots)
        about = f"{parameters.manager}, {period.display}" if _names_one_manager(parameters) else period.display
        none = f"{manager} has no loans" if manager else "no such manager has loans"
        if parameters.contents == "days":
            tables: Sequence[ReportTable] = [_days(chosen, period, none)]
            return report_book(self, parameters, source, period.last, about, tables)
        none += f" on {period.last}"
        today = health_tables.ranked(snapshots.filter(snapshots.business_date == period.last), "role")
        today = _chosen(parameters, manager, today)
        today = today.mutate(idle=today.active_loans == 0)
        subjects = SubjectRows(today, _SUBJECT, ("currency", "idle", "health_score", "manager_id"), none)
        loans = _loans(source)
        totals = _totals(loans, today, period.last)
        managers = in_period.table("Managers", _MANAGERS, today.order_by(subjects.order), none, totals)
        managers = replace(managers, marked=health_tables.CRITICAL)
        trends = health_tables.trends(_trend(parameters, source, chosen, period), _currencies(managers), none)
        return report_book(
            self,
            parameters,
            source,
            period.last,
            about,
            [
                managers,
                *_compared(source, snapshots, loans, subjects, period),
                health_tables.parts(subjects),
                _categories(today, none),
                *trends,
            ],
            health_tables.trend_charts(trends),
            notes=[*_NOTES, *health_tables.not_closed(source, period)],
            headlines=headlines.of_table(managers, *_HEADLINES)
            if _names_one_manager(parameters)
            else headlines.of_totals(managers, *_ADDED),
            summary={row["currency"]: columns.headline(row, _ADDED) for row in managers.totals},
        )

    def positions(self, parameters: ManagerPerformanceParameters, source: ReportSource, day: date) -> scopes.Positions:
        """The loans of the managers: their own, and those of the officers whom they lead."""
        snapshots = _named(source)
        manager = _manager(parameters, source, snapshots, day)
        managers = _chosen(parameters, manager, snapshots.filter(snapshots.business_date == day))
        ids = managers.select("manager_id").distinct().to_pyarrow()["manager_id"].to_pylist()
        staff = source.table("staff")
        led = staff.filter(staff.team_leader_id.isin(ids)).select("staff_id").to_pyarrow()["staff_id"].to_pylist()
        return lambda rows: rows.officer_id.fill_null(UNASSIGNED).isin([*ids, *led])


_ADDED = ("active_loans", "total_outstanding", "total_collected")
_HEADLINES = ("health_score", "active_loans", "active_clients", "total_outstanding", "par_30", "par_90")


def _named(source: ReportSource) -> ir.Table:
    """manager_snapshots with full_name."""
    snapshots, staff = source.table(_SNAPSHOTS), source.table("staff").select("staff_id", "full_name")
    return snapshots.left_join(staff, snapshots.manager_id == staff.staff_id).drop("staff_id")


def _names_one_manager(parameters: ManagerPerformanceParameters) -> bool:
    """Whether the report is about one manager."""
    return parameters.manager.strip().upper() != ALL


def _chosen(parameters: ManagerPerformanceParameters, manager: str | None, rows: ir.Table) -> ir.Table:
    """The rows of the manager (None: of all managers) that have the role and branch of the parameters."""
    if manager is not None:
        rows = rows.filter(rows.manager_id == manager)
    if parameters.role != ALL:
        rows = rows.filter(rows.role == parameters.role)
    if parameters.branch.strip().upper() != ALL:
        rows = rows.filter(rows.branch_id == parameters.branch)
    return rows


def _manager(
    parameters: ManagerPerformanceParameters, source: ReportSource, snapshots: ir.Table, day: date
) -> str | None:
    """The id of the one manager of the parameters; None for ALL.

    An id or name is looked up among those with loans on the day, then among all staff and managers of other days.

    Raises:
        LendingError: Nobody has that id or name, or several have that name.
    """
    if not _names_one_manager(parameters):
        return None
    wanted = parameters.manager
    today = snapshots.filter(snapshots.business_date == day).select("manager_id", "full_name")
    staff = source.table("staff").select("full_name", manager_id="staff_id").select("manager_id", "full_name")
    everybody = ibis.union(staff, snapshots.select("manager_id", "full_name"))
    names: dict[str, str] = {}
    for people in (today, everybody):
        names = {row["manager_id"]: row["full_name"] or "" for row in people.distinct().to_pyarrow().to_pylist()}
        folded = wanted.strip().casefold()
        found = [key for key, name in names.items() if folded in (key.casefold(), name.casefold())]
        if len(found) > 1:
            ids = ", ".join(sorted(found))
            raise LendingError(f"manager name {wanted!r} is not unique: write one of the ids {ids}")
        if found:
            return found[0]
    raise LendingError(f"there is no manager {wanted!r}; {did_you_mean(wanted, names)}")


def _loans(source: ReportSource) -> ir.Table:
    """loan_positions with manager_id: a row for the loan's officer and one for the officer's team leader."""
    positions = source.table("loan_positions")
    return with_leaders(positions.mutate(officer_id=positions.officer_id.fill_null(UNASSIGNED)), source.table("staff"))


def _totals(loans: ir.Table, today: ir.Table, day: date) -> tuple[dict, ...]:
    """The totals of the listed managers' loans by currency, each loan once."""
    rows = loans.filter(loans.business_date == day).semi_join(today, ["manager_id", "currency"])
    rows = rows.select(
        "loan_id",
        "currency",
        "total_collected",
        active_loans=(rows.status == "active").cast("int64"),
        total_outstanding="principal_outstanding",
    ).distinct()
    return columns.totals_by_currency(rows, _MANAGERS, _ADDED)


def _compared(
    source: ReportSource, snapshots: ir.Table, loans: ir.Table, subjects: SubjectRows, period: Period
) -> list[ReportTable]:
    """The managers beside their branch and the previous period."""
    before = period.previous
    sums = source.table("portfolio_snapshots")
    branches = sums.filter(sums.scope == "branch", sums.business_date == period.last)
    earlier = snapshots.filter(snapshots.business_date == before.last)
    positions = source.table("loan_positions")
    changes = health_tables.changes
    health = [
        ComparedRows("", "", subjects.rows, "manager_id", "manager_id"),
        ComparedRows("branch_", ", branch", branches, "scope_id", "branch_id"),
        ComparedRows("previous_", f", {before.last}", earlier, "manager_id", "manager_id"),
    ]
    changed = [
        ComparedRows("", "", changes(source, loans, period, "manager_id"), "manager_id", "manager_id"),
        ComparedRows("branch_", ", branch", changes(source, positions, period, "branch_id"), "branch_id", "branch_id"),
        ComparedRows(
            "previous_", ", previous period", changes(source, loans, before, "manager_id"), "manager_id", "manager_id"
        ),
    ]
    return [
        health_tables.health_compared(subjects, health),
        health_tables.changes_compared(subjects, changed),
    ]


def _categories(rows: ir.Table, none: str) -> ReportTable:
    keys = ("currency", "role", "health_category")
    found = rows.group_by(*keys).agg(
        managers=rows.count(),
        active_loans=rows.active_loans.sum(),
        total_outstanding=rows.total_outstanding.sum(),
    )
    return in_period.table("By health category", _CATEGORIES, found.order_by(*keys), none)


def _trend(
    parameters: ManagerPerformanceParameters, source: ReportSource, chosen: ir.Table, period: Period
) -> ir.Table:
    """The daily rows of the manager; without a single manager, those of the chosen branch or of all loans."""
    if _names_one_manager(parameters):
        rows = chosen
    else:
        of_branch = parameters.branch.strip().upper() != ALL
        sums = source.table("portfolio_snapshots")
        scope = ("branch", parameters.branch) if of_branch else ("all", "*")
        sums = sums.filter(sums.scope == scope[0], sums.scope_id == scope[1])
        rows = sums.mutate(active_loans=sums.loan_count, total_outstanding=sums.total_balance)
    return rows.filter(rows.business_date.between(ibis.literal(period.first), ibis.literal(period.last)))


def _currencies(managers: ReportTable) -> list[str]:
    return sorted(managers.frame["currency"].unique())


def _days(chosen: ir.Table, period: Period, none: str) -> ReportTable:
    rows = chosen.filter(chosen.business_date.between(ibis.literal(period.first), ibis.literal(period.last)))
    none += f" from {period.first} to {period.last}"
    return in_period.table("Days", DAYS, rows.order_by("manager_id", "currency", "business_date"), none)


generator = ManagerPerformance()
