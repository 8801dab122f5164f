"""What the pages Managers show of the lake: loan officers and team leaders, their health, and comparisons of it."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables
from lending_pipelines.tables import TABLES

TREND = (
    "active_loans",
    "active_clients",
    "total_outstanding",
    "par_30",
    "par_90",
    "collection_score",
    "default_score",
    "growth_score",
    "yield_score",
    "health_score",
    "health_category",
)
"""The numbers of a manager by day."""


FILTERS = {"category": "health_category", "role": "role", "branch": "branch_id", "currency": "currency"}
"""By the name of a filter, the column of manager_snapshots that it compares."""

LISTED = (
    "manager_id",
    "name",
    "currency",
    "role",
    "branch_id",
    "health_category",
    "health_score",
    "active_loans",
    "active_clients",
    "total_outstanding",
    "par_30",
    "par_90",
)
"""The columns of a list of managers."""


def matching(
    lake: Tables, filters: tuple[str, ...], day: ir.DateValue, before: ir.DateValue, **wanted: ir.StringValue
) -> ir.Table:
    """The managers on the day that have the wanted value in every filter.

    Args:
        lake: The lake.
        filters: The filters, of FILTERS; `search` is a part of the name or the id in lower case.
        day: The day.
        before: The day with which the score is compared.
        **wanted: The value of each filter.

    Returns:
        LISTED, and health_score_before of the other day.
    """
    then = lake.table("manager_snapshots")
    then = then.filter(then.business_date == before).select(
        "manager_id", "currency", health_score_before="health_score"
    )
    rows = _matching(lake, filters, day, wanted).select(*LISTED)
    return rows.left_join(then, ["manager_id", "currency"], rname="{name}_then").select(*LISTED, "health_score_before")


def counted(lake: Tables, filters: tuple[str, ...], day: ir.DateValue, **wanted: ir.StringValue) -> ir.Table:
    """The number of these managers by health category."""
    rows = _matching(lake, filters, day, wanted)
    return rows.group_by("health_category").agg(managers=rows.count()).order_by("health_category")


def choices(lake: Tables, day: ir.DateValue) -> ir.Table:
    """The pairs of role and currency of the managers on the day."""
    rows = lake.table("manager_snapshots")
    rows = rows.filter(rows.business_date == day)
    return rows.select("role", "currency").distinct().order_by("role", "currency")


def trends(lake: Tables, since: ir.DateValue) -> ir.Table:
    """manager_id, currency and the list `scores`: the health scores from the day on, in order of the days."""
    rows = lake.table("manager_snapshots")
    rows = rows.filter(rows.business_date >= since)
    return rows.group_by("manager_id", "currency").agg(
        scores=rows.health_score.collect(order_by=rows.business_date, include_null=True)
    )


def one(lake: Tables, manager_id: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The manager's snapshots of a day with their name: a row per currency, the largest balance first."""
    rows = _named(lake)
    rows = rows.filter(rows.business_date == day, rows.manager_id == manager_id)
    return rows.order_by(ibis.desc("total_outstanding"), "currency")


def branch(lake: Tables, branch_id: ir.StringValue, currency: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The snapshot of a branch on a day, with the columns of health that managers have too."""
    rows = lake.table("portfolio_snapshots")
    return rows.filter(
        rows.scope == "branch", rows.scope_id == branch_id, rows.currency == currency, rows.business_date == day
    )


def history(lake: Tables, manager_id: ir.StringValue, currency: ir.StringValue, since: ir.DateValue) -> ir.Table:
    """business_date and the numbers TREND of a manager by day."""
    rows = lake.table("manager_snapshots")
    rows = rows.filter(rows.manager_id == manager_id, rows.currency == currency, rows.business_date >= since)
    return rows.select("business_date", *TREND).order_by("business_date")


def team(lake: Tables, manager_id: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The snapshots of the officers whom a team leader leads, the least healthy first."""
    rows = _named(lake)
    led = lake.table("staff")
    led = led.filter(led.team_leader_id == manager_id)
    rows = rows.filter(rows.business_date == day).semi_join(led, rows.manager_id == led.staff_id)
    return rows.order_by("health_score", "manager_id", "currency")


def days(
    lake: Tables, filters: tuple[str, ...], first: ir.DateValue, last: ir.DateValue, **wanted: ir.StringValue
) -> ir.Table:
    """The rows of manager_snapshots from the first day to the last, with names: what the report manager_performance
    prints as `contents=days`.

    Args:
        lake: The lake.
        filters: The columns that are compared: manager_id, role, branch_id.
        first: The first day.
        last: The last day.
        **wanted: The value of each of these columns.
    """
    rows = _named(lake)
    rows = rows.filter(rows.business_date.between(first, last), *(rows[name] == wanted[name] for name in filters))
    others = (name for name in TABLES["manager_snapshots"].names if name not in ("business_date", "manager_id"))
    return rows.select("business_date", "manager_id", "full_name", *others).order_by(
        "manager_id", "currency", "business_date"
    )


def _named(lake: Tables) -> ir.Table:
    """manager_snapshots with full_name, null for loans without an officer, and `name`, which is never null."""
    rows = lake.table("manager_snapshots")
    staff = lake.table("staff").select("staff_id", "full_name")
    rows = rows.left_join(staff, rows.manager_id == staff.staff_id).drop("staff_id")
    return rows.mutate(name=rows.full_name.fill_null(rows.manager_id))


def _matching(lake: Tables, filters: tuple[str, ...], day: ir.DateValue, wanted: dict[str, ir.StringValue]) -> ir.Table:
    """The rows of manager_snapshots, with names, that have the wanted values."""
    rows = _named(lake)
    rows = rows.filter(rows.business_date == day)
    for name in filters:
        if name == "search":
            found = rows.name.lower().contains(wanted[name]) | rows.manager_id.lower().contains(wanted[name])
            rows = rows.filter(found)
        else:
            rows = rows.filter(rows[FILTERS[name]] == wanted[name])
    return rows
