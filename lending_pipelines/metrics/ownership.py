"""loan_ownership: the register's assignments of loans to investors, and the owners that the servicing system has."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables import DERIVED


def loan_ownership(assigned: ir.Table, owners: ir.Table) -> ir.Table:
    """The table loan_ownership.

    An investor has one name: that of the register, or else that of its latest assignment.

    Args:
        assigned: The register's assignments to investors, with the columns of loan_ownership.
        owners: The table loan_owners. Rows of loans that have an assignment in the register do not count.
    """
    names = DERIVED["loan_ownership"].names
    rows = ibis.union(
        assigned.select(*names, registered=ibis.literal(1)),
        owners.anti_join(assigned, "loan_id").select(*names, registered=ibis.literal(0)),
    )
    order = [rows.registered.desc(), rows.assigned_on.desc(), rows.investor_name, rows.loan_id]
    ranked = rows.mutate(rank=ibis.row_number().over(ibis.window(group_by="investor_id", order_by=order)))
    named = ranked.filter(ranked["rank"] == 0).select("investor_id", "investor_name")
    return rows.drop("investor_name").inner_join(named, "investor_id").select(*names)
