"""weekly_summary: a week beside the week before: amounts, clients, health by manager, and alerts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.errors import first_of
from lending_pipelines.metrics import clients, weeks
from lending_pipelines.reports import (
    alert_tables,
    columns,
    currency_charts,
    days,
    headlines,
    health_tables,
    in_period,
    scopes,
)
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import ALL, InWeek, PersonalData
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.reports.week_scope import WeekScope, week_scope

_SNAPSHOTS, _LOG = "manager_snapshots", "alert_log"
_WEEK = ReportColumn("week", "Week", "text")
_DISBURSED = ReportColumn("disbursed", "Disbursed", "money")
_COLLECTED = ReportColumn("collected", "Collected", "money")
_ACTIVITY = (
    _WEEK,
    *columns.lake_columns(_SNAPSHOTS, "currency"),
    _DISBURSED,
    _COLLECTED,
    ReportColumn("charged_off", "Charged off", "money"),
    ReportColumn("new_loans", "New loans", "count"),
    ReportColumn("new_clients", "New clients", "count"),
    ReportColumn("churned_clients", "Lost clients", "count"),
)
_LEVELS = ("active_loans", "total_outstanding", "par_30", "par_90", "health_score", "health_category")
_BOOK = (
    _WEEK,
    *columns.lake_columns(_SNAPSHOTS, "currency", "active_clients", *_LEVELS),
)
_DAYS = (
    *columns.lake_columns(_SNAPSHOTS, "business_date"),
    _DISBURSED,
    _COLLECTED,
    *columns.lake_columns(_SNAPSHOTS, "total_outstanding", "par_30", "health_score"),
)
_MANAGERS = (
    *columns.lake_columns(_SNAPSHOTS, "manager_id"),
    ReportColumn("manager", "Manager", "text", personal=True),
    *columns.lake_columns(_SNAPSHOTS, "role", "branch_id", "currency", "active_loans", "total_outstanding", "par_30"),
    *columns.lake_columns(_SNAPSHOTS, "health_category", "health_score"),
    ReportColumn("previous_health_score", "Health score, week before", "number"),
    ReportColumn("change", "Change", "number"),
)
_ALERTS = (_WEEK, *(column for column in alert_tables.NUMBERS if column.kind == "count"))
_LISTED = (
    *columns.lake_columns(_LOG, "severity"),
    ReportColumn("happened", "In the week", "text"),
    *columns.lake_columns(_LOG, "opened_on", "resolved_on"),
    ReportColumn("subject", "Subject", "text"),
    columns.lake_column("staff", "full_name", "Name"),
    *columns.lake_columns(_LOG, "rule", "finding"),
)
_HEADLINES = (
    "total_outstanding",
    "disbursed",
    "collected",
    "charged_off",
    "active_loans",
    "new_clients",
    "par_30",
    "health_score",
)
_NOTES = (
    "Amounts of a week are changes of the loans that are in the summary on its last day, from the end of the day before"
    " it. Collected includes recoveries.",
    "New clients have no loan here from before the week. Lost clients had an active loan on the day before the week and"
    " have none on its last day.",
    "The least healthy manager is listed first. A team leader's row includes the loans of the team.",
)


class WeeklySummaryParameters(PersonalData, InWeek):
    """The form of weekly_summary."""

    leader: str = Field(ALL, description="Staff id or name of one team leader: the team's loans and alerts; or ALL.")
    max_listed: int = Field(50, ge=1, le=10_000, description="Maximum number of managers and of alerts listed.")


class WeeklySummary:
    """Prints a week of the lender or of a team, beside the week before."""

    report_type = "weekly_summary"
    title = "Weekly summary"
    description = "A week beside the week before: amounts, clients, health by manager, and alerts."
    reads = (_SNAPSHOTS, "portfolio_snapshots", "loan_positions", "staff", _LOG)
    parameters = WeeklySummaryParameters

    def covers(self, parameters: WeeklySummaryParameters, source: ReportSource) -> list[date]:
        """The closed days of the week, of the week before, and the day before that."""
        week = days.week(parameters, source, self.reads)
        return in_period.closed_between(source, week.previous.opening, week.last)

    def generate(self, parameters: WeeklySummaryParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed, or there is no such team leader."""
        week = days.week(parameters, source, self.reads)
        scope = week_scope(source, parameters.leader, week.last, named=parameters.allow_pii)
        none = f"no loan was disbursed by {week.last}"
        both = [_week(scope, source, each) for each in (week, week.previous)]
        rows = ibis.memtable(ibis.union(*both).to_pyarrow()).order_by("currency", ibis.desc("week"))
        activity = in_period.table("Activity", _ACTIVITY, rows, none)
        book = in_period.table("Book at the end of the week", _BOOK, rows, none)
        managers = _managers(parameters, scope, week)
        by_day = _by_day(scope, source, week, sorted(activity.frame["currency"].unique()))
        numbers, listed = _alerts(parameters, scope, week)
        this_week = rows.filter(rows.week == week.display).order_by("currency").to_pyarrow().to_pylist()
        unknown = _unknown(source, week)
        return report_book(
            self,
            parameters,
            source,
            week.last,
            f"{scope.name}, {week.display}" if scope.name else week.display,
            [activity, book, managers, numbers, listed, *by_day],
            [
                *_charts(by_day),
                *currency_charts.bars("Health score", managers, _name(parameters), "health_score"),
            ],
            notes=[*_NOTES, *unknown],
            headlines=headlines.of_rows((*_ACTIVITY, *_BOOK), this_week, _HEADLINES),
            summary={row["currency"]: columns.headline(row, _HEADLINES) for row in this_week},
            alerts=unknown,
        )

    def positions(self, parameters: WeeklySummaryParameters, source: ReportSource, day: date) -> scopes.Positions:
        """The loans of the team, or all."""
        team = week_scope(source, parameters.leader, day, named=False).team
        return lambda rows: ibis.literal(True) if team is None else rows.officer_id.isin(team)


def _names(printed: Sequence[ReportColumn]) -> list[str]:
    return [column.name for column in printed]


def _week(scope: WeekScope, source: ReportSource, week: Period) -> ir.Table:
    """A row per currency of the loans on the last day of a week. Changes are null unless the day before it is closed.

    Without the last day there is no row.
    """
    end = scope.snapshots.filter(scope.snapshots.business_date == week.last)
    rows = end.select("currency", *_LEVELS, week=ibis.literal(week.display))
    positions = scope.loans_on(week.last)
    loans = positions.filter(positions.business_date == week.last)
    active = loans.filter(loans.status == "active")
    counts = [
        active.group_by("currency").agg(active_clients=active.borrower_id.nunique()),
        loans.group_by("currency").agg(new_loans=(loans.disbursed_on > week.opening).cast("int64").sum()),
    ]
    known = len(days.closed(source, week.opening, week.last)) == 2
    if known:
        of_clients = clients.changes(positions.mutate(owner=ibis.literal("")), week.opening, week.last, "owner")
        counts.append(of_clients.select("currency", "new_clients", "churned_clients"))
        counts.append(weeks.changes(positions, [week.opening, week.last]).drop("business_date", "days"))
    for values in counts:
        rows = in_period.left_join(rows, values, "currency")
    if not known:
        amounts = {name: ibis.null("decimal(18, 2)") for name in weeks.AMOUNTS}
        rows = rows.mutate(new_clients=ibis.null("int64"), churned_clients=ibis.null("int64"), **amounts)
    zero = {name: rows[name].fill_null(0).cast("int64") for name in ("active_clients", "new_loans")}
    wanted = dict.fromkeys((*_names(_ACTIVITY), *_names(_BOOK)))
    return rows.mutate(**zero).select(*wanted)


def _by_day(scope: WeekScope, source: ReportSource, week: Period, currencies: Sequence[str]) -> list[ReportTable]:
    """The days of both weeks, a table for each currency. Amounts are null where the day before is not closed."""
    parts = []
    for each in (week, week.previous):
        closed = in_period.closed_between(source, each.opening, each.last)
        if len(closed) > 1 and closed[-1] == each.last:
            changes = weeks.changes(scope.loans_on(each.last), closed)
            parts.append(changes.filter(changes.days == 1).select("business_date", "currency", *weeks.AMOUNTS))
    span = (ibis.literal(week.previous.first), ibis.literal(week.last))
    rows = scope.snapshots.filter(scope.snapshots.business_date.between(*span))
    if parts:
        rows = in_period.left_join(rows, ibis.union(*parts), "business_date", "currency")
    else:
        rows = rows.mutate(**{name: ibis.null("decimal(18, 2)") for name in weeks.AMOUNTS})
    return [
        in_period.table(f"Days {each}", _DAYS, rows.filter(rows.currency == each).order_by("business_date"), "")
        for each in currencies
    ]


def _charts(by_day: Sequence[ReportTable]) -> list[Chart]:
    """Amounts by day of every currency, then PAR 30."""
    currencies = [table.title.removeprefix("Days ") for table in by_day]
    amounts = [
        Chart(f"Disbursed and collected by day, {each}", f"Days {each}", "bar", "business_date", _AMOUNTS_DRAWN)
        for each in currencies
    ]
    par = [Chart(f"PAR 30 by day, {each}", f"Days {each}", "line", "business_date", ("par_30",)) for each in currencies]
    return [*amounts, *par]


_AMOUNTS_DRAWN = ("disbursed", "collected")


def _managers(parameters: WeeklySummaryParameters, scope: WeekScope, week: Period) -> ReportTable:
    """The managers with active loans on the last day, the least healthy first."""
    rows = scope.managers
    before = rows.filter(rows.business_date == week.previous.last)
    before = before.select("manager_id", "currency", previous_health_score="health_score")
    today = rows.filter(rows.business_date == week.last, rows.active_loans > 0)
    today = in_period.left_join(today, before, "manager_id", "currency")
    today = today.mutate(change=today.health_score - today.previous_health_score)
    none = f"no manager has active loans on {week.last}"
    order = [today.health_score, today.manager_id, today.currency]
    table = in_period.first_table("Managers", _MANAGERS, today, order, parameters.max_listed, none)
    name = _name(parameters)
    mailed = (name, "currency", "active_loans", "par_30", "health_score", "change", "health_category")
    unprinted = ("manager_id",) if name == "manager" else ()
    return replace(table, marked=health_tables.CRITICAL, mailed=mailed, unprinted=unprinted)


def _name(parameters: WeeklySummaryParameters) -> str:
    """The column that names a manager."""
    return "manager" if parameters.allow_pii else "manager_id"


def _alerts(parameters: WeeklySummaryParameters, scope: WeekScope, week: Period) -> tuple[ReportTable, ReportTable]:
    """Two tables: the numbers of alerts in both weeks, and the alerts opened or resolved this week."""
    counted = [
        alert_tables.numbers(alert_tables.in_period(scope.alerts, each)).mutate(week=ibis.literal(each.display))
        for each in (week, week.previous)
    ]
    rows = ibis.union(*counted).order_by(ibis.desc("week"))
    numbers = replace(in_period.table("Alerts", _ALERTS, rows, ""), mailed=(*_names(_ALERTS),))
    alerts = alert_tables.in_period(scope.alerts, week)
    alerts = alerts.filter(alerts.was_opened | alerts.was_resolved)
    alerts = alerts.mutate(
        happened=ibis.cases(
            (alerts.was_opened & alerts.was_resolved, "opened and resolved"),
            (alerts.was_opened, "opened"),
            else_="resolved",
        )
    )
    order = [alerts.severity, alerts.opened_on.desc(), alerts.rule, alerts.subject_id, alerts.alert_id]
    none = f"no alert opened or was resolved from {week.first} to {week.last}"
    listed = in_period.first_table("Alerts opened and resolved", _LISTED, alerts, order, parameters.max_listed, none)
    # The finding already says what the rule is about, so the rule is not printed beside it.
    what, repeated = (("full_name", "finding"), ("rule",)) if parameters.allow_pii else (("subject", "rule"), ())
    mailed = ("severity", "happened", *what)
    return numbers, replace(listed, mailed=mailed, marked=("severity", "critical"), unprinted=repeated)


def _unknown(source: ReportSource, week: Period) -> list[str]:
    """A line on the days of both weeks that are not closed; none if all are."""
    opening = week.previous.opening
    wanted = [opening + timedelta(days=number) for number in range((week.last - opening).days + 1)]
    known = set(days.closed(source, *wanted))
    absent = [f"{day} {days.why_absent(source, day)}" for day in wanted if day not in known]
    return [f"{first_of(absent, 7)}. Numbers that need these days are unknown."] if absent else []


generator = WeeklySummary()
