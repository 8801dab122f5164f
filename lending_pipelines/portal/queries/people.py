"""The ids and names that can be in scopes of roles."""

import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables


def branches(lake: Tables) -> ir.Table:
    """id and name of the branches."""
    rows = lake.table("branches")
    return rows.select(id="branch_id", name=rows.name.fill_null("")).order_by("id")


def staff(lake: Tables) -> ir.Table:
    """id and name of the members of staff."""
    rows = lake.table("staff")
    return rows.select(id="staff_id", name=rows.full_name.fill_null("")).order_by("id")


def borrower(lake: Tables, borrower_id: ir.StringValue) -> ir.Table:
    """One row if the borrower exists."""
    rows = lake.table("borrowers")
    return rows.filter(rows.borrower_id == borrower_id).select(found=rows.borrower_id.notnull()).limit(1)
