"""The names of what loans belong to: branches, products, officers, portfolios. Lists show them in place of ids."""

import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import ScopedLake, Tables

_NAMED = {
    "branch": ("branches", "branch_id", "name"),
    "product": ("products", "product_id", "name"),
    "officer": ("staff", "staff_id", "full_name"),
    "portfolio": ("portfolio_membership", "portfolio_id", "portfolio_name"),
}
"""By kind: the table, its column with the id, and its column with the name."""


def of_kind(lake: Tables, kind: str) -> ir.Table:
    """identity and name of everything of a kind that the person may see, by name."""
    table, identity, name = _NAMED[kind]
    rows = lake.table(table)
    return (
        rows.select(identity=identity, name=rows[name].fill_null(rows[identity]))
        .distinct()
        .order_by("name", "identity")
    )


def names(lake: ScopedLake, kind: str) -> dict[str, str]:
    """The names by id, in order of the names; empty before the table is made."""
    if not lake.has(_NAMED[kind][0]):
        return {}
    return {row["identity"]: row["name"] for row in lake.rows(of_kind, kind)}
