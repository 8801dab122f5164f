"""Compiles a query once: an Ibis expression over named tables with parameters becomes DuckDB's SQL.

Ibis takes 10 ms or more to compile a query. DuckDB gets the values when the SQL runs, so new values cost nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

from lending_pipelines.tables.schema import MONEY


class Bound(ops.Scalar):
    """A value that is given when the SQL runs. Ibis's own parameters become literals in the SQL."""

    label: str
    dtype: dt.DataType

    shape = ds.scalar

    @property
    def name(self) -> str:
        """The name of the parameter."""
        return self.label


class _Compiler(DuckDBCompiler):
    """DuckDB's SQL with placeholders."""

    __slots__ = ()

    def visit_Bound(self, op: Bound, *, label: str, dtype: dt.DataType) -> sge.Expression:
        """A named placeholder with its type."""
        return self.cast(sge.Placeholder(this=label), dtype)


_COMPILER = _Compiler()

_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "int64",
    float: "float64",
    str: "string",
    Decimal: MONEY,
    date: "date",
    datetime: "timestamp(6)",
}


@dataclass(frozen=True)
class Compiled:
    """The SQL of a query, its columns, the tables that it reads, and the names of its parameters."""

    sql: str
    schema: Mapping[str, dt.DataType]
    tables: tuple[str, ...]
    parameters: frozenset[str]


def bound(label: str, type_: str) -> ir.Value:
    """A parameter as an expression."""
    return Bound(label, dt.dtype(type_)).to_expr()


def type_of(value: Any) -> str:
    """The Ibis type of a parameter's value; lists are lists of texts. Raises TypeError for other values."""
    if isinstance(value, list | tuple | frozenset):
        return "array<string>"
    if type(value) not in _TYPES:
        raise TypeError(f"a parameter of a query is {value!r}: give what shapes the query before the values")
    return _TYPES[type(value)]


def compile_query(expression: Callable[[], ir.Table]) -> Compiled:
    """Compile the expression that the function builds."""
    rows = expression()
    tables = sorted({node.name for node in rows.op().find(ops.UnboundTable)})
    parameters = frozenset(node.label for node in rows.op().find(Bound))
    sql = _COMPILER.to_sqlglot(rows).sql(dialect="duckdb", copy=False)
    return Compiled(sql, dict(rows.schema().items()), tuple(tables), parameters)
