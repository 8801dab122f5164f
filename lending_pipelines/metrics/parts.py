"""Sums tables with different measures. A measure that no table has is null, not zero."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.tables.schema import MONEY


def add_up(parts: Sequence[ir.Table], measures: Mapping[str, str], *by: str) -> ir.Table:
    """Sum the measures over all parts.

    A measure is 0 for a group that has no row in the parts with this measure. It is null in every group if no part has
    the measure.

    Args:
        parts: Tables with the columns `by` and some of the measures.
        measures: The type of each measure by its name: int64 or MONEY.
        *by: The columns of a group. Without any, the result is one row.
    """
    counted = {name for part in parts for name in part.columns}
    rows = ibis.union(*(_padded(part, measures, by) for part in parts))
    return rows.agg(
        **{name: _sum(rows[name], type_) if name in counted else ibis.null(type_) for name, type_ in measures.items()},
        by=list(by),
    )


def _padded(part: ir.Table, measures: Mapping[str, str], by: Sequence[str]) -> ir.Table:
    """The columns `by` and all measures of a part. A measure that the part does not have is null."""
    return part.select(
        *by, **{name: part[name] if name in part.columns else ibis.null(type_) for name, type_ in measures.items()}
    )


def _sum(column: ir.NumericColumn, type_: str) -> ir.NumericScalar:
    """The sum of a measure in its type; 0 if there are no values."""
    return money(ibis.coalesce(column.sum(), ZERO)) if type_ == MONEY else as_count(column.sum().fill_null(0))
