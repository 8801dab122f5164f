"""manager_performance: the loans, clients and health of loan officers and team leaders on a day."""

from dataclasses import replace
from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.reports import columns, days, headlines, in_period
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import ALL, AsOf, PersonalData
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables import TABLES

_SNAPSHOTS = "manager_snapshots"
_PERCENT = ("default_rate", "collection_rate", "portfolio_yield", "growth_rate")
_OF_SNAPSHOTS = tuple(
    replace(
        column, kind="percent" if column.name in _PERCENT else "ratio" if column.name == "health_score" else column.kind
    )
    for column in columns.lake_columns(_SNAPSHOTS, *TABLES[_SNAPSHOTS].names)
    if column.name not in ("business_date", "manager_id")
)
_MANAGERS = (
    *columns.lake_columns(_SNAPSHOTS, "manager_id"),
    columns.lake_column("staff", "full_name", "Manager"),
    *_OF_SNAPSHOTS,
)
_CATEGORIES = (
    *columns.lake_columns(_SNAPSHOTS, "currency", "role", "health_category"),
    ReportColumn("managers", "Managers", "count"),
    *columns.lake_columns(_SNAPSHOTS, "active_loans", "total_outstanding"),
)

_ADDED = ("active_loans", "total_loans", "total_disbursed", "total_outstanding", "total_collected")
_NOTE = "A team leader's row includes the loans of the team; totals sum the loan officers only."


class ManagerPerformanceParameters(PersonalData, AsOf):
    """The form of manager_performance."""

    role: Literal["ALL", "loan_officer", "team_leader"] = Field(
        "ALL", description="loan_officer, team_leader or ALL. A team leader's row includes the team's loans."
    )
    branch: str = Field(ALL, description="Branch id of the managers, or ALL.")


class ManagerPerformance:
    """Prints manager_snapshots."""

    report_type = "manager_performance"
    title = "Manager performance"
    description = "Clients, balances, delinquency and health of loan officers and team leaders on a day."
    reads = (_SNAPSHOTS, "staff")
    parameters = ManagerPerformanceParameters

    def covers(self, parameters: ManagerPerformanceParameters, source: ReportSource) -> list[date]:
        """The business date; none where managers have no snapshots."""
        if not source.days(_SNAPSHOTS):
            return []
        return [days.business_date(source, (_SNAPSHOTS,), parameters.as_of)]

    def generate(self, parameters: ManagerPerformanceParameters, source: ReportSource) -> ReportBook:
        """The report; LendingError when the day is not there."""
        covered = self.covers(parameters, source)
        day = covered[0] if covered else days.business_date(source, ("loan_positions",), parameters.as_of)
        snapshots = (
            source.table(_SNAPSHOTS) if covered else ibis.memtable(TABLES[_SNAPSHOTS].arrow_schema.empty_table())
        )
        chosen = _chosen(parameters, snapshots.filter(snapshots.business_date == day))
        none = f"no such manager has loans on {day}" if covered else f"{_SNAPSHOTS} has no days: it is not computed"
        managers = _managers(chosen, source, none)
        return report_book(
            self,
            parameters,
            source,
            day,
            "",
            [managers, _categories(chosen, none)],
            notes=[_NOTE],
            headlines=headlines.of_totals(managers),
            summary={
                row["currency"]: columns.headline(row, ("active_loans", "total_outstanding")) for row in managers.totals
            },
        )


def _chosen(parameters: ManagerPerformanceParameters, snapshots: ir.Table) -> ir.Table:
    if parameters.role != ALL:
        snapshots = snapshots.filter(snapshots.role == parameters.role)
    if parameters.branch.strip().upper() != ALL:
        snapshots = snapshots.filter(snapshots.branch_id == parameters.branch)
    return snapshots


def _managers(snapshots: ir.Table, source: ReportSource, none: str) -> ReportTable:
    """Every manager, the least healthy first; totals of the officers, because a team leader's loans are theirs too."""
    staff = source.table("staff").select("staff_id", "full_name")
    named = snapshots.left_join(staff, snapshots.manager_id == staff.staff_id)
    ordered = named.order_by("currency", named.health_score.asc(nulls_first=True), "manager_id")
    officers = snapshots.filter(snapshots.role == "loan_officer")
    totals = columns.totals_by_currency(officers, _OF_SNAPSHOTS, _ADDED)
    return in_period.table("Managers", _MANAGERS, ordered, none, totals)


def _categories(snapshots: ir.Table, none: str) -> ReportTable:
    keys = ("currency", "role", "health_category")
    rows = snapshots.group_by(*keys).agg(
        managers=snapshots.count(),
        active_loans=snapshots.active_loans.sum(),
        total_outstanding=snapshots.total_outstanding.sum(),
    )
    return in_period.table("By health category", _CATEGORIES, rows.order_by(*keys), none)


generator = ManagerPerformance()
