"""Numbers that only alerts need: installments missed, shares of a scope, charge-off rates, and changes by loan.

alerts/detectors/ evaluates rules on them. The numbers of reports and tables are in the other modules.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import revenue, schedules
from lending_pipelines.metrics.delinquency import in_par
from lending_pipelines.metrics.managers import with_leaders
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.portfolios import PAR_DAYS
from lending_pipelines.metrics.ratios import annualised, ratio
from lending_pipelines.metrics.scopes import DIMENSIONS

SCOPE_COLUMNS: dict[str, str | None] = {"all": None, "manager": "officer_id", **DIMENSIONS}
"""For each scope, the column of loan_positions with its scope_id; None for all loans."""


def in_scope(positions: ir.Table, scope: str, staff: ir.Table | None = None) -> ir.Table:
    """The positions that belong to a scope, with scope_id; `*` for all loans.

    With `staff`, a position of an officer also belongs to the officer's team leader.
    """
    column = SCOPE_COLUMNS[scope]
    if scope == "manager" and staff is not None:
        rows = with_leaders(positions.filter(positions.officer_id.notnull()), staff)
        return rows.mutate(scope_id=rows.manager_id).drop("manager_id")
    if column is None:
        return positions.mutate(scope_id=ibis.literal("*"))
    return positions.filter(positions[column].notnull()).mutate(scope_id=positions[column])


def missed_installments(positions: ir.Table, installments: ir.Table, first: date, last: date) -> ir.Table:
    """The installments of active loans that are due and of which nothing is settled, on each day.

    Args:
        positions: Rows of loan_positions on the days first..last.
        installments: The servicing table.
        first: The first day.
        last: The last day.

    Returns:
        The positions of the loans that missed at least one installment in full, with `missed`, their number.
    """
    late = positions.filter(positions.status == "active", positions.past_due_amount > 0)
    loans = late.select("loan_id").distinct()
    own = installments.semi_join(loans, "loan_id")
    due = own.mutate(due=money(own.principal + own.interest))
    due = due.filter(due.due > 0)
    before = ibis.window(group_by=["loan_id", "version"], order_by=["due_on", "number"], rows=(None, -1))
    due = due.mutate(due_before=ibis.coalesce(due.due.sum().over(before), ibis.literal(0)))
    versions = schedules.versions(own, first, last).select("loan_id", "version", "in_force_from", "in_force_until")
    due = due.select("loan_id", "version", "due_before").inner_join(versions, ["loan_id", "version"])
    settled_amounts = late.select("business_date", "loan_id", "settled", "scheduled_due")
    rows = settled_amounts.inner_join(due, "loan_id")
    rows = rows.filter(
        rows.in_force_from <= rows.business_date,
        rows.in_force_until > rows.business_date,
        # scheduled_due leaves out the installments that are not due after the principal was repaid.
        rows.due_before < rows.scheduled_due,
        rows.due_before >= ibis.greatest(rows.settled, ibis.literal(0)),
    )
    counted = rows.group_by("business_date", "loan_id").agg(missed=as_count(rows.count()))
    return late.inner_join(counted, ["business_date", "loan_id"])


def shares(positions: ir.Table, scope: str, by: str, staff: ir.Table | None = None) -> ir.Table:
    """Each group's share of the active principal outstanding of its scope, per day and currency.

    Args:
        positions: Rows of loan_positions.
        scope: The scope.
        by: The column of loan_positions that loans are grouped by. Loans without a value count in the total only.
        staff: The servicing table staff, so that team leaders have the loans of their teams; None for officers only.

    Returns:
        business_date, scope_id, currency, group_id, principal, total and share (a fraction).
    """
    rows = in_scope(positions.filter(positions.status == "active"), scope, staff)
    keys = ["business_date", "scope_id", "currency"]
    groups = rows.group_by(*keys, group_id=rows[by]).agg(principal=money(rows.principal_outstanding.sum()))
    groups = groups.mutate(total=money(groups.principal.sum().over(group_by=keys)))
    groups = groups.filter(groups.group_id.notnull())
    return groups.mutate(share=ratio(groups.principal, groups.total))


def loan_changes(positions: ir.Table, column: str, day: date, conventions: Conventions) -> ir.Table | None:
    """The change of each loan's part of a sum, from the day before to the day.

    Args:
        positions: Rows of loan_positions.
        column: A column of portfolio_snapshots or manager_snapshots. For a PAR, the sum is the principal at risk.
        day: The day.
        conventions: They decide which loans are at risk.

    Returns:
        loan_id and change, for the loans with a change; None if the column is not a sum over loans.
    """
    outstanding = positions.principal_outstanding
    active = (positions.status == "active").cast("int64")
    amounts: dict[str, ir.NumericValue] = {
        "total_balance": outstanding,
        "total_outstanding": outstanding,
        "total_disbursed": positions.principal_disbursed,
        "total_collected": positions.total_collected,
        "charged_off": positions.principal_charged_off,
        "recovered": positions.recovered,
        "interest_receivable": positions.interest_receivable,
        "past_due_amount": positions.past_due_amount,
        "loan_count": active,
        "active_loans": active,
    }
    for days in PAR_DAYS:
        amounts[f"par_{days}"] = in_par(positions.days_past_due, days, conventions).ifelse(outstanding, ZERO)
    if column not in amounts:
        return None
    rows = positions.mutate(amount=amounts[column])
    rows = rows.filter(rows.business_date.isin([day - timedelta(days=1), day]))
    signed = (rows.business_date == ibis.literal(day)).ifelse(rows.amount, -rows.amount)
    changes = rows.group_by("loan_id").agg(change=signed.sum())
    return changes.filter(changes.change != 0)


def charge_off_rates(positions: ir.Table, scope: str, spans: Sequence[tuple[date, date]]) -> ir.Table:
    """Annualised charge-off rates over the days after `opening` up to `last`, of the loans that a scope has on `last`.

    They equal those of the report borrowing_base. Rates are null where `opening` is not closed, unless the scope's
    first loan was disbursed after it.

    Args:
        positions: loan_positions from the earliest opening on.
        scope: The scope.
        spans: The opening and last day of each period.

    Returns:
        business_date (the last day), scope_id, currency, charge_off_rate and net_charge_off_rate.
    """
    periods = ibis.memtable(
        pa.table(
            {
                "number": pa.array(range(len(spans)), pa.int64()),
                "opening": pa.array([opening for opening, _ in spans], pa.date32()),
                "last": pa.array([last for _, last in spans], pa.date32()),
            }
        )
    )
    on_last = in_scope(positions, scope).inner_join(periods, positions.business_date == periods["last"])
    loans = on_last.select("number", "opening", "last", "loan_id", "scope_id", "currency", "disbursed_on")
    keys = ["number", "scope_id"]
    loan_days = positions.select("business_date", "loan_id", *revenue.LOSSES).inner_join(loans, "loan_id")
    loan_days = loan_days.filter(
        loan_days.business_date >= loan_days.opening, loan_days.business_date <= loan_days["last"]
    )
    begun = loans.group_by(*keys).agg(begun=loans.disbursed_on.min())
    closed = loan_days.group_by(*keys).agg(
        closed_days=loan_days.business_date.nunique(where=loan_days.business_date > loan_days.opening),
        opened=loan_days.business_date.min() == loan_days.opening.max(),
    )
    daily = loan_days.group_by(*keys, "currency", "business_date", "opening", "last").agg(
        **{name: money(loan_days[name].sum()) for name in revenue.LOSSES}
    )
    rows = daily.inner_join(begun, keys).inner_join(closed, keys)
    rows = rows.mutate(first=(rows.opening + ibis.interval(days=1)).cast("date"))
    rows = rows.mutate(days=rows["last"].delta(ibis.greatest(rows["first"], rows.begun), unit="day") + 1)
    rows = rows.filter(rows.opened | (rows.begun > rows.opening))
    losses = revenue.losses_of(rows, ["scope_id", "currency", "last"])
    return losses.select(
        "scope_id",
        "currency",
        "net_charge_off_rate",
        business_date=losses["last"],
        charge_off_rate=annualised(losses.charged_off, losses.average_balance, losses.days),
    )
