"""The names that can be entered in the forms of reports."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables


def scope_names(lake: Tables) -> ir.Table:
    """kind (portfolio, program, product, branch, investor, vintage), id and name of every scope of the snapshots."""
    rows = lake.table("portfolio_snapshots")
    rows = rows.filter(rows.scope != "all").select(kind="scope", id="scope_id", name=rows.name.fill_null(""))
    return rows.distinct().order_by("kind", "id", "name")


def manager_names(lake: Tables) -> ir.Table:
    """id, name and role of everybody with a row in the snapshots of managers."""
    rows = lake.table("manager_snapshots")
    rows = rows.select(id="manager_id", role="role").distinct()
    if not lake.has("staff"):
        return rows.mutate(name=ibis.literal("")).order_by("id", "role")
    staff = lake.table("staff").select("staff_id", "full_name")
    rows = rows.left_join(staff, rows.id == staff.staff_id)
    return rows.select("id", "role", name=rows.full_name.fill_null("")).order_by("id", "role")


def account_names(lake: Tables, day: ir.DateValue) -> ir.Table:
    """id and name of the ledger's accounts on a day."""
    rows = lake.table("trial_balance")
    rows = rows.filter(rows.business_date == day).select(id="account_code", name=rows.name.fill_null(""))
    return rows.distinct().order_by("id")
