"""What a mapping covers, and its faults, as `lending source check` shows it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa

from lending_pipelines.sources.batches import UnreadableValues
from lending_pipelines.sources.mapped.adapter import MappedSnapshot
from lending_pipelines.sources.mapped.mapping import TableRule
from lending_pipelines.sources.mapped.unreadable import Unreadable
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import SERVICING, Table


@dataclass
class LenderTable:
    """A table of the lender: its name, the columns that nothing reads, and its first rows as they are."""

    name: str
    unused: list[str]
    before: list[dict[str, Any]]


@dataclass
class Coverage:
    """What a mapping gives of a servicing table."""

    table: Table
    without: list[str]
    """The servicing columns that the mapping does not give."""
    rows: int = 0
    origins: list[LenderTable] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    """The first rows of the servicing table."""
    faults: list[str] = field(default_factory=list)


def coverage(snapshot: MappedSnapshot, shown: int) -> Iterator[Coverage]:
    """Read each table of a mapping completely, and keep the first `shown` rows."""
    for name, rules in snapshot.mapping.tables.items():
        table = SERVICING[name]
        given = {column for rule in rules for column in rule.columns}
        found = Coverage(table, [column for column in table.names if column not in given])
        _read(snapshot, table, found, shown)
        if not found.faults or found.rows:
            found.origins = [_origin(snapshot, rule, shown) for rule in rules]
        yield found


def _read(snapshot: MappedSnapshot, table: Table, found: Coverage, shown: int) -> None:
    try:
        for batch in snapshot.read(table):
            found.rows += batch.num_rows
            found.after += batch.slice(0, shown - len(found.after)).to_pylist()
    except UnreadableValues as error:
        found.faults += [f"{table.name}.{finding}" for finding in error.findings]
    except SourceError as error:
        found.faults.append(str(error))


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
