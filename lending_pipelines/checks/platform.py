"""Checks of platform_activity against the tables that it counts."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import differences
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables


def platform_checks() -> tuple[Check, ...]:
    """The checks of platform_activity."""
    return (
        DailyCheck(
            "platform_equals_sources",
            "platform_activity",
            "active loans equal those of the positions, and users and tickets those of the source",
            ("platform_activity", "loan_positions", "users", "tickets"),
            platform_unlike_sources,
        ),
    )


def platform_unlike_sources(tables: Tables, days: Days) -> ir.Table:
    """Days and currencies whose counts differ from the loans, users and tickets of the day."""
    positions = days.rows(tables["loan_positions"])
    loans = positions.group_by("business_date", "currency").agg(
        active_loans=(positions.status == "active").cast("int64").sum()
    )
    stored = days.rows(tables["platform_activity"])
    keys = stored.select("business_date", "currency")
    expected = keys.left_join(loans, ["business_date", "currency"]).select(
        "business_date", "currency", active_loans=ibis._.active_loans.fill_null(0)
    )
    expected = expected.union(loans.anti_join(keys, ["business_date", "currency"]))
    users = _by_the_day(tables["users"], "joined_on", keys, "total_users")
    tickets = _by_the_day(tables["tickets"], "opened_on", keys, "total_tickets")
    whole = expected.left_join(users, "business_date").left_join(tickets, "business_date")
    return differences(whole, stored, ["business_date", "currency"], ["active_loans", "total_users", "total_tickets"])


def _by_the_day(rows: ir.Table, on: str, keys: ir.Table, name: str) -> ir.Table:
    """The number of rows whose date is on or before each business_date."""
    dated = rows.group_by(on).agg(rows=rows.count())
    pairs = keys.select("business_date").distinct().join(dated, ibis._.business_date >= dated[on])
    return pairs.group_by("business_date").agg(**{name: pairs.rows.sum()})
