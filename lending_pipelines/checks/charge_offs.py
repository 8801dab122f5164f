"""The check of bookings around charge-offs: lists amounts that count differently from their booked type."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.protocol import Check, StandingCheck, Tables
from lending_pipelines.metrics import charge_offs
from lending_pipelines.metrics.money import ZERO, money, wide
from lending_pipelines.metrics.timeline import FAR


def charge_off_checks() -> tuple[Check, ...]:
    """The check of charge-offs and of payments after them."""
    return (
        StandingCheck(
            "charge_offs_as_booked",
            "transactions",
            "charge-offs and write-offs do not exceed the principal outstanding, and payments after a charge-off are "
            "booked as recoveries; amounts above the principal do not count, and payments after a charge-off count as "
            "recovered",
            ("transactions",),
            booked_otherwise,
            severity="warn",
        ),
    )


def booked_otherwise(tables: Tables) -> ir.Table:
    """Loans and days with an amount that counts differently from its booked type; `problem` says how."""
    effects = charge_offs.effects(tables["transactions"], FAR)
    received = effects.select(
        "loan_id",
        effective_on="on",
        amount=money(wide(effects.principal) + effects.interest + effects.fees),
        problem=ibis.literal("received after a charge-off, but not booked as a recovery"),
    )
    excess = effects.select(
        "loan_id",
        effective_on="on",
        amount="not_taken",
        problem=ibis.literal("charged off more than the principal outstanding"),
    )
    rows = ibis.union(received, excess)
    return rows.filter(rows.amount > ZERO)
