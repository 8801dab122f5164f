"""branch_comparison: the balances, delinquency, health and growth of the branches side by side, over a period."""

from dataclasses import replace
from datetime import date

import ibis.expr.types as ir

from lending_pipelines.reports import columns, headlines, health_tables, in_period
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn
from lending_pipelines.reports.health_tables import ComparedRows, SubjectRows
from lending_pipelines.reports.parameters import InPeriod
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables.derived import HEALTH_CATEGORIES

_SNAPSHOTS = "portfolio_snapshots"
_BRANCH = ReportColumn("branch", "Branch", "text")
_SUBJECT = (_BRANCH, *columns.lake_columns(_SNAPSHOTS, "currency"))
_ADDED = ("loan_count", "total_balance", "past_due_amount")
_BRANCHES = (
    health_tables.RANK,
    *columns.lake_columns(_SNAPSHOTS, "scope_id"),
    *_SUBJECT,
    *columns.lake_columns(_SNAPSHOTS, *_ADDED, "par_30", "par_60", "par_90"),
    *health_tables.HEALTH,
)
_OFFICERS = tuple(ReportColumn(name.lower(), name, "count") for name in HEALTH_CATEGORIES)
_NOTES = (
    "Rank 1 is the healthiest branch of its currency. Branches are listed in this order.",
    "The loans of the branch are those of its business date.",
    health_tables.BLANK,
)


class BranchComparisonParameters(InPeriod):
    """The form of branch_comparison."""


class BranchComparison:
    """Prints the branches of portfolio_snapshots, beside all loans and the previous period."""

    report_type = "branch_comparison"
    title = "Branch comparison"
    description = "Balances, delinquency, health and growth of the branches side by side, over a period."
    reads = (_SNAPSHOTS, "manager_snapshots", "loan_positions", "loans", "branches")
    parameters = BranchComparisonParameters

    def covers(self, parameters: BranchComparisonParameters, source: ReportSource) -> list[date]:
        """The closed days among the last day of the period, the day before it, and those of the previous period."""
        period = in_period.period_of(parameters, source, self.reads)
        return health_tables.compared_days(source, period)

    def generate(self, parameters: BranchComparisonParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed."""
        period = in_period.period_of(parameters, source, self.reads)
        snapshots = source.table(_SNAPSHOTS)
        today = snapshots.filter(snapshots.business_date == period.last)
        branches = today.filter(today.scope == "branch")
        branches = health_tables.ranked(branches.mutate(branch=branches.name.fill_null(branches.scope_id)))
        none = f"no branch has loans on {period.last}"
        subjects = SubjectRows(branches, _SUBJECT, ("currency", "rank", "scope_id"), none)
        totals = columns.totals_by_currency(branches, _BRANCHES, _ADDED)
        table = in_period.table("Branches", _BRANCHES, branches.order_by(subjects.order), none, totals)
        table = replace(table, marked=health_tables.CRITICAL)
        before = period.previous
        earlier = snapshots.filter(snapshots.business_date == before.last, snapshots.scope == "branch")
        everything = today.filter(today.scope == "all").mutate(scope_id="currency")
        positions = source.table("loan_positions")
        all_positions = positions.mutate(scope_id="currency")
        changes = health_tables.changes
        health = [
            ComparedRows("", "", branches, "scope_id", "scope_id"),
            ComparedRows("all_", ", all loans", everything, "scope_id", "currency"),
            ComparedRows("previous_", f", {before.last}", earlier, "scope_id", "scope_id"),
        ]
        changed = [
            ComparedRows("", "", changes(source, positions, period, "branch_id"), "branch_id", "scope_id"),
            ComparedRows(
                "all_", ", all loans", changes(source, all_positions, period, "scope_id"), "scope_id", "currency"
            ),
            ComparedRows(
                "previous_",
                ", previous period",
                changes(source, positions, before, "branch_id"),
                "branch_id",
                "scope_id",
            ),
        ]
        return report_book(
            self,
            parameters,
            source,
            period.last,
            period.display,
            [
                table,
                health_tables.health_compared(subjects, health),
                health_tables.changes_compared(subjects, changed),
                health_tables.parts(subjects),
                subjects.table("Loan officers by category", _OFFICERS, _officers(source, branches, period)),
            ],
            [Chart("Health score", "Branches", "bar", "branch", ("health_score",))],
            notes=[*_NOTES, *health_tables.not_closed(source, period)],
            headlines=headlines.of_snapshots(
                source, period.last, ("all", "*"), "health_score", "total_balance", "loan_count", "par_30", "par_90"
            ),
            summary={row["currency"]: columns.headline(row, _ADDED) for row in table.totals},
        )


def _officers(source: ReportSource, branches: ir.Table, period: Period) -> ir.Table:
    """How many loan officers of each branch are in each health category."""
    rows = source.table("manager_snapshots")
    rows = rows.filter(rows.business_date == period.last, rows.role == "loan_officer")
    counted = rows.group_by("branch_id", "currency").agg(
        **{name.lower(): (rows.health_category == name).cast("int64").sum() for name in HEALTH_CATEGORIES}
    )
    keys = [branches.scope_id == counted.branch_id, branches.currency == counted.currency]
    return branches.left_join(counted, keys, rname="{name}_counted")


generator = BranchComparison()
