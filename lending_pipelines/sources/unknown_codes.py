"""Finds codes whose meaning is not known before a SELECT reads a table. The table is rejected, with the codes named."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lending_pipelines.sources.finding import SHOWN, Finding
from lending_pipelines.sources.stored import StoredTables


@dataclass(frozen=True)
class Code:
    """A code list: the column of the servicing table, the stored table and column, and the known codes."""

    column: str
    table: str
    code: str
    known: Collection[int] | Collection[str]
    required: bool = False
    """Whether NULL is an unknown code too."""
    drafts: str | None = None
    """A column that is 0 in rows that are not checked, such as drafts. None if all rows are checked."""


def unknown_codes(connection: sa.Connection, t: StoredTables, codes: Sequence[Code], id_: str) -> list[Finding]:
    """A finding for each code list with codes that are not known.

    Args:
        connection: The connection of the snapshot.
        t: The stored tables.
        codes: The code lists of one servicing table.
        id_: The column with the id of a row.
    """
    findings = []
    for each in codes:
        row = getattr(t, each.table)
        code = row.c[each.code]
        unknown = code.not_in(list(each.known))
        if each.required:
            unknown |= code.is_(None)
        counts = sa.true() if each.drafts is None else row.c[each.drafts] != 0
        query = (
            sa.select(code, sa.func.count(), sa.func.min(row.c[id_]))
            .where(unknown, counts)
            .group_by(code)
            .order_by(code)
        )
        if found := connection.execute(query).all():
            examples = tuple(
                f"{each.code}={value}: {number}, the first with {id_} {first}" for value, number, first in found
            )
            rows = sum(number for _, number, _ in found)
            place = f"{t.layout.stored_name(each.table)}.{each.code}"
            findings.append(Finding(each.column, f"have an unknown code in {place}", rows, examples[:SHOWN]))
    return findings
