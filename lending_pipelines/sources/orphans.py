"""Finds rows whose owner does not exist, such as payments of an unknown loan, before a table is committed.

Which references name an owner is in tables/references.py. Such a row is rejected by itself; the other rows of its table
are taken in. References that only describe a row are judged after the sync, in checks/.
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
    """Their keys, each once."""
    findings: tuple[Finding, ...]
    """For each reference the number of rows, and the first few with the id that does not exist."""


def find_orphans(table: Table, rows: ir.Table, parent_rows: Callable[[str], ir.Table | None]) -> Orphans | None:
    """The rows that name an owner that its table does not have; None when there are none.

    Args:
        table: The servicing table.
        rows: The rows that were read.
        parent_rows: Gives the rows of another table in the lake; None when it was never synced. An optional table
            without rows is one that the source does not keep: nothing is compared with it.
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
