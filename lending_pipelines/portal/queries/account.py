"""A customer's own wallets, tickets, loans and activity. The person's scope limits all tables to their rows."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables
from lending_pipelines.tables.schema import MONEY


def wallets(lake: Tables) -> ir.Table:
    """Each wallet with its balance, the sum of its movements, and the time of the last one."""
    moves = lake.table("wallet_transactions")
    sums = moves.group_by("wallet_id").agg(
        balance=moves.amount.sum().cast(MONEY), moved_at=moves.occurred_at.max(), moves=moves.count()
    )
    rows = lake.table("wallets").left_join(sums, "wallet_id", rname="{name}_of_moves")
    return rows.select(
        "wallet_id",
        "asset_type",
        "opened_on",
        "moved_at",
        balance=rows.balance.fill_null(0).cast(MONEY),
        moves=rows.moves.fill_null(0),
    ).order_by("asset_type", "wallet_id")


def movements(lake: Tables) -> ir.Table:
    """The movements of the wallets, each with the balance after it."""
    moves = lake.table("wallet_transactions")
    wallets = lake.table("wallets").select("wallet_id", "asset_type")
    rows = moves.inner_join(wallets, "wallet_id")
    upto = ibis.window(group_by="wallet_id", order_by=["occurred_at", "wallet_transaction_id"], rows=(None, 0))
    return rows.select(
        "wallet_transaction_id",
        "wallet_id",
        "asset_type",
        "occurred_at",
        "amount",
        balance=rows.amount.sum().over(upto).cast(MONEY),
    )


def trends(lake: Tables, most: int) -> ir.Table:
    """wallet_id and balance after each of the last movements, at most `most` per wallet, the earliest first."""
    rows = movements(lake)
    latest = [ibis.desc("occurred_at"), ibis.desc("wallet_transaction_id")]
    rows = rows.mutate(place=ibis.row_number().over(group_by="wallet_id", order_by=latest))
    rows = rows.filter(rows.place < most)
    return rows.order_by("wallet_id", ibis.desc("place")).select("wallet_id", "balance")


def tickets(lake: Tables) -> ir.Table:
    """The tickets, those that are open first, then the latest."""
    rows = lake.table("tickets")
    columns = ("ticket_id", "asset_type", "side", "amount", "status", "opened_on", "closed_on")
    order = [ibis.desc(rows.status == "open"), ibis.desc("opened_on"), "ticket_id"]
    return rows.order_by(order).select(*columns).limit(500)


def loans(lake: Tables, day: ir.DateValue) -> ir.Table:
    """The loans on a day with what is due next, active ones first."""
    rows = lake.table("loan_positions")
    rows = rows.filter(rows.business_date == day)
    order = [ibis.desc(rows.status == "active"), rows.next_due_on.isnull(), "next_due_on", "loan_id"]
    return rows.order_by(order).select(
        "loan_id",
        "currency",
        "status",
        "principal_outstanding",
        "past_due_amount",
        "days_past_due",
        "next_due_on",
        "next_due_amount",
    )


def activity(lake: Tables, size: int) -> ir.Table:
    """The latest payments, tickets and movements of wallets: on, kind, what, amount, currency; the latest first."""
    parts = []
    if lake.has("transactions"):
        rows = lake.table("transactions")
        loans = lake.table("loans").select("loan_id", "currency")
        rows = rows.inner_join(loans, "loan_id", rname="{name}_of_loan")
        parts.append(_part(rows, rows.effective_on, "loan", rows.type, rows.amount, rows.currency, rows.loan_id))
    if lake.has("tickets"):
        rows = lake.table("tickets")
        opened = rows.side + " ticket opened"
        parts.append(_part(rows, rows.opened_on, "ticket", opened, rows.amount, rows.asset_type, rows.ticket_id))
        ended = rows.filter(rows.closed_on.notnull())
        what = ended.side + " ticket " + ended.status
        parts.append(_part(ended, ended.closed_on, "ticket", what, ended.amount, ended.asset_type, ended.ticket_id))
    if lake.has("wallet_transactions"):
        rows = movements(lake)
        on = rows.occurred_at.date()
        what = (rows.amount >= 0).ifelse("paid into the wallet", "paid out of the wallet")
        parts.append(_part(rows, on, "wallet", what, rows.amount, rows.asset_type, rows.wallet_id))
    if lake.has("gateway_payments"):
        rows = lake.table("gateway_payments")
        what = "payment " + rows.status
        parts.append(_part(rows, rows.paid_at.date(), "payment", what, rows.amount, rows.currency, rows.payment_id))
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.order_by(ibis.desc("on"), "kind", "about", "what", "amount").limit(size)


def _part(
    rows: ir.Table,
    on: ir.Value,
    kind: str,
    what: ir.Value,
    amount: ir.Value,
    currency: ir.Value,
    about: ir.Value,
) -> ir.Table:
    """The rows with the columns of `activity`."""
    return rows.select(
        on=on.cast("date"),
        kind=ibis.literal(kind),
        what=what.cast("string"),
        amount=amount.cast(MONEY),
        currency=currency.cast("string"),
        about=about.cast("string"),
    )
