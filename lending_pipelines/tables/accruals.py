"""The table accruals in the shape of transactions, so that both follow the same rules of reversals."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables.schema import MONEY
from lending_pipelines.tables.servicing import SERVICING

ACCRUAL = "accrual"
"""The type of an accrual that is not a reversal."""


def as_transactions(accruals: ir.Table) -> ir.Table:
    """The accruals with the columns of transactions: a row with a reverses_id has the type reversal."""
    rows = accruals.rename(transaction_id="accrual_id")
    return rows.mutate(
        type=rows.reverses_id.notnull().ifelse("reversal", ACCRUAL),
        amount=(rows.interest.cast("decimal(38, 2)") + rows.fees).cast(MONEY),
        principal=ibis.literal(0, MONEY),
        channel=ibis.null("string"),
    ).select(*SERVICING["transactions"].names)


def from_transactions(rows: ir.Table) -> ir.Table:
    """The reverse of `as_transactions`."""
    return rows.rename(accrual_id="transaction_id").select(*SERVICING["accruals"].names)
