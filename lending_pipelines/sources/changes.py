"""Compares the source's rows with the lake's by key, and writes the warnings about differences.

The lake's engine compares the rows. This module commits nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import ibis
import ibis.expr.types as ir

from lending_pipelines.sources.reading import Reading
from lending_pipelines.tables import Table

LISTED = 20
"""The number of rows that a warning lists."""


@dataclass(frozen=True)
class Changes:
    """The differences between one reading and the lake."""

    added: ir.Table
    """Rows whose key is not in the lake."""
    changed: ir.Table
    """Rows whose key is in the lake with different values."""
    gone: ir.Table
    """Rows of the lake that the source no longer has."""
    rows_added: int
    rows_changed: int
    rows_gone: int

    def __bool__(self) -> bool:
        return bool(self.rows_added or self.rows_changed or self.rows_gone)


def changes(table: Table, reading: Reading, current: ir.Table) -> Changes:
    """Compare a reading with `current`, the lake's rows."""
    key = list(table.key)
    # A row that moved to another loan changed the totals of both, so the lake's rows of the loans read are enough.
    lake = current if reading.parts is None or reading.covered is None else reading.covered
    added = reading.rows.anti_join(lake, key)
    changed = _changed(table, reading.rows, lake)
    gone = current.limit(0) if reading.covered is None else reading.covered.anti_join(reading.rows, key)
    return Changes(added, changed, gone, *counts(added, changed, gone))


def warnings(table: Table, reading: Reading, diff: Changes) -> list[str]:
    """Warnings about rows that are gone from the source, and about events that changed."""
    messages = []
    vanished, number = diff.gone, diff.rows_gone
    if reading.orphans is not None:
        # Rejected rows have their own report.
        vanished = vanished.anti_join(reading.orphans.rows, list(table.key))
        [number] = counts(vanished)
    if number:
        messages.append(
            f"{table.name}: {number} rows of the lake are no longer in the source and do not count any "
            f"more ({_keys(table, vanished, number)})"
        )
    if diff.rows_changed and table.load == "append":
        messages.append(
            f"{table.name}: {diff.rows_changed} rows have changed in the source, although events must not change; "
            f"the new values count from now on ({_keys(table, diff.changed, diff.rows_changed)})"
        )
    return messages


def listed(table: Table, diff: Changes) -> list[str]:
    """One line per kind of change, with the keys of the first rows."""
    kinds = (
        (diff.rows_added, "added", diff.added),
        (diff.rows_changed, "changed", diff.changed),
        (diff.rows_gone, "gone", diff.gone),
    )
    return [f"{number:,} {kind} ({_keys(table, rows, number)})" for number, kind, rows in kinds if number]


def in_future(table: Table, rows: ir.Table, now: datetime) -> list[str]:
    """A warning for each timestamp column with values after `now` (UTC)."""
    messages = []
    columns = [column.name for column in table.columns if column.type.startswith("timestamp")]
    late_rows = [rows.filter(rows[column] > now) for column in columns]
    for column, late, number in zip(columns, late_rows, counts(*late_rows), strict=True):
        if number:
            messages.append(
                f"{table.name}: {number} rows have {column} in the future ({_keys(table, late, number, column)})"
            )
    return messages


def counts(*tables: ir.Table) -> list[int]:
    """The number of rows of each table, from one query."""
    if not tables:
        return []
    numbers = [rows.agg(**{f"rows_{position}": rows.count()}) for position, rows in enumerate(tables)]
    return list(reduce(ir.Table.cross_join, numbers).to_pyarrow().to_pylist()[0].values())


def _changed(table: Table, rows: ir.Table, current: ir.Table) -> ir.Table:
    """The rows whose key is in `current` with different values."""
    both = rows.join(current, list(table.key), rname="{name}_lake")
    values = [name for name in table.names if name not in table.key]
    if not values:
        return rows.limit(0)
    differs = ibis.or_(*(~both[name].identical_to(both[f"{name}_lake"]) for name in values))
    return both.filter(differs).select(*table.names)


def _keys(table: Table, rows: ir.Table, number: int, *columns: str) -> str:
    """The keys of the first rows, with the values of the columns."""
    first = rows.select(*table.key, *columns).order_by(*table.key).limit(LISTED).to_pyarrow().to_pylist()
    listed = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in first)
    return f"{listed}; and {number - LISTED} more" if number > LISTED else listed
