"""Adding up tables that count different things: what none of them counts is null, never zero."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.tables.schema import MONEY


def add_up(parts: Sequence[ir.Table], measures: Mapping[str, str], *by: str) -> ir.Table:
    """Σ of the measures over all parts per `by` (none: one row in all).

    `measures` are names with their types, int64 or money's; each part has the columns `by` and some of the measures. A
    measure is 0 where the parts that have it have no row, and null everywhere when no part has it.
    """
    counted = {name for part in parts for name in part.columns}
    rows = ibis.union(*(_padded(part, measures, by) for part in parts))
    return rows.agg(
        **{name: _sum(rows[name], type_) if name in counted else ibis.null(type_) for name, type_ in measures.items()},
        by=list(by),
    )


def _padded(part: ir.Table, measures: Mapping[str, str], by: Sequence[str]) -> ir.Table:
    return part.select(
        *by, **{name: part[name] if name in part.columns else ibis.null(type_) for name, type_ in measures.items()}
    )


def _sum(column: ir.NumericColumn, type_: str) -> ir.NumericScalar:
    return money(ibis.coalesce(column.sum(), ZERO)) if type_ == MONEY else as_count(column.sum().fill_null(0))
