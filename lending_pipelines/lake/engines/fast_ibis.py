"""Faster versions of the functions in which Ibis spends most of its time. Their results are equal.

Together with them, `common_tables.extract` is installed, which changes the SQL but not its rows.

Ibis takes half of the CPU time of a close to build expressions and to compile them to SQL. The functions here replace
private ones of Ibis 12.0.0 and sqlglot 30. With any other version nothing is replaced, and Ibis is only slower.
`tests/lake/test_lake_fast_ibis.py` compares the SQL of both.

- A graph of nodes is traversed with numbers instead of nodes as keys, because a node's hash is a Python function.
- The last complete graph is traversed once for all functions that read or rewrite it.
- Children without replacement are not replaced again, and only patterns that can match a node's type are tried.
- Arguments are bound to a node's signature without `inspect`, and arguments that a rewrite leaves unchanged are not
  validated again.
- Fields of a relation are made without validation.
- A subquery is aliased without a copy of its whole tree.
- The SQL of an expression that differs in days and names only from an earlier one is not compiled again.
- DuckDB parses and binds a query once. Ibis makes a relation of it first, which does so once more.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
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


# Graphs. The kind of an argument depends on its type: a node, a collection that may hold nodes, or a plain value.
_NODE, _SEQUENCE, _MAPPING, _PLAIN = range(4)


@cache
def _kind(cls: Any) -> int:
    if issubclass(cls, graph.Node):
        return _NODE
    if issubclass(cls, (tuple, list)):
        return _SEQUENCE
    return _MAPPING if issubclass(cls, dict) else _PLAIN


def _collect(items: Any, found: list[Any]) -> list[Any]:
    for item in items:
        kind = _kind(item.__class__)
        if kind == _NODE:
            found.append(item)
        elif kind == _SEQUENCE:
            _collect(item, found)
        elif kind == _MAPPING:
            for pair in item.items():
                _collect(pair, found)
    return found


def _below(root: Any, accept: Callable[[Any], bool] | None) -> tuple[list[Any], list[list[int]]]:
    """The nodes below the root, breadth first, and the numbers of their children."""
    nodes: list[Any] = [root] if accept is None or accept(root) else []
    numbers = {node: number for number, node in enumerate(nodes)}
    # Most children are the same object as an earlier one: their hash is not needed.
    by_identity = {id(node): number for number, node in enumerate(nodes)}
    children: list[list[int]] = []
    for node in nodes:  # The list grows while it is read.
        below = []
        for child in _collect(node.__args__, []):
            number = by_identity.get(id(child))
            if number is None:
                if accept is not None and not accept(child):
                    continue
                number = numbers.setdefault(child, len(nodes))
                by_identity[id(child)] = number
                if number == len(nodes):
                    nodes.append(child)
            below.append(number)
        children.append(below)
    return nodes, children


# Before a query runs, its complete graph is traversed up to four times, and each rewrite traverses what the last made.
_all_below = lru_cache(maxsize=1)(lambda root: _below(root, None))
_all_ordered = lru_cache(maxsize=1)(lambda root: _in_order(*_all_below(root)))


def _ordered(root: Any, accept: Callable[[Any], bool] | None) -> tuple[list[Any], list[list[int]], list[int]]:
    """The nodes below the root, the numbers of their children, and all numbers in the order of Kahn's algorithm."""
    return _all_ordered(root) if accept is None else _in_order(*_below(root, accept))


def _in_order(nodes: list[Any], children: list[list[int]]) -> tuple[list[Any], list[list[int]], list[int]]:
    dependents: list[list[int]] = [[] for _ in nodes]
    for number, below in enumerate(children):
        for child in below:
            dependents[child].append(number)
    missing = [len(below) for below in children]
    order = [number for number, count in enumerate(missing) if not count]
    for number in order:
        for dependent in dependents[number]:
            missing[dependent] -= 1
            if not missing[dependent]:
                order.append(dependent)
    return nodes, children, order


def _map(self: Any, fn: Callable, filter: Any = None) -> dict[Any, Any]:
    nodes, _, order = _ordered(self, None if filter is None else graph._coerce_finder(filter))
    results: dict[Any, Any] = {}
    for number in order:
        node = nodes[number]
        given = {
            name: value if _kind(value.__class__) == _PLAIN else graph._recursive_lookup(value, results)
            for name, value in zip(node.__argnames__, node.__args__, strict=True)
        }
        results[node] = fn(node, results, **given)
    return results


def _replace(self: Any, replacer: Any, filter: Any = None, context: dict | None = None) -> Any:
    nodes, children, order = _ordered(self, None if filter is None else graph._coerce_finder(filter))
    if isinstance(replacer, patterns.Pattern) and not _may_match(replacer, nodes):
        return self
    fn = _replacer(replacer, context)
    replacements: dict[Any, Any] = {}
    replaced = [False] * len(nodes)
    for number in order:
        node, given = nodes[number], None
        if any(replaced[child] for child in children[number]):
            given = {
                name: graph._apply_replacements(value, replacements)[0]
                for name, value in zip(node.__argnames__, node.__args__, strict=True)
            }
        result = fn(node, given)
        if result is not node:
            replacements[node] = result
            replaced[number] = True
    return replacements.get(self, self)


def _find(self: Any, finder: Any, filter: Any = None, context: dict | None = None, ordered: bool = False) -> list[Any]:
    found = graph._coerce_finder(finder, context)
    accept = None if filter is None else graph._coerce_finder(filter, context)
    if ordered:
        nodes, _, order = _ordered(self, accept)
        nodes = [nodes[number] for number in order]
    else:
        nodes, _ = _all_below(self) if accept is None else _below(self, accept)
    return [node for node in nodes if found(node)]


def _replacer(replacer: Any, context: dict | None) -> Callable[[Any, Any], Any]:
    if not isinstance(replacer, patterns.Pattern):
        return graph._coerce_replacer(replacer, context)
    known = context or {}
    alternatives = _with_required_types(replacer)
    possible: dict[type, list[Any]] = {}

    def fn(node: Any, given: Any) -> Any:
        made = _recreated(node, given) if given else node
        cls = type(made)
        if (tried := possible.get(cls)) is None:
            tried = [match for match, needed in alternatives if needed is None or issubclass(cls, needed)]
            possible[cls] = tried
        for pattern in tried:
            if (result := pattern.match(made, known)) is not patterns.NoMatch:
                return result
        return made

    return fn


def _recreated(node: Any, given: dict[str, Any]) -> Any:
    """The node with other arguments."""
    cls = type(node)
    plan = _plan(cls.__signature__)
    if plan is None:
        return cls.__recreate__(given)
    valid: dict[str, Any] = {}
    for (name, match, _), before in zip(plan, node.__args__, strict=True):
        value = given[name]
        valid[name] = value if value is before else match(value, valid)
        if valid[name] is patterns.NoMatch:
            # The original raises the error.
            return cls.__recreate__(given)
    return super(grounds.Annotable, cls).__create__(**valid)


def _may_match(pattern: Any, nodes: list[Any]) -> bool:
    """Whether a node has a type that the pattern can match."""
    needed = [each for _, each in _with_required_types(pattern)]
    return None in needed or any(issubclass(cls, each) for cls in set(map(type, nodes)) for each in needed)


def _with_required_types(pattern: Any) -> list[tuple[Any, Any]]:
    return [(each, _required_type(each)) for each in _alternatives(pattern)]


def _alternatives(pattern: Any) -> list[Any]:
    if isinstance(pattern, patterns.AnyOf):
        return [inner for each in pattern.patterns for inner in _alternatives(each)]
    return [pattern]


def _required_type(pattern: Any) -> Any:
    """The type or types without which the pattern does not match; None if unknown."""
    match pattern:
        case patterns.Replace():
            return _required_type(pattern.matcher)
        case patterns.Capture():
            return _required_type(pattern.pattern)
        case patterns.Object():
            return _required_type(pattern.type)
        case patterns.InstanceOf():
            return pattern.type
    return None


# Nodes
_bind_and_validate = annotations.Signature.validate
_plans: dict[int, tuple[Any, list[tuple[str, Any, Any]] | None]] = {}


def _plan(signature: Any) -> list[tuple[str, Any, Any]] | None:
    """Name, matching function and default of each parameter; None if some parameter is variadic or keyword only."""
    if (known := _plans.get(id(signature))) is None:
        plain = all(each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for each in signature.parameters.values())
        plan = [(name, each.annotation.pattern.match, each.default) for name, each in signature.parameters.items()]
        # The signature is kept, so that no other gets its id.
        known = _plans[id(signature)] = (signature, plan if plain else None)
    return known[1]


def _validate(self: Any, func: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    plan = _plan(self)
    if plan is None or len(args) + len(kwargs) > len(plan):
        return _bind_and_validate(self, func, args, kwargs)
    this: dict[str, Any] = {}
    named = 0
    for position, (name, match, default) in enumerate(plan):
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
        for child in _collect(node.__args__, []):
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
    return TEMPLATES.sql(*_all_below(expr.as_table().op()), lambda node: _compiled_by_ibis(self, node.to_expr()))


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
    (graph.Node, "map", _map),
    (graph.Node, "replace", _replace),
    (graph.Node, "find", _find),
    (graph.Node, "__children__", property(lambda self: tuple(_collect(self.__args__, [])))),
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
