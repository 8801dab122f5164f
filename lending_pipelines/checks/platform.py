"""Checks of platform_activity. They do not read the platform's own tables: a source may lack them."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import differences
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables

_KEYS = ("business_date", "currency")
_TICKETS = ("open_tickets", "completed_tickets", "cancelled_tickets")


def platform_checks() -> tuple[Check, ...]:
    """The checks of platform_activity."""
    return (
        DailyCheck(
            "platform_equals_positions",
            "platform_activity",
            "active loans equal those of the positions; open, completed and cancelled tickets add up to all tickets",
            ("platform_activity", "loan_positions"),
            platform_unlike_positions,
        ),
    )


def platform_unlike_positions(tables: Tables, days: Days) -> ir.Table:
    """Days and currencies whose active loans differ from the positions, or whose tickets do not add up."""
    positions = days.rows(tables["loan_positions"])
    stored = days.rows(tables["platform_activity"])
    active = (positions.status == "active").cast("int64")
    loans = positions.group_by(*_KEYS).agg(active_loans=active.sum(), total_tickets=ibis.literal(0, "int64"))
    tickets = stored.select(
        *_KEYS, active_loans=ibis.literal(0, "int64"), total_tickets=sum(stored[name].fill_null(0) for name in _TICKETS)
    )
    return differences(loans.union(tickets), stored, _KEYS, ["active_loans", "total_tickets"])
