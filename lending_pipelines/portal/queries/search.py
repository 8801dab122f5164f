"""What the search of all pages finds in the lake: loans by their id, portfolios and managers by id or name.

Each query takes the text in lower case and gives the best matches first: the text itself, then what begins with it.
Names of borrowers are not searched, because showing them is recorded and a search is sent with every letter.
"""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables

MOST_RESULTS = 6
"""The maximum number of results of a kind."""


def loans(lake: Tables, text: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """loan_id, status, currency and principal_outstanding of the loans on the day whose id contains the text."""
    rows = lake.table("loan_positions")
    rows = rows.filter(rows.business_date == day).select("loan_id", "status", "currency", "principal_outstanding")
    return _best(rows, _rank(rows.loan_id, text), "loan_id")


def portfolios(lake: Tables, levels: tuple[str, ...], text: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """scope, scope_id and name of the scopes of these levels with a snapshot on the day."""
    rows = lake.table("portfolio_snapshots")
    rows = rows.filter(rows.business_date == day, rows.scope.isin(levels))
    rows = rows.select("scope", "scope_id", name=rows.name.fill_null(rows.scope_id)).distinct()
    # Ids of portfolios and investors are random, so only a complete id matches.
    identity = ibis.cases((rows.scope_id.lower() == text, 3), else_=0)
    return _best(rows, ibis.greatest(_rank(rows.name, text), identity), "name", "scope_id", "scope")


def managers(lake: Tables, text: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """manager_id, name and role of the loan officers and team leaders with a snapshot on the day."""
    rows = lake.table("manager_snapshots")
    rows = rows.filter(rows.business_date == day).select("manager_id", "role").distinct()
    staff = lake.table("staff").select("staff_id", "full_name")
    rows = rows.left_join(staff, rows.manager_id == staff.staff_id)
    rows = rows.select("manager_id", "role", name=rows.full_name.fill_null(rows.manager_id))
    return _best(rows, ibis.greatest(_rank(rows.name, text), _rank(rows.manager_id, text)), "name", "manager_id")


def _best(rows: ir.Table, rank: ir.IntegerValue, *order: str) -> ir.Table:
    """The rows with the highest ranks above 0, those of the same rank in an order."""
    ranked = rows.mutate(rank=rank)
    return ranked.filter(ranked.rank > 0).order_by(ibis.desc("rank"), *order).limit(MOST_RESULTS).drop("rank")


def _rank(column: ir.StringColumn, text: ir.StringValue) -> ir.IntegerValue:
    """3 if the value is the text, 2 if it or one of its words begins with the text, 1 if it contains it, else 0."""
    lower = column.lower()
    begins = lower.startswith(text) | lower.contains(ibis.literal(" ") + text)
    return ibis.cases((lower == text, 3), (begins, 2), (lower.contains(text), 1), else_=0)
