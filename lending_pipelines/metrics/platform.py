"""The peer lending platform on given days: users, wallets, tickets, and payments through its gateway.

Amounts are separate for each asset type (a currency or a token) and never summed across types. An event counts from the
end of its day, midnight in the lender's time zone. `days` is a table of business_date and ends_at (instants.calendar).
Each activity has its own table, so that missing data of a source is null, not zero (parts.add_up).
"""

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.parts import add_up
from lending_pipelines.metrics.timeline import as_date
from lending_pipelines.tables.schema import MONEY

TICKETS = ("total_tickets", "open_tickets", "completed_tickets", "cancelled_tickets")
ACTIVITY = ("total_users", "new_users", "active_loans", *TICKETS)
"""The counts per day over all asset types."""

ASSETS = {"wallets": "int64", "wallet_balance": MONEY, **dict.fromkeys(TICKETS, "int64"), "total_volume": MONEY}
"""The counts and sums per day and asset type."""


def activity(days: ir.Table, *parts: ir.Table) -> ir.Table:
    """Sum ACTIVITY per business_date of `days` over the given results of `joined`, `active_loans` and `tickets`."""
    return add_up([days.select("business_date"), *parts], dict.fromkeys(ACTIVITY, "int64"), "business_date")


def by_asset_type(*parts: ir.Table) -> ir.Table:
    """Sum ASSETS per business_date and asset_type over the given results of `opened`, `balances` and `tickets`."""
    return add_up(parts, ASSETS, "business_date", "asset_type")


def joined(users: ir.Table, days: ir.Table, window_days: int) -> ir.Table:
    """business_date, total_users (joined by the day), new_users (joined on the `window_days` days up to it)."""
    rows = _by_the_day(users, users.joined_on, days)
    before = as_date(rows.business_date - ibis.interval(days=window_days))
    return rows.group_by("business_date").agg(total_users=rows.count(), new_users=_number(rows.joined_on > before))


def active_loans(positions: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, active_loans."""
    rows = positions.semi_join(days, "business_date")
    return rows.group_by("business_date").agg(active_loans=_number(rows.status == "active"))


def tickets(tickets: ir.Table, days: ir.Table) -> ir.Table:
    """Offers and requests per business_date and asset_type: TICKETS, and total_volume, the amount of completed tickets.

    Tickets opened by the day are counted. A ticket is open if it was not closed by the day. A ticket that is closed
    without a date counts as closed when it was opened.
    """
    closed_on = ibis.coalesce(tickets.closed_on, tickets.opened_on)
    dated = tickets.mutate(ended_on=(tickets.status == "open").ifelse(ibis.null("date"), closed_on))
    rows = _by_the_day(dated, dated.opened_on, days)
    ended = (rows.ended_on <= rows.business_date).fill_null(False)
    completed = ended & (rows.status == "completed")
    return rows.group_by("business_date", "asset_type").agg(
        total_tickets=rows.count(),
        open_tickets=_number(~ended),
        completed_tickets=_number(completed),
        cancelled_tickets=_number(ended & (rows.status == "cancelled")),
        total_volume=money(ibis.coalesce(rows.amount.sum(where=completed), ZERO)),
    )


def opened(wallets: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, asset_type, wallets (opened by the day)."""
    rows = _by_the_day(wallets, wallets.opened_on, days)
    return rows.group_by("business_date", "asset_type").agg(wallets=rows.count())


def balances(wallet_transactions: ir.Table, wallets: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, asset_type, wallet_balance (the sum of the movements by the day)."""
    moved = wallet_transactions.inner_join(wallets.select("wallet_id", "asset_type"), "wallet_id")
    rows = _by_the_end(moved, moved.occurred_at, days)
    return rows.group_by("business_date", "asset_type").agg(wallet_balance=money(rows.amount.sum()))


def payments(gateway_payments: ir.Table, days: ir.Table) -> ir.Table:
    """Payments made by the day per business_date, currency and current status: payments, amount."""
    rows = _by_the_end(gateway_payments, gateway_payments.paid_at, days)
    return rows.group_by("business_date", "currency", "status").agg(
        payments=rows.count(), amount=money(rows.amount.sum())
    )


def _by_the_day(rows: ir.Table, on: ir.DateColumn, days: ir.Table) -> ir.Table:
    """Each row once for every day on or after its date."""
    pairs = rows.mutate(happened_on=on).cross_join(days)
    return pairs.filter(pairs.happened_on <= pairs.business_date)


def _by_the_end(rows: ir.Table, at: ir.TimestampColumn, days: ir.Table) -> ir.Table:
    """Each row once for every day that ends after its timestamp."""
    pairs = rows.mutate(happened_at=at).cross_join(days)
    return pairs.filter(pairs.happened_at < pairs.ends_at)


def _number(holds: ir.BooleanColumn) -> ir.IntegerScalar:
    return as_count(holds.cast("int64").sum())
