"""The levels at which loans are summed: all, portfolio, program, product, branch, investor, vintage.

Loans are summed once over all dimensions together, and each scope is summed from that small table. Sums are always per
currency.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import as_count, money
from lending_pipelines.tables.schema import MONEY

DIMENSIONS = {
    "portfolio": "portfolio_id",
    "program": "program_id",
    "product": "product_id",
    "branch": "branch_id",
    "investor": "investor_id",
    "vintage": "vintage",
}
"""The column of loan_positions with the scope_id of each scope except `all`."""


def vintage(disbursed_on: ir.DateColumn) -> ir.StringColumn:
    """The calendar quarter of disbursement, such as 2025Q3."""
    return disbursed_on.year().cast("string") + "Q" + disbursed_on.quarter().cast("string")


def roll_up(rows: ir.Table, keys: Sequence[str], measures: Sequence[str]) -> ir.Table:
    """Sum the measures per scope, scope_id, currency and keys.

    `rows` has currency, the columns of DIMENSIONS, the keys and the measures. A row without an id for a scope counts in
    the other scopes.
    """
    dimensions = list(DIMENSIONS.values())
    cube = rows.group_by(*keys, "currency", *dimensions).agg(**_sums(rows, measures))
    return ibis.union(
        *(sum_scope(cube, scope, column, keys, measures) for scope, column in (("all", None), *DIMENSIONS.items()))
    )


def sum_scope(rows: ir.Table, scope: str, column: str | None, keys: Sequence[str], measures: Sequence[str]) -> ir.Table:
    """Sum the measures in one scope. `column` has its scope_id; None is all loans, with scope_id `*`."""
    if column is not None:
        rows = rows.filter(rows[column].notnull())
    scope_id = ibis.literal("*") if column is None else rows[column]
    grouped = rows.group_by(*keys, scope=ibis.literal(scope), scope_id=scope_id, currency=rows.currency)
    return grouped.agg(**_sums(rows, measures))


def entered(rows: ir.Table, column: str | None) -> ir.BooleanColumn:
    """Whether a loan was not in this scope before: `bucket_before` is null, or `<column>_before` is another id."""
    absent = rows.bucket_before.isnull()
    return absent if column is None else absent | ~rows[column].identical_to(rows[f"{column}_before"])


def _sums(rows: ir.Table, measures: Sequence[str]) -> dict[str, ir.Scalar]:
    """The sum of each measure, as money, a count or a float like the measure."""

    def total(column: ir.NumericColumn) -> ir.NumericScalar:
        if column.type() == ibis.dtype(MONEY):
            return money(column.sum())
        return as_count(column.sum()) if column.type().is_integer() else column.sum()

    return {name: total(rows[name]) for name in measures}
