"""Makes Spark compute an expression once if a query reads it several times.

Spark copies a common table expression into each of its readers, recursively: a query of forty tables becomes a plan of
thousands of tables. This module first writes the expressions that would be copied most as Parquet.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import sqlglot.expressions as sge
from ibis.util import gen_name
from pyspark.sql import SparkSession
from sqlglot import select

WORTH_WRITING = 8
"""An expression is written if this saves its other readers at least this number of scans and shuffles."""

_SHUFFLES = (sge.Group, sge.Window, sge.Distinct)


@contextmanager
def share(session: SparkSession, query: sge.Query, folder: str, dialect: type) -> Iterator[str]:
    """The query as SQL that reads the expressions that are worth it from the folder, in which this writes them.

    The views of what was written are dropped after the block.
    """
    readers = Counter(_tables(query))
    shared = {expression.alias: expression.this for expression in query.ctes}
    if written_with := query.find(sge.With):
        written_with.pop()
    costs: dict[str, int] = {}
    views: list[str] = []
    try:
        for name, body in shared.items():
            costs[name] = sum(costs.get(table, 1) for table in _tables(body)) + (body.find(*_SHUFFLES) is not None)
            if costs[name] * (readers[name] - 1) >= WORTH_WRITING:
                rows = session.sql(_sql(body, shared, dialect))
                rows.write.parquet(f"{folder}/{name}")
                views.append(gen_name("shared"))
                # With its schema, Spark reads no file to find it.
                session.read.schema(rows.schema).parquet(f"{folder}/{name}").createOrReplaceTempView(views[-1])
                shared[name] = select("*").from_(views[-1], dialect=dialect)
                costs[name] = 1
        yield _sql(query, shared, dialect)
    finally:
        for view in views:
            session.catalog.dropTempView(view)


def _sql(body: sge.Query, shared: dict[str, sge.Query], dialect: type) -> str:
    """The body as SQL, with the shared expressions that it needs."""
    needed = set(_tables(body))
    for name in reversed(shared):
        if name in needed:
            needed.update(_tables(shared[name]))
    query = body.copy()
    for name in shared:
        if name in needed:
            query = query.with_(name, shared[name], copy=False)
    return query.sql(dialect=dialect)


def _tables(query: sge.Query) -> list[str]:
    return [table.name for table in query.find_all(sge.Table)]
