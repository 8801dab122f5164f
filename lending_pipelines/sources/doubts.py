"""What a servicing database says in two places and differently. Each sync reports it, and reads the rows as they are.

A source lists its differences as `Doubt`s; every one is a SELECT of the ids that have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lending_pipelines.sources.stored import StoredTables

SHOWN = 10
"""The number of ids that a message lists."""


@dataclass(frozen=True)
class Doubt:
    """A difference: the servicing table that it is about, and the SELECT of the ids of the rows that have it."""

    table: str
    problem: str
    ids: Callable[[StoredTables], sa.Select]
    of: str = "loans"


def messages(connection: sa.Connection, t: StoredTables, doubts: Sequence[Doubt], table: str) -> list[str]:
    """A sentence for each of the differences that is about the servicing table."""
    sentences = []
    for doubt in doubts:
        if doubt.table == table:
            (id_,) = doubt.ids(t).subquery().c
            found = connection.execute(sa.select(id_, sa.func.count().over()).order_by(id_).limit(SHOWN)).all()
            if found:
                sentences.append(message(table, doubt.of, doubt.problem, found[0][1], [first for first, _ in found]))
    return sentences


def message(table: str, of: str, problem: str, number: int, first: Sequence[Any]) -> str:
    """The sentence of a difference that a number of rows have, with the first ids."""
    more = f"; and {number - len(first)} more" if number > len(first) else ""
    return f"{table}: {number:,} {of} {problem} (id {', '.join(map(str, first))}{more})"
