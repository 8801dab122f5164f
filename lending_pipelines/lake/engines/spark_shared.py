"""Makes Spark compute an expression once if a query reads it several times.

Spark copies a common table expression into each of its readers, recursively: a query of forty tables becomes a plan of
thousands of tables. This module first writes the expressions that would be copied most as Parquet.
"""

from collections import Counter

import sqlglot.expressions as sge
from pyspark.sql import SparkSession
from sqlglot import select

WORTH_WRITING = 8
"""An expression is written if this saves its other readers at least this number of scans and shuffles."""

_SHUFFLES = (sge.Group, sge.Window, sge.Distinct)


def share(session: SparkSession, query: sge.Query, folder: str, dialect: type) -> str:
    """Write the expressions that are worth it to the folder. Returns the query as SQL that reads them from there."""
    readers = Counter(_tables(query))
    shared = {expression.alias: expression.this for expression in query.ctes}
    if written_with := query.find(sge.With):
        written_with.pop()
    costs: dict[str, int] = {}
    for name, body in shared.items():
        costs[name] = sum(costs.get(table, 1) for table in _tables(body)) + (body.find(*_SHUFFLES) is not None)
        if costs[name] * (readers[name] - 1) >= WORTH_WRITING:
            rows = session.sql(_sql(body, shared, dialect))
            rows.write.parquet(f"{folder}/{name}")
            view = f"`parquet`.`{folder}/{name}`"
            shared[name] = select("*").from_(view, dialect=dialect)
            costs[name] = 1
    return _sql(query, shared, dialect)


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
