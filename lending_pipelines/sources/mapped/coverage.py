"""The servicing tables and columns that a mapping covers, and its faults, as `lending source check` shows them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa

from lending_pipelines.sources.mapped.adapter import MappedSnapshot
from lending_pipelines.sources.mapped.mapping import TableRule
from lending_pipelines.sources.mapped.unreadable import Unreadable
from lending_pipelines.sources.results import Preview
from lending_pipelines.tables import Table


@dataclass(frozen=True)
class OpenSource:
    """A source whose snapshot is already open."""

    reader: MappedSnapshot
    name = MappedSnapshot.name

    @contextmanager
    def snapshot(self) -> Iterator[MappedSnapshot]:
        """The open tables."""
        yield self.reader


@dataclass
class LenderTable:
    """A table of the lender: its name, the columns that the mapping does not use, and its unconverted first rows."""

    name: str
    unused: list[str]
    before: list[dict[str, Any]]


@dataclass
class Coverage:
    """How a mapping covers a servicing table."""

    table: Table
    without: list[str]
    """The servicing columns that the mapping does not cover."""
    notes: Mapping[str, int | str]
    """Remarks, such as the number of rows left out."""
    rows: int = 0
    origins: list[LenderTable] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    """The first rows of the servicing table."""
    faults: list[str] = field(default_factory=list)


def coverage(snapshot: MappedSnapshot, previews: Iterable[Preview], shown: int) -> Iterator[Coverage]:
    """How a mapping covers each servicing table, with the first `shown` rows.

    Args:
        snapshot: The lender's tables.
        previews: What a reload of each servicing table would do, with its errors.
        shown: The number of rows.
    """
    for preview in previews:
        table = preview.table
        rules = snapshot.mapping.tables[table.name]
        given = {column for rule in rules for column in rule.columns}
        without = [column for column in table.names if column not in given]
        found = Coverage(table, without, snapshot.notes(table), faults=_faults(preview))
        if preview.rows is not None:
            found.rows = int(preview.rows.count().to_pyarrow().as_py())
            found.after = preview.rows.order_by(*table.key).limit(shown).to_pyarrow().to_pylist()
            found.origins = [_origin(snapshot, rule, shown) for rule in rules]
        yield found


def _faults(preview: Preview) -> list[str]:
    """Why the table would be rejected, and which of its rows would be rejected."""
    rejected = [f"{preview.table.name}.{finding}" for finding in preview.rejected_rows]
    if preview.error is None:
        return rejected
    return [*(getattr(preview.error, "faults", None) or [str(preview.error)]), *rejected]


def _origin(snapshot: MappedSnapshot, rule: TableRule, shown: int) -> LenderTable:
    try:
        columns = snapshot.origin.columns(rule)
        rows: list[dict[str, Any]] = []
        if rule.used:
            group = next(islice(snapshot.origin.groups(rule, rule.used), 1), {})
            listed = [
                (values.slice(0, shown).to_pylist() if isinstance(values, pa.Array) else list(values)[:shown])
                for values in group.values()
            ]
            rows = [dict(zip(rule.used, cells, strict=True)) for cells in zip(*listed, strict=True)]
    except Unreadable as error:
        return LenderTable(f"{rule.origin} ({error})", [], [])
    return LenderTable(rule.origin, [name for name in columns if name not in rule.used], rows)
