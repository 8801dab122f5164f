"""Faster versions of the functions in which Ibis spends most of its time. Their results are equal.

Together with them, `common_tables.extract` is installed, which changes the SQL but not its rows.

Ibis takes half of the CPU time of a close to build expressions and to compile them to SQL. The functions here replace
private ones of Ibis 12.0.0 and sqlglot 30. With any other version nothing is replaced, and Ibis is only slower.
`tests/lake/test_lake_fast_ibis.py` compares the SQL of both.

- Graphs of nodes are traversed and rewritten with less work: `fast_graph.py`.
- Arguments are bound to a node's signature without `inspect`.
- Fields of a relation are made without validation.
- A subquery is aliased without a copy of its whole tree.
- The SQL of an expression that differs in days and names only from an earlier one is not compiled again.
- DuckDB parses and binds a query once. Ibis makes a relation of it first, which does so once more.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from duckdb import DuckDBPyConnection, _seam
from ibis.backends.duckdb import Backend
from ibis.backends.duckdb.converter import DuckDBPyArrowData
from ibis.backends.sql import rewrites as sql_rewrites
from ibis.common import annotations, graph, grounds, patterns
from ibis.common.collections import FrozenOrderedDict
from ibis.expr import rewrites

from lending_pipelines.lake.engines import common_tables
from lending_pipelines.lake.engines.compiled_sql import TEMPLATES
from lending_pipelines.lake.engines.fast_graph import (
    all_below,
    collect,
    find_nodes,
    map_nodes,
    plan,
    replace_nodes,
)

VERSIONS = {"ibis-framework": "12.0.0", "sqlglot": "30", "duckdb": "2.0.0"}
"""The releases whose functions are replaced: the package, and the start of its version."""


@cache
def install() -> bool:
    """Replace the functions in this process. Returns whether the installed versions are the known ones."""
    if not all(f"{version(package)}.".startswith(f"{known}.") for package, known in VERSIONS.items()):
        return False
    for owner, name, function in _REPLACEMENTS:
        setattr(owner, name, function)
    sql_rewrites.extract_ctes = common_tables.extract
    return True


# Nodes
_bind_and_validate = annotations.Signature.validate


def _validate(self: Any, func: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    steps = plan(self)
    if steps is None or len(args) + len(kwargs) > len(steps):
        return _bind_and_validate(self, func, args, kwargs)
    this: dict[str, Any] = {}
    named = 0
    for position, (name, match, default) in enumerate(steps):
        if position < len(args):
            value = args[position]
        elif name in kwargs:
            value = kwargs[name]
            named += 1
        else:
            value = default
        result = patterns.NoMatch if value is annotations.EMPTY else match(value, this)
        if result is patterns.NoMatch:
            # The original raises the error.
            return _bind_and_validate(self, func, args, kwargs)
        this[name] = result
    return this if named == len(kwargs) else _bind_and_validate(self, func, args, kwargs)


_coerced = ops.Value.__coerce__.__func__
_coerced_to = patterns.CoercedTo.match


def _coerce(cls: Any, value: Any, T: Any = None, S: Any = None) -> Any:
    # The literal NULL becomes one of the requested type.
    return value if isinstance(value, ops.Value) and type(value) is not ops.Literal else _coerced(cls, value, T, S)


def _match_coerced(self: Any, value: Any, context: Any) -> Any:
    if isinstance(value, self.type) and isinstance(value, ops.Node) and type(value) is not ops.Literal:
        return value
    return _coerced_to(self, value, context)


def _backtrack(cls: Any, value: Any) -> Iterator[tuple[Any, int]]:
    distance = 0
    while isinstance(value, ops.Field):
        yield value, distance
        value = value.rel.values.get(value.name)
        distance += 1
    if value is not None and value.relations and not _impure(value):
        yield value, distance


def _impure(value: Any) -> bool:
    seen = {id(value)}
    rest = [value]
    while rest:
        node = rest.pop()
        if isinstance(node, ops.Impure):
            return True
        for child in collect(node.__args__, []):
            if isinstance(child, ops.Value) and id(child) not in seen:
                seen.add(id(child))
                rest.append(child)
    return False


@cache
def _computed(cls: Any) -> list[tuple[str, Any, Callable | None]]:
    """Name, default and, unless every value matches, the full function of each computed attribute of a class."""
    return [
        (name, each.default, None if callable(each.default) and each.pattern is patterns._any else each.get_default)
        for name, each in cls.__attributes__.items()
        if each.has_default()
    ]


def _init(self: Any, **kwargs: Any) -> None:
    cls: Any = type(self)
    put = object.__setattr__
    args = tuple([kwargs[name] for name in cls.__argnames__])
    for name, value in zip(cls.__argnames__, args, strict=True):
        put(self, name, value)
    put(self, "__args__", args)
    put(self, "__precomputed_hash__", hash((cls, args)))
    for name, default, checked in _computed(cls):
        put(self, name, default(self) if checked is None else checked(name, self))


def _fields(self: Any) -> Any:
    cls, put, relations = ops.Field, object.__setattr__, frozenset({self})
    made = {}
    for name, dtype in self.schema.items():
        made[name] = field = object.__new__(cls)
        args = (self, name)
        put(field, "rel", self)
        put(field, "name", name)
        put(field, "__args__", args)
        put(field, "__precomputed_hash__", hash((cls, args)))
        put(field, "relations", relations)
        put(field, "dtype", dtype)
    return FrozenOrderedDict(made)


# SQL
def _aliased(self: sge.Subquery, alias: Any, quoted: bool | None = None, copy: bool = True, **options: Any) -> Any:
    if copy and not options:
        # The subquery without the alias is not used again: Ibis names a relation that is read twice in a WITH clause.
        return sge.alias_(sge.Subquery(**self.args), alias, quoted=quoted, copy=False)
    return sge.alias_(self, alias, quoted=quoted, copy=copy, **options)


_compiled_by_ibis = Backend.compile


def _compile(self: Any, expr: Any, /, *, limit: Any = None, params: Any = None, pretty: bool = False) -> str:
    if limit is not None or params or pretty:
        return _compiled_by_ibis(self, expr, limit=limit, params=params, pretty=pretty)
    return TEMPLATES.sql(*all_below(expr.as_table().op()), lambda node: _compiled_by_ibis(self, node.to_expr()))


def _to_pyarrow(self: Any, expr: Any, /, *, params: Any = None, limit: Any = None, **options: Any) -> Any:
    # The name of a single value, which its rows lose, may have days and names of views in it.
    table = (expr.name("value") if isinstance(expr, ir.Scalar) else expr).as_table()
    self._run_pre_execute_hooks(table)
    sql = self.compile(table, params=params, limit=limit, **options)
    rows = _seam.submit(self.con, sql, None, "arrow").arrow_table()
    return expr.__pyarrow_result__(rows, data_mapper=DuckDBPyArrowData)


def read_batches(connection: DuckDBPyConnection, sql: str, rows: int) -> pa.RecordBatchReader:
    """The rows of a query as they are computed, in batches of a number of rows."""
    if install():
        return _seam.submit(connection, sql, None, "stream", rows).arrow_reader()
    return connection.sql(sql).to_arrow_reader(rows)


_REPLACEMENTS: list[tuple[Any, str, Any]] = [
    (graph.Node, "map", map_nodes),
    (graph.Node, "replace", replace_nodes),
    (graph.Node, "find", find_nodes),
    (graph.Node, "__children__", property(lambda self: tuple(collect(self.__args__, [])))),
    (annotations.Signature, "validate", _validate),
    (patterns.CoercedTo, "match", _match_coerced),
    (ops.Value, "__coerce__", classmethod(_coerce)),
    (rewrites.DerefMap, "backtrack", classmethod(_backtrack)),
    (grounds.Concrete, "__init__", _init),
    (ops.Relation, "fields", property(_fields)),
    (sge.Subquery, "as_", _aliased),
    (Backend, "compile", _compile),
    (Backend, "to_pyarrow", _to_pyarrow),
]

ORIGINALS = [(owner, name, inspect.getattr_static(owner, name)) for owner, name, _ in _REPLACEMENTS]
"""The class, the name and the function of Ibis that each replaces."""
