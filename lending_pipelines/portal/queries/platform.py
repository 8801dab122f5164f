"""What the page Platform shows: the daily table of activity, and revenue and transactions of days and months."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import platform
from lending_pipelines.portal.lake.scoped_lake import Tables
from lending_pipelines.tables.schema import MONEY


def activity(lake: Tables, first: ir.DateValue, last: ir.DateValue) -> ir.Table:
    """The rows of platform_activity in a range of days."""
    rows = lake.table("platform_activity")
    return rows.filter(rows.business_date.between(first, last)).order_by("business_date", "currency")


def segments(lake: Tables) -> ir.Table:
    """The segments of users."""
    return lake.table("users").select("segment").distinct().order_by("segment")


def users_of(lake: Tables, day: ir.DateValue, ends_at: ir.TimestampValue, segment: ir.StringValue) -> ir.Table:
    """total_users and new_users of a segment on a day."""
    return platform.joined(_users(lake, segment), _calendar(lake, day, ends_at), platform.NEW_USER_DAYS)


def tickets_of(lake: Tables, day: ir.DateValue, ends_at: ir.TimestampValue, segment: ir.StringValue) -> ir.Table:
    """Tickets of a segment's users on a day, per asset type."""
    rows = lake.table("tickets").semi_join(_users(lake, segment), "user_id")
    return platform.tickets(rows, _calendar(lake, day, ends_at)).order_by("asset_type")


def wallets_of(lake: Tables, day: ir.DateValue, ends_at: ir.TimestampValue, segment: ir.StringValue) -> ir.Table:
    """Wallet balances of a segment's users on a day, per asset type."""
    wallets = lake.table("wallets").semi_join(_users(lake, segment), "user_id")
    return platform.balances(lake.table("wallet_transactions"), wallets, _calendar(lake, day, ends_at)).order_by(
        "asset_type"
    )


def payments_of(lake: Tables, day: ir.DateValue, ends_at: ir.TimestampValue, segment: ir.StringValue) -> ir.Table:
    """Gateway payments of a segment's users by a day, per currency and status."""
    rows = lake.table("gateway_payments").semi_join(_users(lake, segment), "user_id")
    return platform.payments(rows, _calendar(lake, day, ends_at)).order_by("currency", "status")


def active_loans_of(lake: Tables, day: ir.DateValue, segment: ir.StringValue) -> ir.Table:
    """Active loans of a segment's users on a day, per currency. The lake must show borrowers."""
    rows = _of_segment(lake, lake.table("loan_positions"), segment)
    rows = rows.filter(rows.business_date == day, rows.status == "active")
    return rows.group_by("currency").agg(active_loans=rows.count()).order_by("currency")


def daily(lake: Tables, of: str, before: ir.DateValue, last: ir.DateValue, **segment: ir.StringValue) -> ir.Table:
    """Revenue and transactions of each closed day after `before`, per currency.

    Args:
        lake: The tables; they must show borrowers if there is a segment.
        of: `all`, or `segment` for the loans of a segment's users.
        before: The closed day from which the first change is counted.
        last: The last day.
        **segment: The segment.

    Returns:
        business_date, currency; interest (the change of interest earned), fees (assessed − waived, by their dates),
        revenue (both), collected (the change of total collected), transactions (their number). A change is null on the
        first closed day. Amounts dated on days that are not closed count on the next closed day.
    """
    positions = lake.table("loan_positions")
    if of == "segment":
        positions = _of_segment(lake, positions, segment["segment"])
    positions = positions.filter(positions.business_date.between(before, last))
    sums = positions.group_by("business_date", "currency").agg(
        earned=positions.interest_earned.sum(), collected=positions.total_collected.sum()
    )
    order = ibis.window(group_by="currency", order_by="business_date")
    days = sums.select(
        "business_date",
        "currency",
        begins=sums.business_date.lag().over(order),
        interest=(sums.earned - sums.earned.lag().over(order)).cast(MONEY),
        collected=(sums.collected - sums.collected.lag().over(order)).cast(MONEY),
    )
    loans = positions.select("loan_id", "currency").distinct()
    dated = ibis.union(*_dated(lake))
    dated = dated.inner_join(loans, "loan_id")
    within = dated.inner_join(
        days, [dated.currency == days.currency, dated.on <= days.business_date, dated.on > days.begins]
    )
    events = within.group_by("business_date", "currency").agg(
        fees=within.fees.sum().cast(MONEY), transactions=within.transactions.sum()
    )
    rows = days.filter(days.business_date > before).left_join(
        events, ["business_date", "currency"], rname="{name}_of_events"
    )
    # Without the table fees, the fees are unknown, not zero.
    fees = rows.fees.fill_null(0).cast(MONEY) if lake.has("fees") else ibis.null(MONEY)
    return rows.select(
        "business_date",
        "currency",
        "interest",
        "collected",
        fees=fees,
        revenue=(rows.interest + fees).cast(MONEY),
        transactions=rows.transactions.fill_null(0),
    ).order_by("business_date", "currency")


def _dated(lake: Tables) -> list[ir.Table]:
    """loan_id, on, fees and transactions of every transaction and fee."""
    none, nothing = ibis.literal(0, "int64"), ibis.literal(0, MONEY)
    moves = lake.table("transactions")
    parts = [moves.select("loan_id", on="effective_on", fees=nothing, transactions=ibis.literal(1, "int64"))]
    if lake.has("fees"):
        fees = lake.table("fees")
        waived = fees.filter(fees.waived_on.notnull())
        parts.append(fees.select("loan_id", on="assessed_on", fees="amount", transactions=none))
        parts.append(waived.select("loan_id", on="waived_on", fees=-waived.waived_amount, transactions=none))
    return [part.mutate(fees=part.fees.cast(MONEY)) for part in parts]


def _of_segment(lake: Tables, rows: ir.Table, segment: ir.StringValue) -> ir.Table:
    return rows.semi_join(_users(lake, segment).select("borrower_id"), "borrower_id")


def _users(lake: Tables, segment: ir.StringValue) -> ir.Table:
    users = lake.table("users")
    return users.filter(users.segment == segment)


def _calendar(lake: Tables, day: ir.DateValue, ends_at: ir.TimestampValue) -> ir.Table:
    """One row, the input of metrics/platform.py: a closed day and its end."""
    closed = lake.table("closed_days")
    closed = closed.filter(closed.table_name == "loan_positions", closed.business_date == day)
    return closed.select("business_date", ends_at=ends_at)
