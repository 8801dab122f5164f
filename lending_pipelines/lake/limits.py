"""Errors about amounts that the tables' money type cannot hold, in place of the engine's own message.

Engines stop at the first value that is out of range and name neither table nor row. The row is found afterwards, by
computing the same expression with a wider type.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.backends import BaseBackend

from lending_pipelines.lake.files import LakeError
from lending_pipelines.tables import Table
from lending_pipelines.tables.schema import MONEY

LARGEST = Decimal("9999999999999999.99")
"""The largest amount, and the largest sum of amounts, of every table and report."""

_MONEY, _WIDE = dt.dtype(MONEY), dt.dtype("decimal(38, 2)")
# DuckDB's messages, then the error classes of Spark.
_OUT_OF_RANGE = re.compile(
    r"DECIMAL\(.*out of range|Overflow in .*(DECIMAL|INT)|NUMERIC_VALUE_OUT_OF_RANGE|ARITHMETIC_OVERFLOW"
)
_SHOWN = 3
"""The maximum number of rows that a message lists."""


class AmountTooLarge(LakeError):
    """An amount, or a sum of amounts, is beyond LARGEST."""


@contextmanager
def amounts_in_range(what: str) -> Iterator[None]:
    """Raise AmountTooLarge, which names the computed `what`, when an engine finds an amount out of range."""
    try:
        yield
    except Exception as error:
        if isinstance(error, LakeError) or not _OUT_OF_RANGE.search(str(error)):
            raise
        raise AmountTooLarge(f"{what}: a sum of amounts exceeds {LARGEST:,}, the largest allowed amount") from error


@contextmanager
def table_amounts_in_range(table: Table, rows: ir.Table, backend: BaseBackend) -> Iterator[None]:
    """`amounts_in_range` for the rows of a table, computed by the backend: the error names column, key and amount."""
    try:
        with amounts_in_range(table.name):
            yield
    except AmountTooLarge as error:
        raise AmountTooLarge(_described(table, rows, backend) or str(error)) from error.__cause__


def _described(table: Table, rows: ir.Table, backend: BaseBackend) -> str:
    """The first amounts out of range, by column and key; empty if none of the rows has one."""
    try:
        offending = backend.to_pyarrow(_beyond(table, rows)).to_pylist()
    except Exception:
        # The wider expression overflows too, or the engine cannot compute it. The general message is used.
        return ""
    faults = [
        f"{table.name}.{name} is {row[name]:,} ({', '.join(f'{key}={row[key]}' for key in table.key)})"
        for row in offending
        for name in row
        if isinstance(row[name], Decimal) and abs(row[name]) > LARGEST
    ]
    return f"{'; '.join(faults)}: the largest allowed amount is {LARGEST:,}" if faults else ""


def _beyond(table: Table, rows: ir.Table) -> ir.Table:
    """The first rows with an amount out of range, computed with wider amounts."""
    rows = rows.op().replace(_widen).to_expr()
    names = [name for name in table.names if table.column(name).type == MONEY and name in rows.columns]
    limit = ibis.literal(LARGEST, _WIDE)
    too_large = reduce(or_, ((rows[name] > limit) | (rows[name] < -limit) for name in names))
    return rows.filter(too_large).select(*table.key, *names).limit(_SHOWN)


def _widen(node: ops.Node, changed: dict[str, Any] | None) -> ops.Node:
    """The node with _WIDE in place of money: in casts, literals, and the columns of stored tables."""
    node = node.__recreate__(changed) if changed else node
    if isinstance(node, ops.Cast) and node.to == _MONEY:
        return ops.Cast(node.arg, _WIDE)
    if isinstance(node, ops.Literal) and node.dtype == _MONEY:
        return ops.Literal(node.value, _WIDE)
    if isinstance(node, ops.PhysicalTable):
        stored = node.to_expr()
        wide = {name: stored[name].cast(_WIDE) for name, type_ in stored.schema().items() if type_ == _MONEY}
        return stored.mutate(**wide).op() if wide else node
    return node
