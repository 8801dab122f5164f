"""Computes once, on Spark, what a query reads several times.

Spark copies a common table expression to each of its readers, and those of its readers to theirs: a query of forty
tables becomes a plan of thousands. Here the expressions that would be copied most are written as Parquet first.
"""

from collections import Counter

import sqlglot.expressions as sge
from pyspark.sql import SparkSession
from sqlglot import select

WORTH_WRITING = 8
"""How many scans and shuffles the other readers of an expression must save for it to be written."""

_SHUFFLES = (sge.Group, sge.Window, sge.Distinct)


def share(session: SparkSession, query: sge.Query, folder: str, dialect: type) -> str:
    """The query as SQL that reads from the folder what was worth writing there."""
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
    """The body as SQL, with those of the shared expressions that it needs."""
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
