"""Contradictions in a servicing database: values that are stored in two places and differ.

Each sync reports them and reads the rows as they are. A source lists its kinds of `Contradiction`; each has a SELECT
for the ids of the contradictory rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lending_pipelines.sources.stored import StoredTables

SHOWN = 10
"""The number of ids that a message lists."""


@dataclass(frozen=True)
class Contradiction:
    """A kind of contradiction: its servicing table, and the SELECT for the ids of the rows that have it.

    `of` is what these rows are. `problem` follows it in a message.
    """

    table: str
    problem: str
    ids: Callable[[StoredTables], sa.Select]
    of: str = "loans"


def messages(connection: sa.Connection, t: StoredTables, kinds: Sequence[Contradiction], table: str) -> list[str]:
    """A sentence for each kind of contradiction that the servicing table has."""
    sentences = []
    for kind in kinds:
        if kind.table == table:
            (id_,) = kind.ids(t).subquery().c
            found = connection.execute(sa.select(id_, sa.func.count().over()).order_by(id_).limit(SHOWN)).all()
            if found:
                sentences.append(message(table, kind.of, kind.problem, found[0][1], [first for first, _ in found]))
    return sentences


def message(table: str, of: str, problem: str, number: int, first: Sequence[Any]) -> str:
    """The sentence about contradictory rows: their number and the first ids."""
    more = f"; and {number - len(first)} more" if number > len(first) else ""
    return f"{table}: {number:,} {of} {problem} (id {', '.join(map(str, first))}{more})"
