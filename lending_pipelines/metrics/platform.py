"""The peer lending platform on given days: users, wallets, tickets, and payments through its gateway.

Amounts are separate for each asset type (a currency or a token) and never summed across types. An event counts from the
end of its day, midnight in the lender's time zone. `days` is a table of business_date and ends_at (instants.calendar).
Each activity has its own table, so that missing data of a source is null, not zero (parts.add_up).
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import instants
from lending_pipelines.metrics.as_json import as_json
from lending_pipelines.metrics.money import as_count, money
from lending_pipelines.metrics.parts import add_up
from lending_pipelines.metrics.timeline import as_date
from lending_pipelines.tables.schema import MONEY

SOURCES = ("users", "tickets", "wallets", "wallet_transactions", "gateway_payments")
"""The tables that platform_activity needs in addition to loan_positions. A source may have none of them."""

NEW_USER_DAYS = 30
"""A user counts as new on this number of days: on the day of joining and the days after it."""

TICKETS = ("total_tickets", "open_tickets", "completed_tickets", "cancelled_tickets")
"""The counts of tickets."""

ACTIVITY = ("total_users", "new_users", "active_loans", *TICKETS)
"""The counts per day over all asset types."""

ASSETS = {"wallets": "int64", "wallet_balance": MONEY, **dict.fromkeys(TICKETS, "int64"), "total_volume": MONEY}
"""The counts and sums per day and asset type."""

_COUNTS = dict.fromkeys(TICKETS, "int64")


def platform_activity(
    positions: ir.Table, read: Callable[[str], ir.Table], first: date, last: date, timezone: str
) -> ir.Table:
    """The table platform_activity for the days first..last of `positions`; `read` returns each of SOURCES by name.

    A currency has a row from its first loan or verified payment on.
    """
    days = instants.calendar([first + timedelta(days=n) for n in range((last - first).days + 1)], timezone)
    users, sold, paid = read("users"), read("tickets"), read("gateway_payments")
    verified = payments(paid, days).filter(ibis._.status == "verified")
    counted = positions.group_by("business_date", "currency").agg(active_loans=_number(positions.status == "active"))
    parts = [counted, verified.select("business_date", "currency", total_volume="amount")]
    rows = add_up(parts, {"active_loans": "int64", "total_volume": MONEY}, "business_date", "currency")
    whole = add_up(
        [days.select("business_date"), joined(users, days, NEW_USER_DAYS), tickets(sold, days)],
        {"total_users": "int64", "new_users": "int64", **_COUNTS},
        "business_date",
    )
    wallets = _balances_as_json(read, days)
    rows = rows.left_join(whole, "business_date", rname="{name}_of_all")
    rows = rows.left_join(wallets, "business_date", rname="{name}_of_wallets")
    kept = {
        **dict.fromkeys(("total_users", "new_users"), _has_rows(users)),
        **dict.fromkeys(TICKETS, _has_rows(sold)),
        "total_volume": _has_rows(paid),
    }
    return rows.mutate(**{name: there.ifelse(rows[name], ibis.null(rows[name].type())) for name, there in kept.items()})


def activity(days: ir.Table, *parts: ir.Table) -> ir.Table:
    """Sum ACTIVITY per business_date of `days` over the given results of `joined`, `active_loans` and `tickets`."""
    return add_up([days.select("business_date"), *parts], dict.fromkeys(ACTIVITY, "int64"), "business_date")


def by_asset_type(*parts: ir.Table) -> ir.Table:
    """Sum ASSETS per business_date and asset_type over the given results of `opened`, `balances` and `tickets`."""
    return add_up(parts, ASSETS, "business_date", "asset_type")


def joined(users: ir.Table, days: ir.Table, window_days: int) -> ir.Table:
    """business_date, total_users (joined by the day), new_users (joined on the `window_days` days up to it)."""
    one = ibis.literal(1, "int64")
    comes = users.select(on="joined_on", total_users=one, new_users=one)
    ages = users.select(
        on=as_date(users.joined_on + ibis.interval(days=window_days)),
        total_users=ibis.literal(0, "int64"),
        new_users=ibis.literal(-1, "int64"),
    )
    changes = _by_the_day(comes.union(ages), days)
    return _running(changes, days, {"total_users": "int64", "new_users": "int64"})


def active_loans(positions: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, active_loans."""
    rows = positions.semi_join(days, "business_date")
    return rows.group_by("business_date").agg(active_loans=_number(rows.status == "active"))


def tickets(tickets: ir.Table, days: ir.Table) -> ir.Table:
    """Offers and requests per business_date and asset_type: TICKETS, and total_volume, the amount of completed tickets.

    Tickets opened by the day are counted. A ticket is open if it was not closed by the day. A ticket that is closed
    without a date counts as closed when it was opened.
    """
    none, one, nothing = ibis.literal(0, "int64"), ibis.literal(1, "int64"), ibis.literal(0, MONEY)
    opens = tickets.select(
        "asset_type",
        on="opened_on",
        total_tickets=one,
        open_tickets=one,
        completed_tickets=none,
        cancelled_tickets=none,
        total_volume=nothing,
    )
    ended = tickets.filter(tickets.status != "open")
    completed = ended.status == "completed"
    ends = ended.select(
        "asset_type",
        # A closing date before the opening date counts on the opening date.
        on=ibis.greatest(ibis.coalesce(ended.closed_on, ended.opened_on), ended.opened_on),
        total_tickets=none,
        open_tickets=ibis.literal(-1, "int64"),
        completed_tickets=completed.cast("int64"),
        cancelled_tickets=(ended.status == "cancelled").cast("int64"),
        total_volume=completed.ifelse(ended.amount, nothing),
    )
    changes = _by_the_day(opens.union(ends), days)
    return _running(changes, days, {**_COUNTS, "total_volume": MONEY}, "asset_type")


def opened(wallets: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, asset_type, wallets (opened by the day)."""
    rows = wallets.select("asset_type", on="opened_on", wallets=ibis.literal(1, "int64"))
    return _running(_by_the_day(rows, days), days, {"wallets": "int64"}, "asset_type")


def balances(wallet_transactions: ir.Table, wallets: ir.Table, days: ir.Table) -> ir.Table:
    """business_date, asset_type, wallet_balance (the sum of the movements by the day)."""
    moved = wallet_transactions.inner_join(wallets.select("wallet_id", "asset_type"), "wallet_id")
    rows = moved.select("asset_type", at="occurred_at", wallet_balance="amount")
    return _running(_by_the_end(rows, days), days, {"wallet_balance": MONEY}, "asset_type")


def payments(gateway_payments: ir.Table, days: ir.Table) -> ir.Table:
    """Payments made by the day per business_date, currency and current status: payments, amount."""
    rows = gateway_payments.select("currency", "status", "amount", at="paid_at", payments=ibis.literal(1, "int64"))
    measures = {"payments": "int64", "amount": MONEY}
    return _running(_by_the_end(rows, days), days, measures, "currency", "status")


def _by_the_day(rows: ir.Table, days: ir.Table) -> ir.Table:
    """Each row with the first of `days` on or after the row's date `on`. Rows after the last day are left out."""
    spans = _spans(days, "business_date")
    return rows.inner_join(spans, [rows.on <= spans.ends, (rows.on > spans.begins) | spans.begins.isnull()])


def _by_the_end(rows: ir.Table, days: ir.Table) -> ir.Table:
    """Each row with the first of `days` that ends after the row's timestamp `at`. Rows after the last are left out."""
    spans = _spans(days, "ends_at")
    return rows.inner_join(spans, [rows.at < spans.ends, (rows.at >= spans.begins) | spans.begins.isnull()])


def _spans(days: ir.Table, end: str) -> ir.Table:
    """business_date, ends (its column `end`), begins (that of the previous row of `days`; null for the first)."""
    order = ibis.window(order_by="business_date")
    return days.select("business_date", ends=days[end], begins=days[end].lag().over(order))


def _running(changes: ir.Table, days: ir.Table, measures: Mapping[str, str], *by: str) -> ir.Table:
    """The sums of the changes up to each of `days`, per group from the group's first change on."""
    sums = changes.group_by("business_date", *by).agg(
        **{name: changes[name].sum() for name in measures}, changes=changes.count()
    )
    grid = days.select("business_date")
    if by:
        grid = grid.cross_join(sums.select(*by).distinct())
    rows = grid.left_join(sums, ["business_date", *by])
    window = ibis.window(group_by=by or None, order_by="business_date", rows=(None, 0))
    totals = rows.select(
        "business_date",
        *by,
        **{
            name: (money if type_ == MONEY else as_count)(rows[name].fill_null(0).sum().over(window))
            for name, type_ in measures.items()
        },
        changes=rows.changes.fill_null(0).sum().over(window),
    )
    return totals.filter(totals.changes > 0).drop("changes")


def _balances_as_json(read: Callable[[str], ir.Table], days: ir.Table) -> ir.Table:
    """business_date, wallet_balances: a JSON array of objects with asset_type and balance, by asset type."""
    rows = balances(read("wallet_transactions"), read("wallets"), days)
    entry = ibis.struct({"asset_type": rows.asset_type, "balance": rows.wallet_balance})
    # Sorted as an array, because Spark does not order text aggregates.
    per_day = rows.group_by("business_date").agg(entries=entry.collect())
    return per_day.select("business_date", wallet_balances=as_json(per_day.entries.sort()))


def _has_rows(table: ir.Table) -> ir.BooleanScalar:
    return table.count().as_scalar() > 0


def _number(holds: ir.BooleanColumn) -> ir.IntegerScalar:
    return as_count(holds.cast("int64").sum())
