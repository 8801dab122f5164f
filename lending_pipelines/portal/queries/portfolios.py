"""What the pages Portfolios show of the lake: snapshots, aging and transitions of a scope, and losses by vintage."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import vintages
from lending_pipelines.metrics.scopes import DIMENSIONS
from lending_pipelines.portal.lake.scoped_lake import Tables
from lending_pipelines.tables.derived import TRANSITION_ENTRY

_COMPARED = ("total_balance", "loan_count", "par_30", "irr")
"""The numbers that are compared with those of an earlier day."""

TREND = ("total_balance", "loan_count", "past_due_amount", "par_30", "par_60", "par_90", "irr", "moic", "health_score")
"""The numbers of a scope by day."""


def of_level(lake: Tables, level: str, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The snapshots of every id of a level (`all`, `portfolio`, …) on the day, the largest balance first.

    Returns:
        The columns of portfolio_snapshots, `name` never null, and for each of total_balance, loan_count, par_30 and irr
        `<name>_before`, its value on the other day, null if it has no such row.
    """
    rows = lake.table("portfolio_snapshots")
    rows = rows.filter(rows.scope == level)
    return _compared(rows, day, before).order_by(ibis.desc("total_balance"), "scope_id", "currency")


def one(lake: Tables, level: str, scope_id: ir.StringValue, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """Like `of_level` for one scope: a row per currency, the largest balance first."""
    return _compared(_of_scope(lake, "portfolio_snapshots", level, scope_id), day, before).order_by(
        ibis.desc("total_balance"), "currency"
    )


def trends(lake: Tables, level: str, since: ir.DateValue) -> ir.Table:
    """scope_id, currency, business_date, total_balance and par_30 of a level by day."""
    rows = lake.table("portfolio_snapshots")
    rows = rows.filter(rows.scope == level, rows.business_date >= since)
    return rows.select("scope_id", "currency", "business_date", "total_balance", "par_30").order_by(
        "scope_id", "currency", "business_date"
    )


def history(
    lake: Tables, level: str, scope_id: ir.StringValue, currency: ir.StringValue, since: ir.DateValue
) -> ir.Table:
    """business_date and the numbers TREND of a scope by day."""
    rows = _of_scope(lake, "portfolio_snapshots", level, scope_id)
    rows = rows.filter(rows.currency == currency, rows.business_date >= since)
    return rows.select("business_date", *TREND).order_by("business_date")


def aging(
    lake: Tables, level: str, scope_id: ir.StringValue, currency: ir.StringValue, since: ir.DateValue
) -> ir.Table:
    """business_date, bucket, loan_count, principal_outstanding and balance_share of a scope by day."""
    rows = _of_scope(lake, "aging_buckets", level, scope_id)
    rows = rows.filter(rows.currency == currency, rows.business_date >= since)
    return rows.select("business_date", "bucket", "loan_count", "principal_outstanding", "balance_share").order_by(
        "business_date"
    )


def transitions(
    lake: Tables, level: str, scope_id: ir.StringValue, currency: ir.StringValue, day: ir.DateValue
) -> ir.Table:
    """The movements between buckets up to the day: from_date, from_bucket, to_bucket, loan_count and the two rates."""
    rows = _of_scope(lake, "aging_transitions", level, scope_id)
    rows = rows.filter(rows.currency == currency, rows.business_date == day, rows.from_bucket != TRANSITION_ENTRY)
    return rows.select("from_date", "from_bucket", "to_bucket", "loan_count", "count_rate", "balance_rate")


def losses_by_age(
    lake: Tables,
    level: str,
    months: int,
    conventions: Conventions,
    day: ir.DateValue,
    scope_id: ir.StringValue | None = None,
) -> ir.Table:
    """Cumulative net loss of each quarterly pool of a scope by months on book, as in the report vintage_analysis.

    The level `all` has no scope_id.

    Returns:
        currency, pool, months_on_book, original_principal, net_loss, net_loss_rate.
    """
    positions = lake.table("loan_positions")
    positions = positions.filter(positions.business_date == day)
    loans = positions if level == "all" else positions.filter(positions[DIMENSIONS[level]] == scope_id)
    # Past due principal by age is not shown, so it is computed from no positions.
    rows = vintages.curves(
        vintages.pooled(loans, "quarter"), lake.table("loan_losses"), positions.limit(0), day, months, conventions
    )
    return rows.select(
        "currency", "pool", "months_on_book", "original_principal", "net_loss", "net_loss_rate"
    ).order_by("currency", "pool", "months_on_book")


def most_past_due(
    lake: Tables, level: str, currency: ir.StringValue, day: ir.DateValue, scope_id: ir.StringValue | None = None
) -> ir.Table:
    """The ten loans of a scope with the largest past due amount on the day. The level `all` has no scope_id."""
    rows = lake.table("loan_positions")
    rows = rows.filter(rows.business_date == day, rows.currency == currency, rows.past_due_amount > 0)
    if level != "all":
        rows = rows.filter(rows[DIMENSIONS[level]] == scope_id)
    rows = rows.order_by(ibis.desc("past_due_amount"), "loan_id").limit(10)
    return rows.select(
        "loan_id", "status", "currency", "principal_outstanding", "past_due_amount", "days_past_due", "bucket"
    )


def _of_scope(lake: Tables, table: str, level: str, scope_id: ir.StringValue) -> ir.Table:
    rows = lake.table(table)
    return rows.filter(rows.scope == level, rows.scope_id == scope_id)


def _compared(rows: ir.Table, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The rows of the day beside the compared numbers of another day."""
    then = rows.filter(rows.business_date == before).select(
        "scope_id", "currency", **{f"{name}_before": name for name in _COMPARED}
    )
    now = rows.filter(rows.business_date == day)
    now = now.mutate(name=now.name.fill_null((now.scope == "all").ifelse("All loans", now.scope_id)))
    found = now.left_join(then, ["scope_id", "currency"], rname="{name}_then")
    return found.select(*now.columns, *(f"{name}_before" for name in _COMPARED))
