"""Finds rows whose owner does not exist, such as payments of an unknown loan, before a table is committed.

tables/references.py lists the references to owners. Only such rows are rejected; the sync commits the other rows of the
table. References that only describe a row are checked after the sync, in checks/.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.rules import Fault, finding
from lending_pipelines.tables import REQUIRED, Table
from lending_pipelines.tables.references import owners


@dataclass(frozen=True)
class Orphans:
    """The rows of a reading whose owner does not exist."""

    rows: ir.Table
    """Their distinct keys."""
    findings: tuple[Finding, ...]
    """For each reference: the number of rows, and the first few with the missing id."""


def find_orphans(table: Table, rows: ir.Table, parent_rows: Callable[[str], ir.Table | None]) -> Orphans | None:
    """Find the rows whose owner is missing from its table. None if there are none.

    Args:
        table: The servicing table.
        rows: The rows that were read.
        parent_rows: Returns the rows of another table in the lake, or None if it was never synced. References to an
            optional table without rows are not checked, because the source does not keep that table.
    """
    faults: list[tuple[Fault, int]] = []
    for column, (parent, key) in owners(table.name).items():
        parents = parent_rows(parent)
        if parents is None or not (parent in REQUIRED or _count(parents.limit(1))):
            continue
        known = parents.select(parents[key].name(column))
        missing = rows.filter(rows[column].notnull()).anti_join(known, column)
        if number := _count(missing):
            faults.append((Fault(column, f"refer to a row that {parent} does not have", missing), number))
    if not faults:
        return None
    keys = [fault.rows.select(*table.key) for fault, _ in faults]
    return Orphans(
        ibis.union(*keys, distinct=True) if len(keys) > 1 else keys[0],
        tuple(finding(table, fault, number) for fault, number in faults),
    )


def _count(rows: ir.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())
