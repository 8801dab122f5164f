"""What the page Today shows of the lake."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables

_MEASURES = ("balance", "loans", "past_due", "par_30", "health_score")
"""The numbers that are compared with the day before."""


def changes_of_scopes(lake: Tables, scope: str, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The numbers of every id of a scope (`all`, `portfolio`, …) on the day, with those of the day before.

    Returns:
        subject (the scope_id), name, currency, and for each of balance, loans, past_due, par_30 and health_score its
        value and `<name>_before`, which is null if the day before has no such row. The largest balances first.
    """
    rows = lake.table("portfolio_snapshots")
    rows = rows.filter(rows.scope == scope).select(
        "business_date",
        "currency",
        "par_30",
        "health_score",
        subject="scope_id",
        name=rows.name.fill_null(rows.scope_id),
        balance="total_balance",
        loans="loan_count",
        past_due="past_due_amount",
    )
    return _compared(rows, day, before)


def changes_of_managers(lake: Tables, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The same for loan officers and team leaders. past_due is null, because their snapshots do not have it."""
    rows = lake.table("manager_snapshots")
    rows = rows.select(
        "business_date",
        "currency",
        "par_30",
        "health_score",
        subject="manager_id",
        name="manager_id",
        balance="total_outstanding",
        loans="active_loans",
        past_due=ibis.null("decimal(18, 2)"),
    )
    return _compared(rows, day, before)


def breaks(lake: Tables, day: ir.DateValue) -> ir.Table:
    """The control accounts that do not tie out on the day, the largest difference first."""
    rows = lake.table("ledger_tieouts")
    rows = rows.filter(rows.business_date == day, rows["difference"] != 0)
    rows = rows.order_by(ibis.desc(rows["difference"].abs()), "control_for", "currency")
    return rows.select("control_for", "currency", "ledger_balance", "subledger_balance", "difference")


def _compared(rows: ir.Table, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The rows of the day beside those of the day before."""
    now = rows.filter(rows.business_date == day)
    then = rows.filter(rows.business_date == before).select(
        "subject", "currency", **{f"{name}_before": name for name in _MEASURES}
    )
    found = now.left_join(then, ["subject", "currency"], rname="{name}_then")
    names = [each for measure in _MEASURES for each in (measure, f"{measure}_before")]
    return found.select("subject", "name", "currency", *names).order_by(ibis.desc("balance"), "subject", "currency")
