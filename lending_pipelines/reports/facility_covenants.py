"""The covenants of a facility in a report: actual, limit, headroom, as reported and as known, notes on unknown values.

This is not a report type. metrics/facility.py defines covenants.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.facility import FacilityRules
from lending_pipelines.metrics.ratios import annualised, ratio
from lending_pipelines.reports import columns, in_period, scopes
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.periods import Period, months_before
from lending_pipelines.reports.protocol import ReportSource

_LOOKING_BACK = ("charge_off_rate", "net_charge_off_rate")
"""The metrics that are computed over the last covenant_months, not from one day."""
BREACHED = "breached"
_COLUMNS = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("covenant", "Covenant", "text"),
    ReportColumn("actual", "Actual", "rate"),
    ReportColumn("bound", "Bound", "text"),
    ReportColumn("limit", "Limit", "rate"),
    ReportColumn("headroom", "Headroom", "rate"),
    ReportColumn("status", "Status", "text"),
)

_SCOPE = ("scope", "scope_id", "currency")
_RESTATED = (
    ReportColumn("scope", "Scope", "text"),
    ReportColumn("scope_id", "Scope ID", "text"),
    *(column for column in _COLUMNS if column.name in ("currency", "covenant", "bound", "limit")),
    ReportColumn("reported", "As reported", "rate"),
    ReportColumn("known", "As known now", "rate"),
    ReportColumn("reported_status", "Status as reported", "text"),
    ReportColumn("known_status", "Status as known now", "text"),
)


def covered(source: ReportSource, day: date, rules: FacilityRules) -> list[date]:
    """The day and, if there is a covenant on charge-offs, the earlier closed days that it needs."""
    return in_period.closed_between(source, _period(day, rules).opening if _looks_back(rules) else day, day)


def table(
    source: ReportSource, day: date, scope: tuple[str, str], loans: ir.Table, rules: FacilityRules
) -> tuple[ReportTable, list[str]]:
    """Every covenant per currency, breached ones first, and notes on values that the daily tables do not have.

    Delinquency and cumulative losses are from portfolio_snapshots. Charge-off rates are computed over the
    covenant_months that end on the day, from `loans`: the scope's rows of loan_positions.
    """
    snapshots = source.table("portfolio_snapshots")
    book = scopes.rows_of(snapshots.filter(snapshots.business_date == day), scope)
    book = _measured(book)
    notes: list[str] = []
    if _looks_back(rules):
        positions = source.table("loan_positions")
        selection = in_period.PeriodSelection(
            _period(day, rules),
            loans,
            "",
            tuple(source.days("loan_positions")),
            frozenset(source.thinned("loan_positions")),
            positions,
        )
        notes = selection.missing_days("charged off")
        book = book.left_join(_charge_off_rates(selection), "currency")
    rows = [
        (
            row["currency"],
            columns.label(covenant.metric),
            row[covenant.metric],
            "at least" if covenant.max is None else "at most",
            covenant.limit,
            covenant.headroom(row[covenant.metric]),
            covenant.status(row[covenant.metric]),
        )
        for row in book.order_by("currency").to_pyarrow().to_pylist()
        for covenant in rules.covenants
    ]
    rows.sort(key=lambda row: row[-1] != BREACHED)
    frame = pd.DataFrame(rows, columns=[column.name for column in _COLUMNS])
    none = f"there are no loans on {day}" if rules.covenants else "the rules have no covenants"
    return ReportTable("Covenants", _COLUMNS, frame, no_data=none, marked=("status", BREACHED)), notes


def restated(then: ir.Table, now: ir.Table, rules: FacilityRules) -> ReportTable:
    """The covenants whose value differs between two sets of rows of portfolio_snapshots of one day, in every scope.

    Covenants on charge-off rates are left out: they need the earlier days too.

    Args:
        then: The snapshots as reported.
        now: The snapshots as known now.
        rules: The rules of the facility.
    """
    watched = [covenant for covenant in rules.covenants if covenant.metric not in _LOOKING_BACK]
    sides = [
        {tuple(row[name] for name in _SCOPE): row for row in _measured(rows).to_pyarrow().to_pylist()}
        for rows in (then, now)
    ]
    found = []
    for key in sorted(sides[0].keys() | sides[1].keys()):
        for covenant in watched:
            reported, known = (side.get(key, {}).get(covenant.metric) for side in sides)
            if reported != known:
                bound = "at least" if covenant.max is None else "at most"
                values = (columns.label(covenant.metric), bound, covenant.limit, reported, known)
                found.append((*key, *values, covenant.status(reported), covenant.status(known)))
    found.sort(key=lambda row: row[-1] != BREACHED)
    frame = pd.DataFrame(found, columns=[column.name for column in _RESTATED])
    return ReportTable("Covenants", _RESTATED, frame, no_data="no covenant differs", marked=("known_status", BREACHED))


def alerts(covenants: ReportTable) -> list[str]:
    """One line per breached covenant."""
    return [
        f"Covenant breached in {row['currency']}: {row['covenant']} is {row['actual']:.2%}, {row['bound']}"
        f" {row['limit']:.2%} is allowed."
        for row in covenants.arrow().to_pylist()
        if row["status"] == BREACHED
    ]


def breached(covenants: ReportTable, currency: str) -> list[str]:
    """The breached covenants in a currency."""
    rows = covenants.arrow().to_pylist()
    return [row["covenant"] for row in rows if (row["currency"], row["status"]) == (currency, BREACHED)]


def _measured(snapshots: ir.Table) -> ir.Table:
    """Rows of portfolio_snapshots with the metrics of covenants that are not columns of it."""
    return snapshots.mutate(
        cumulative_net_loss=ratio(snapshots.charged_off - snapshots.recovered, snapshots.total_disbursed),
        weighted_avg_rate=snapshots.weighted_avg_rate.cast("float64"),
    )


def _looks_back(rules: FacilityRules) -> bool:
    """Whether any covenant is on a charge-off rate."""
    return any(covenant.metric in _LOOKING_BACK for covenant in rules.covenants)


def _period(day: date, rules: FacilityRules) -> Period:
    """The covenant_months that end on the day."""
    return Period("custom", months_before(day, rules.covenant_months) + timedelta(days=1), day)


def _charge_off_rates(selection: in_period.PeriodSelection) -> ir.Table:
    """currency, charge_off_rate, net_charge_off_rate; no rows if charge-offs are unknown."""
    positions, period = selection.positions, selection.period
    within = positions.filter(positions.business_date.between(period.opening, period.last))
    loan_days = revenue.loan_days(within, selection.loans, ["currency"], revenue.LOSSES)
    daily = revenue.by_day(loan_days, ["currency"], revenue.LOSSES)
    known = selection.changes_known(period)
    rows = revenue.losses(daily, selection.periods([period], selection.changes_known), ["currency"])
    return rows.filter(ibis.literal(known)).select(
        "currency",
        "net_charge_off_rate",
        charge_off_rate=annualised(rows.charged_off, rows.average_balance, rows.days),
    )
