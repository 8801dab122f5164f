"""The check of what is booked around charge-offs: what does not count as the servicing system calls it is listed."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.protocol import Check, StandingCheck, Tables
from lending_pipelines.metrics import charge_offs
from lending_pipelines.metrics.money import ZERO, money, wide
from lending_pipelines.metrics.timeline import FAR


def charge_off_checks() -> tuple[Check, ...]:
    """The check of charge-offs and of what is received after them."""
    return (
        StandingCheck(
            "charge_offs_as_booked",
            "transactions",
            "charge-offs and write-offs take no more than the principal outstanding, and money received after a "
            "charge-off is booked as a recovery; what exceeds the principal does not count, and such money counts as "
            "recovered",
            ("transactions",),
            booked_otherwise,
            severity="warn",
        ),
    )


def booked_otherwise(tables: Tables) -> ir.Table:
    """Loans and days with an amount that counts as something else than it is booked as; `problem` says which."""
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
        problem=ibis.literal("charged off beyond the principal outstanding"),
    )
    rows = ibis.union(received, excess)
    return rows.filter(rows.amount > ZERO)
