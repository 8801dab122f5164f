"""Transactions signed by type, cumulative amounts over time, and the transactions that are in force.

A reversal has the opposite amounts of its transaction, from its own effective_on; reversing a reversal restores the
transaction. Effects of charge-offs on other transactions are in charge_offs.py.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, money, wide

CHARGE_OFFS = ("charge_off", "write_off")
"""The transaction types whose principal is charged off."""

RECOVERED_PAYMENT = "recovered_payment"
"""The type of the rows that move a repayment or refund to recoveries (made in charge_offs.py)."""

RECOVERIES = ("recovery", RECOVERED_PAYMENT)
"""The types of rows whose amount is recovered."""

LONGEST_CHAIN = 2
"""The longest chain of reversals that counts: the reversal of a reversal. Checks reject longer ones."""

AMOUNTS = (
    "principal_disbursed",
    "principal_capitalized",
    "principal_paid",
    "interest_paid",
    "fees_paid",
    "principal_charged_off",
    "principal_forgiven",
    "recovered",
    "interest_waived",
    "interest_capitalized",
)
"""The cumulative amounts that `amounts` returns."""

PRINCIPAL = (
    "principal_disbursed",
    "principal_capitalized",
    "principal_paid",
    "principal_charged_off",
    "principal_forgiven",
)
"""The AMOUNTS that make up principal_outstanding."""

INTEREST_SETTLED = ("interest_paid", "interest_waived", "interest_capitalized")
"""The AMOUNTS that settle interest."""

_UNSIGNED = ("principal", "interest", "fees", "amount")
_SIGNED = ("loan_id", "type", "channel", "on", "root_on", "is_reversal", "sign", *_UNSIGNED)
"""The columns of `signed`."""


def known(rows: ir.Table, known_at: ir.TimestampScalar | None) -> ir.Table:
    """The rows that the servicing system had recorded by `known_at`; all rows if it is None."""
    return rows if known_at is None else rows.filter(rows.posted_at <= known_at)


def signed(transactions: ir.Table, last: date, only: Callable[[ir.Table], ir.Table] = lambda rows: rows) -> ir.Table:
    """Transactions effective by `last`, with reversals resolved.

    Args:
        transactions: The table transactions.
        last: The last day.
        only: A filter. Filter with it instead of on the result: the engine can then push the filter down.

    Returns:
        loan_id; type and channel of the root, which is the transaction itself or, for a reversal, the transaction at
        the end of its chain of reversals; on, the row's own effective_on; root_on, the root's effective_on;
        is_reversal; sign (+1 or −1); and unsigned principal, interest, fees and amount.
    """
    return ibis.union(_plain(only(transactions), last), only(reversals(transactions, last)))


def _plain(transactions: ir.Table, last: date) -> ir.Table:
    """The transactions that are not reversals, with the columns of `signed`."""
    own = {
        "on": "effective_on",
        "root_on": "effective_on",
        "is_reversal": ibis.literal(False),
        "sign": ibis.literal(1, "int8"),
    }
    rows = transactions.filter(transactions.type != "reversal", transactions.effective_on <= last)
    return rows.select(**{name: own.get(name, name) for name in _SIGNED})


def reversals(transactions: ir.Table, last: date) -> ir.Table:
    """The reversals, with the columns of `signed`."""
    rows = transactions.filter(transactions.type == "reversal")
    # Not filtered: DuckDB would expect fewer roots than reversals, and build its hash table of the roots.
    roots = transactions.select("type", "channel", root_on="effective_on", root_id="transaction_id")
    own = {"on": "effective_on", "is_reversal": ibis.literal(True)}
    rows = rows.drop("type", "channel").inner_join(_chains(rows), "transaction_id").inner_join(roots, "root_id")
    rows = rows.filter(rows.effective_on <= last)
    return rows.select(**{name: own.get(name, name) for name in _SIGNED})


def _chains(reversals: ir.Table) -> ir.Table:
    """What each reversal reverses in the end: transaction_id (of the reversal), root_id and sign.

    The first step of a chain has sign -1 and the root_id of what is reversed directly. If that is a reversal too, the
    next step has sign +1 and the root_id of what that one reverses. Only the step whose root_id is no reversal is kept.
    """
    # `distinct` makes the engine compute the links once for all uses.
    links = reversals.select(via="transaction_id", root_id="reverses_id").distinct()
    steps = [links.select(transaction_id="via", root_id="root_id", sign=ibis.literal(-1, "int8"))]
    for number in range(1, LONGEST_CHAIN):
        further = links.rename(further_id="root_id")
        chain = steps[-1].inner_join(further, [("root_id", "via")])
        steps.append(
            chain.select("transaction_id", root_id="further_id", sign=ibis.literal(1 if number % 2 else -1, "int8"))
        )
    return ibis.union(*(step.anti_join(links, [("root_id", "via")]) for step in steps))


def amounts(signed: ir.Table, first: date, last: date) -> ir.Table:
    """The level of cumulative amounts: loan_id, on, AMOUNTS (money), and payment_on, the date of the last repayment.

    Also drawn_first and drawn_last: the dates of the first and last disbursement among a row's changes (null: none).
    """
    drawn = signed.type == "disbursement"
    changes = signed.group_by("loan_id", on=ibis.greatest(signed.on, ibis.literal(first))).agg(
        **totals(signed),
        payment_on=signed.on.max(where=(signed.type == "repayment") & (signed.sign > 0)),
        drawn_first=signed.on.min(where=drawn),
        drawn_last=signed.on.max(where=drawn),
    )
    if first == last:
        # All changes count on the one day, so no running sum is needed.
        return changes
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    return changes.select(
        "loan_id",
        "on",
        **{name: money(changes[name].sum().over(running)) for name in AMOUNTS},
        payment_on=changes.payment_on.max().over(running),
        drawn_first="drawn_first",
        drawn_last="drawn_last",
    )


def amounts_at(signed: ir.Table, moments: ir.Table) -> ir.Table:
    """The cumulative amounts at the end of given days: loan_id, at, AMOUNTS; `moments` has loan_id and at."""
    until = signed.inner_join(moments, "loan_id")
    until = until.filter(until.on <= until["at"])
    return until.group_by("loan_id", "at").agg(**totals(until))


def totals(signed: ir.Table, names: Sequence[str] = AMOUNTS) -> dict[str, ir.DecimalScalar]:
    """The named AMOUNTS as sums over the rows of a group."""

    def total(value: ir.DecimalColumn, *types: str) -> ir.DecimalScalar:
        return money(ibis.coalesce(money((value * signed.sign).sum(where=signed.type.isin(types))), ZERO))

    def paid(value: ir.DecimalColumn) -> ir.DecimalScalar:
        return money(wide(total(value, "repayment")) - total(value, "refund") - total(value, RECOVERED_PAYMENT))

    sums = {
        "principal_disbursed": total(signed.principal, "disbursement"),
        "principal_capitalized": total(signed.interest + signed.fees, "capitalization"),
        "principal_paid": paid(signed.principal),
        "interest_paid": paid(signed.interest),
        "fees_paid": paid(signed.fees),
        "principal_charged_off": total(signed.principal, *CHARGE_OFFS),
        "principal_forgiven": total(signed.principal, "waiver"),
        "recovered": total(signed.amount, *RECOVERIES),
        "interest_waived": total(signed.interest, "waiver"),
        "interest_capitalized": total(signed.interest, "capitalization"),
    }
    return {name: sums[name] for name in names}


def principal_outstanding(rows: ir.Table) -> ir.DecimalColumn:
    """The outstanding principal, from the columns PRINCIPAL."""
    return money(
        wide(rows.principal_disbursed)
        + rows.principal_capitalized
        - rows.principal_paid
        - rows.principal_charged_off
        - rows.principal_forgiven
    )


def interest_settled(rows: ir.Table) -> ir.DecimalColumn:
    """The settled interest, from the columns INTEREST_SETTLED."""
    return money(wide(rows.interest_paid) + rows.interest_waived + rows.interest_capitalized)


def settled(rows: ir.Table) -> ir.DecimalColumn:
    """The settled scheduled amounts, from the columns AMOUNTS."""
    return money(wide(rows.principal_paid) + rows.principal_forgiven + interest_settled(rows))


def in_force(signed: ir.Table, value: ir.DecimalColumn, pick: Literal["earliest", "latest"], first: date) -> ir.Table:
    """The level of the earliest or latest date with events in force: loan_id, on, root_on, value.

    `value` is the signed amount of an event. A date whose events are all reversed is not in force; root_on is null when
    no date is in force. Use it only for the few loans with such events: it compares every change of a loan with all
    others.
    """
    events = signed.select("loan_id", "root_on", on=ibis.greatest(signed.on, ibis.literal(first)), value=value)
    moments = events.select("loan_id", "on").distinct()
    past = events.rename(event_on="on")
    live = moments.inner_join(past, [moments.loan_id == past.loan_id, past.event_on <= moments.on])
    live = live.group_by("loan_id", "on", "root_on").agg(value=live.value.sum())
    live = live.filter(live.value > 0)
    chosen = live.root_on.min() if pick == "earliest" else live.root_on.max()
    by_value = live.value.argmin(live.root_on) if pick == "earliest" else live.value.argmax(live.root_on)
    picked = live.group_by("loan_id", "on").agg(root_on=chosen, value=by_value)
    return moments.left_join(picked, ["loan_id", "on"]).select(moments.loan_id, moments.on, "root_on", "value")


def last_payments(transactions: ir.Table, amounts: ir.Table, first: date, last: date) -> ir.Table:
    """The level of the last repayment in force: loan_id, on, last_payment_on, last_payment_amount (all of that day).

    `amounts` is the level of cumulative amounts; its payment_on is correct for loans without a reversed repayment.
    """
    undone = reversals(transactions, last)
    reversed_loans = undone.filter(undone.type == "repayment", undone.sign < 0).select("loan_id").distinct()
    reversed_ones = signed(
        transactions,
        last,
        lambda rows: rows.filter(rows.type == "repayment").semi_join(reversed_loans, "loan_id"),
    )
    exact = in_force(reversed_ones, reversed_ones.amount * reversed_ones.sign, "latest", first)
    dates = amounts.filter(amounts.payment_on.notnull()).anti_join(reversed_loans, "loan_id")
    dates = dates.group_by("loan_id", "payment_on").agg(on=dates.on.min())
    simple = dates.inner_join(
        transactions.filter(transactions.type == "repayment").select("loan_id", "effective_on", "amount"),
        [("loan_id", "loan_id"), ("payment_on", "effective_on")],
    )
    simple = simple.group_by("loan_id", "on", "payment_on").agg(last_payment_amount=simple.amount.sum())
    return ibis.union(
        simple.select(
            "loan_id",
            "on",
            last_payment_on="payment_on",
            last_payment_amount=money(simple.last_payment_amount),
        ),
        exact.select("loan_id", "on", last_payment_on="root_on", last_payment_amount=money(exact.value)),
    )
