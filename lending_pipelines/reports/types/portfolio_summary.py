"""portfolio_summary: balances, delinquency and returns on a day, broken down, with their history."""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.reports import columns, days, headlines, return_columns, scopes
from lending_pipelines.reports.aging_tables import by_lateness, off_balance
from lending_pipelines.reports.book import Chart, ReportBook, ReportTable
from lending_pipelines.reports.parameters import AsOf, History, KnownAt, OneScope, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_PAR = ("par_30", "par_60", "par_90")
_COLUMNS = columns.lake_columns(
    "portfolio_snapshots",
    "scope",
    "scope_id",
    "name",
    "currency",
    "loan_count",
    "total_balance",
    "interest_receivable",
    "delinquent_amount",
    "past_due_amount",
    *_PAR,
    "weighted_avg_rate",
    "total_disbursed",
    "total_collected",
    "charged_off",
    "recovered",
    "moic",
    *return_columns.IRRS,
    "irr_reason",
)
_HISTORY = columns.lake_columns(
    "portfolio_snapshots",
    "business_date",
    "loan_count",
    "total_balance",
    "delinquent_amount",
    "past_due_amount",
    *_PAR,
    "total_disbursed",
    "total_collected",
    "charged_off",
)


class PortfolioSummaryParameters(UnderConventions, KnownAt, History, OneScope, AsOf):
    """The form of portfolio_summary."""

    by: Literal["portfolio", "program", "product", "branch", "investor", "vintage"] = Field(
        "portfolio", description="Breakdown of all loans. A single portfolio, program, … has no breakdown."
    )


class PortfolioSummary:
    """Prints portfolio_snapshots and aging_buckets."""

    report_type = "portfolio_summary"
    title = "Portfolio summary"
    description = "Balances, portfolio at risk and returns on a day, broken down, with their history."
    reads = ("portfolio_snapshots", "aging_buckets")
    parameters = PortfolioSummaryParameters

    def covers(self, parameters: PortfolioSummaryParameters, source: ReportSource) -> list[date]:
        """The business date and the days of the history."""
        last = days.business_date(source, self.reads, parameters.as_of)
        return days.history_days(source, self.reads[0], last, parameters.history, parameters.history_step)

    def generate(self, parameters: PortfolioSummaryParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or the scope is unknown."""
        covered = self.covers(parameters, source)
        day = covered[-1]
        scope = scopes.scope_of(parameters, source, day)
        snapshots = source.table("portfolio_snapshots")
        today = snapshots.filter(snapshots.business_date == day)
        summary = _summary(scopes.rows_of(today, scope), day)
        history = _histories(scopes.rows_of(snapshots, scope), covered, summary.frame["currency"])
        breakdown = [_breakdown(today, parameters.by, day)] if scope == scopes.EVERYTHING else []
        aging = by_lateness(source, day, scope)
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            [summary, *breakdown, aging, *history],
            [chart for table in history for chart in _charts(table)],
            notes=["Balances of different currencies are never added."]
            + [f"Loans without a {parameters.by} are in the summary but not in the breakdown." for _ in breakdown]
            + off_balance(source, day, scope, aging),
            headlines=headlines.of_table(
                summary,
                "total_balance",
                "loan_count",
                "past_due_amount",
                *_PAR,
                "weighted_avg_rate",
                return_columns.IRRS[0],
            ),
            summary={
                row["currency"]: columns.headline(
                    row, ("loan_count", "total_balance", "past_due_amount", *_PAR, *return_columns.IRRS)
                )
                for row in summary.arrow().to_pylist()
            },
        )


def _summary(rows: ir.Table, day: date) -> ReportTable:
    rows = rows.select(*(column.name for column in _COLUMNS)).order_by("currency")
    none = f"there are no loans on {day}"
    return ReportTable("Summary", _COLUMNS, columns.frame(rows), no_data=none, unprinted=("scope", "scope_id", "name"))


def _breakdown(today: ir.Table, by: str, day: date) -> ReportTable:
    rows = today.filter(today.scope == by)
    return ReportTable(
        f"By {by}",
        _COLUMNS,
        columns.frame(rows.select(*(column.name for column in _COLUMNS)).order_by("scope_id", "currency")),
        columns.totals_by_currency(rows, _COLUMNS),
        no_data=f"no loan has its {by} recorded on {day}",
        unprinted=("scope",),
    )


def _histories(snapshots: ir.Table, covered: Sequence[date], currencies: Sequence[str]) -> list[ReportTable]:
    """A table per currency, because a chart shows one currency."""
    rows = snapshots.filter(snapshots.business_date.isin(covered)).order_by("business_date")
    names = [column.name for column in _HISTORY]
    return [
        ReportTable(
            f"History {currency}", _HISTORY, columns.frame(rows.filter(rows.currency == currency).select(*names))
        )
        for currency in currencies
    ]


def _charts(history: ReportTable) -> list[Chart]:
    currency = history.title.removeprefix("History ")
    return [
        Chart(f"Balance, {currency}", history.title, "line", "business_date", ("total_balance", "delinquent_amount")),
        Chart(f"Portfolio at risk, {currency}", history.title, "line", "business_date", _PAR),
    ]


generator = PortfolioSummary()
