"""loan_ownership: the register's assignments of loans to investors, and the owners that the servicing system has."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables import DERIVED


def loan_ownership(assigned: ir.Table, owners: ir.Table) -> ir.Table:
    """The table loan_ownership.

    Args:
        assigned: The register's assignments, with the columns of loan_ownership. All owners of a loan with one count.
        owners: The table loan_owners. It counts for the other loans.
    """
    names = DERIVED["loan_ownership"].names
    return ibis.union(assigned.select(*names), owners.anti_join(assigned, "loan_id").select(*names))
