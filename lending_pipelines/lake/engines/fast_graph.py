"""Faster versions of the functions with which Ibis traverses and rewrites graphs of nodes. Their results are equal.

- A graph of nodes is traversed with numbers instead of nodes as keys, because a node's hash is a Python function.
- The last complete graph is traversed once for all functions that read or rewrite it.
- Children without replacement are not replaced again, and only patterns that can match a node's type are tried.
- Arguments that a rewrite leaves unchanged are not validated again.

`fast_ibis.py` installs them. What makes single nodes and SQL faster is there too.
"""

import inspect
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from ibis.common import graph, grounds, patterns

# The kind of an argument depends on its type: a node, a collection that may hold nodes, or a plain value.
_NODE, _SEQUENCE, _MAPPING, _PLAIN = range(4)


@cache
def _kind(cls: Any) -> int:
    if issubclass(cls, graph.Node):
        return _NODE
    if issubclass(cls, (tuple, list)):
        return _SEQUENCE
    return _MAPPING if issubclass(cls, dict) else _PLAIN


def collect(items: Any, found: list[Any]) -> list[Any]:
    """Add the nodes among the items, and in collections of them, to those found."""
    for item in items:
        kind = _kind(item.__class__)
        if kind == _NODE:
            found.append(item)
        elif kind == _SEQUENCE:
            collect(item, found)
        elif kind == _MAPPING:
            for pair in item.items():
                collect(pair, found)
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
        for child in collect(node.__args__, []):
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
all_below = lru_cache(maxsize=1)(lambda root: _below(root, None))
_all_ordered = lru_cache(maxsize=1)(lambda root: _in_order(*all_below(root)))


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


def map_nodes(self: Any, fn: Callable, filter: Any = None) -> dict[Any, Any]:
    """`Node.map`: the result of a function for each node."""
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


def replace_nodes(self: Any, replacer: Any, filter: Any = None, context: dict | None = None) -> Any:
    """`Node.replace`: the graph with some nodes replaced."""
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


def find_nodes(
    self: Any, finder: Any, filter: Any = None, context: dict | None = None, ordered: bool = False
) -> list[Any]:
    """`Node.find`: the nodes that the finder accepts."""
    found = graph._coerce_finder(finder, context)
    accept = None if filter is None else graph._coerce_finder(filter, context)
    if ordered:
        nodes, _, order = _ordered(self, accept)
        nodes = [nodes[number] for number in order]
    else:
        nodes, _ = all_below(self) if accept is None else _below(self, accept)
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
    steps = plan(cls.__signature__)
    if steps is None:
        return cls.__recreate__(given)
    valid: dict[str, Any] = {}
    for (name, match, _), before in zip(steps, node.__args__, strict=True):
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


_plans: dict[int, tuple[Any, list[tuple[str, Any, Any]] | None]] = {}


def plan(signature: Any) -> list[tuple[str, Any, Any]] | None:
    """Name, matching function and default of each parameter; None if some parameter is variadic or keyword only."""
    if (known := _plans.get(id(signature))) is None:
        plain = all(each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for each in signature.parameters.values())
        steps = [(name, each.annotation.pattern.match, each.default) for name, each in signature.parameters.items()]
        # The signature is kept, so that no other gets its id.
        known = _plans[id(signature)] = (signature, steps if plain else None)
    return known[1]
