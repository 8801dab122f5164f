"""Single payments: repayments of borrowers, refunds, and reversals of both.

loan_positions has the cumulative amounts of a loan. revenue.py has the amounts of periods.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import with_share

COMPONENTS = ("principal", "interest", "fees")
KINDS = ("repayment", "refund", "reversal")

_NO_CHANNEL = "not recorded"


def payments(transactions: ir.Table, loans: ir.Table, first: date, last: date) -> ir.Table:
    """Repayments, refunds and their reversals that count on the days first..last.

    Args:
        transactions: The table transactions.
        loans: The loans to include: loan_id, currency.
        first: The first day.
        last: The last day.

    Returns:
        loan_id, currency, paid_on, channel (for a reversal, that of the reversed payment), kind (one of KINDS), amount
        and COMPONENTS. Amounts are cash received: refunds and reversals of repayments are negative.
    """
    rows = events.signed(transactions, last)
    rows = rows.filter(rows.on >= first, rows.type.isin(("repayment", "refund")))
    rows = rows.inner_join(loans.select("loan_id", "currency"), "loan_id")
    direction = rows.sign * (rows.type == "refund").ifelse(-1, 1)
    return rows.select(
        "loan_id",
        "currency",
        paid_on="on",
        channel=ibis.coalesce(rows.channel, _NO_CHANNEL),
        kind=rows.is_reversal.ifelse("reversal", rows.type),
        **{name: money(rows[name] * direction) for name in ("amount", *COMPONENTS)},
    )


def totals(payments: ir.Table, *keys: str) -> ir.Table:
    """Payments per key: repayment_count, repayments, refunds, reversal_count, reversals, net, and net COMPONENTS."""
    return payments.group_by(*keys).agg(
        repayment_count=as_count((payments.kind == "repayment").cast("int64").sum()),
        reversal_count=as_count((payments.kind == "reversal").cast("int64").sum()),
        **{f"{kind}s": _sum(payments.amount, payments.kind == kind) for kind in KINDS},
        net=money(payments.amount.sum()),
        **{name: money(payments[name].sum()) for name in COMPONENTS},
    )


def by_component(payments: ir.Table) -> ir.Table:
    """Payments per currency and component: repayments, refunds, reversals, net, and share of the currency's net."""
    parts = [
        payments.group_by("currency").agg(
            component=ibis.literal(name),
            rank=ibis.literal(rank, "int64"),
            **{f"{kind}s": _sum(payments[name], payments.kind == kind) for kind in KINDS},
            net=money(payments[name].sum()),
        )
        for rank, name in enumerate(COMPONENTS)
    ]
    return with_share(ibis.union(*parts), "net")


def _sum(amount: ir.DecimalColumn, where: ir.BooleanColumn) -> ir.DecimalScalar:
    return ibis.coalesce(money(amount.sum(where=where)), ZERO)
