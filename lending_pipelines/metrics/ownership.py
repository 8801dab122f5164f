"""loan_ownership: the register's assignments of loans to investors, and the owners that the servicing system has."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables import DERIVED


def loan_ownership(assigned: ir.Table, owners: ir.Table) -> ir.Table:
    """The table loan_ownership.

    Args:
        assigned: The register's assignments to investors, with the columns of loan_ownership.
        owners: The table loan_owners. Rows of loans that have an assignment in the register do not count.
    """
    names = DERIVED["loan_ownership"].names
    return ibis.union(assigned.select(*names), owners.anti_join(assigned, "loan_id").select(*names))
