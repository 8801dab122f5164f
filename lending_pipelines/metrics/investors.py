"""Returns of investors on the loans that they bought: prices paid and cash received.

An investor owns a loan from the day of its assignment and receives its cash flows from that day. The price refers to
the balance at the end of the day before and is paid on that day; it counts from the day of the assignment. An investor
who resells a loan receives the price.
"""

from collections.abc import Callable
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events, returns
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.metrics.timeline import as_date

SOURCES = ("loans", "transactions", "loan_ownership")
"""The tables that an investor's returns need in addition to loan_positions."""

NO_PRICE = "purchase price not recorded"
_KEYS = ("business_date", "scope_id", "currency")
_KINDS = ("purchase_price", "collected", "resold_for")


def investor_returns(positions: ir.Table, read: Callable[[str], ir.Table], first: date, last: date) -> ir.Table:
    """The returns of each investor by each of the days first..last, per currency.

    An investor with a loan whose purchase or resale price is not recorded has collected and residual, but no profit,
    rate or multiple.

    Args:
        positions: loan_positions of the days.
        read: Returns each table of SOURCES by name.
        first: The first day.
        last: The last day.

    Returns:
        business_date, investor_id, currency, name, loan_count (owned on the day), purchase_price (paid by then),
        collected (repayments − refunds + recoveries while owned), resold_for, residual (principal outstanding +
        interest receivable of the loans owned on the day), profit (collected + resold_for + residual − purchase_price),
        irr, irr_with_residual (XIRR of paid prices and received cash), irr_reason, and moic ((collected + resold_for) ÷
        purchase_price).
    """
    flows = _flows(read, last)
    day = positions.select("business_date").distinct()
    until = flows.cross_join(day)
    until = until.filter(until.since <= until.business_date)
    sums = _added_up(until, *_KEYS)
    owned = positions.filter(positions.investor_id.notnull()).group_by("business_date", "investor_id", "currency")
    owned = owned.agg(
        loan_count=lambda t: t.count(),
        residual=lambda t: money((t.principal_outstanding + t.interest_receivable).sum()),
    ).rename(scope_id="investor_id")
    rows = sums.left_join(owned, _KEYS, rname="{name}_owned")
    rows = rows.mutate(
        scope=ibis.literal("investor"),
        loan_count=ibis.coalesce(rows.loan_count, ibis.literal(0, "int64")),
        residual=ibis.coalesce(rows.residual, ZERO),
    )
    irrs = returns.irr_by_day(_changes(flows, first), rows.select("scope", *_KEYS, "residual"))
    names = read("loan_ownership").select(scope_id="investor_id", name="investor_name").distinct()
    rows = rows.left_join(irrs, ["scope", *_KEYS], rname="{name}_irr").left_join(names, "scope_id", rname="{name}_name")
    priced = rows.unpriced == 0
    came_in = money(rows.collected + rows.resold_for)
    answers: dict[str, ir.Value] = {
        "profit": money(came_in + rows.residual - rows.purchase_price),
        "irr": rows.irr,
        "irr_with_residual": rows.irr_with_residual,
        "moic": ratio(came_in, rows.purchase_price),
    }
    return rows.select(
        "business_date",
        "currency",
        "name",
        "loan_count",
        "collected",
        "residual",
        investor_id="scope_id",
        purchase_price=priced.ifelse(rows.purchase_price, ibis.null(rows.purchase_price.type())),
        resold_for=priced.ifelse(rows.resold_for, ibis.null(rows.resold_for.type())),
        **{name: priced.ifelse(answer, ibis.null(answer.type())) for name, answer in answers.items()},
        irr_reason=priced.ifelse(rows.irr_reason, NO_PRICE),
    )


def _flows(read: Callable[[str], ir.Table], last: date) -> ir.Table:
    """The cash flows of every investor up to the last day: scope_id, currency, on, since, _KINDS and unpriced.

    `on` is the date of the cash. `since` is the first business date on which the flow counts.
    """
    currencies = read("loans").select("loan_id", "currency")
    owned = read("loan_ownership").inner_join(currencies, "loan_id").filter(lambda t: t.assigned_on <= last)
    bought = _payment(owned, _day_before(owned.assigned_on), owned.assigned_on, purchase_price=owned.purchase_price)
    next_owner = owned.select("loan_id", removed_on="assigned_on", sale_price="purchase_price")
    left = owned.drop("purchase_price").inner_join(next_owner, ["loan_id", "removed_on"])
    resold = _payment(left, _day_before(left.removed_on), left.removed_on, resold_for=left.sale_price)
    signed = events.signed(read("transactions"), last)
    # The lender pays disbursements, also of loans owned by an investor.
    paid = returns.cash_flows(signed.filter(signed.type != "disbursement")).inner_join(owned, "loan_id")
    paid = paid.filter(paid.on >= paid.assigned_on, paid.removed_on.isnull() | (paid.on < paid.removed_on))
    collected = _payment(paid, paid.on, paid.on, collected=paid.amount)
    # Sum per date before the join with days multiplies the rows.
    return _added_up(ibis.union(bought, resold, collected), "scope_id", "currency", "on", "since")


def _day_before(day: ir.DateColumn) -> ir.DateColumn:
    return as_date(day - ibis.interval(days=1))


def _added_up(flows: ir.Table, *keys: str) -> ir.Table:
    """Sum the flows per key. `unpriced` is the number of payments without a price."""
    return flows.group_by(*keys).agg(
        **{kind: money(flows[kind].sum()) for kind in _KINDS}, unpriced=as_count(flows.unpriced.sum())
    )


def _payment(rows: ir.Table, on: ir.DateColumn, since: ir.DateColumn, **amount: ir.DecimalColumn) -> ir.Table:
    """The rows as flows of one kind, the name of `amount`. A row without an amount counts as unpriced."""
    ((kind, value),) = amount.items()
    nothing = dict.fromkeys(_KINDS, ZERO)
    return rows.select(
        "currency",
        scope_id="investor_id",
        on=on,
        since=since,
        **nothing | {kind: money(ibis.coalesce(value, ZERO))},
        unpriced=value.isnull().cast("int64"),
    )


def _changes(flows: ir.Table, first: date) -> ir.Table:
    """The flows as input of returns.irr_by_day: prices paid are negative, the others positive."""
    return flows.select(
        "scope_id",
        "currency",
        "on",
        scope=ibis.literal("investor"),
        since=ibis.greatest(flows.since, ibis.literal(first)),
        amount=money(flows.collected + flows.resold_for - flows.purchase_price),
    )
