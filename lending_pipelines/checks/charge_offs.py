"""The check of bookings around charge-offs: lists amounts that count differently from their booked type."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.protocol import Check, Tables, WholeTableCheck
from lending_pipelines.metrics import charge_offs
from lending_pipelines.metrics.money import ZERO, money, wide
from lending_pipelines.metrics.timeline import MAX_DATE


def charge_off_checks() -> tuple[Check, ...]:
    """The check of charge-offs and of payments after them."""
    return (
        WholeTableCheck(
            "charge_offs_as_booked",
            "transactions",
            "charge-offs and write-offs do not exceed the principal outstanding, and payments after a charge-off are "
            "booked as recoveries; amounts above the principal do not count, and payments after a charge-off count as "
            "recovered",
            ("transactions",),
            amounts_counted_differently,
            severity="warn",
        ),
    )


def amounts_counted_differently(tables: Tables) -> ir.Table:
    """Loans and days with an amount that counts differently from its booked type; `problem` says which amount and how.

    If a charge-off or payment was reversed and the amount therefore counts as booked again, it is left out.
    """
    effects = charge_offs.effects(tables["transactions"], MAX_DATE)
    received = money(wide(effects.principal) + effects.interest + effects.fees)
    rows = ibis.union(
        _problem_rows(effects, received, "received after a charge-off, but not booked as a recovery"),
        _problem_rows(effects, effects.not_taken, "charged off more than the principal outstanding"),
    )
    return rows.filter(rows.amount > ZERO, rows.in_all > ZERO).drop("in_all")


def _problem_rows(effects: ir.Table, amount: ir.DecimalColumn, what: str) -> ir.Table:
    """loan_id, effective_on, amount, problem, and in_all, the loan's amount after all reversals."""
    problem = amount.cast("string") + " of " + effects.on.cast("string") + f" {what}"
    in_all = money(amount.sum().over(group_by="loan_id"))
    return effects.select("loan_id", effective_on="on", amount=amount, problem=problem, in_all=in_all)
