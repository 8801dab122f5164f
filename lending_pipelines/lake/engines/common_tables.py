"""Which relations of an expression are common table expressions (WITH): those that are read more than once.

Ibis 12 misses three kinds: a relation that several joins read under the same name, one that is joined in a join with
several selects, and one whose columns are dropped. It then writes such a relation, with everything below it, into its
SQL once for each reader. `fast_ibis` replaces Ibis' own function with `extract`.
"""

from collections import Counter

import ibis.expr.operations as ops
from ibis.backends.sql import rewrites
from ibis.common.graph import Graph
from ibis.common.patterns import InstanceOf

BY_IBIS = rewrites.extract_ctes
"""The function of Ibis that `extract` replaces."""

_TYPES = (rewrites.Select, ops.Aggregate, ops.JoinChain, ops.Set, ops.Limit, ops.Sample, ops.DropColumns)
"""The types of relations that can be common table expressions."""

_NOT_COUNTED = InstanceOf((ops.Field, ops.CountStar, ops.CountDistinctStar))
"""The nodes that do not count as readers of a relation."""


def extract(node: ops.Relation) -> set[ops.Relation]:
    """The relations below the node that are read more than once or have a name of their own."""
    graph = Graph.from_bfs(node, filter=~_NOT_COUNTED)
    readers = Counter(child for children in graph.values() for child in children)
    for kind in (ops.JoinLink, ops.JoinReference):
        for part, children in graph.items():
            if isinstance(part, kind):
                # Several joins can share a part. Each of them counts as a reader of the relation below it.
                readers.update(dict.fromkeys(children, readers[part] - 1))
    return {
        relation
        for relation in graph
        if isinstance(relation, ops.AliasedRelation) or (readers[relation] > 1 and isinstance(relation, _TYPES))
    }
