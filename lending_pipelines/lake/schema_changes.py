"""What a table of an earlier release lacks: columns added since, and types widened since.

When such a table is read, its rows get today's types, and null in the added columns. The first write to the table, or
`lending upgrade`, rewrites it.
"""

from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable, Schema

from lending_pipelines.lake.files import LakeError, stored_schema
from lending_pipelines.tables import Table

_LATER = ": a later version of this program has written the table; install that version"
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
"""The digits of the largest integer of each width in bits."""


@dataclass(frozen=True)
class SchemaChange:
    """A column whose stored type differs from `now`, its type today. `stored` is None for an added column."""

    column: str
    stored: str | None
    now: str


def schema_changes(table: Table, snapshot: DeltaTable) -> list[SchemaChange]:
    """The columns whose stored type differs from the table's type today, and the added columns.

    Raises:
        LakeError: A stored column is unknown, or its stored type has values that today's type cannot hold: a later
            version of this program wrote the table.
    """
    stored = {field.name: field.type for field in snapshot.schema().fields}
    now = {field.name: field.type for field in Schema.from_arrow(stored_schema(table)).fields}
    # The usual case, before every write, needs no Arrow types.
    if stored == now:
        return []
    if unknown := stored.keys() - now.keys():
        raise LakeError(f"table {table.name}: unknown columns {', '.join(sorted(unknown))}{_LATER}")
    held, wanted = pa.schema(snapshot.schema()), stored_schema(table)
    changed = [name for name in now if stored.get(name) != now[name]]
    if wrong := [
        name for name in changed if name in stored and not _widens(held.field(name).type, wanted.field(name).type)
    ]:
        types = (f"{name} is {held.field(name).type}, here {wanted.field(name).type}" for name in wrong)
        raise LakeError(f"table {table.name}: {'; '.join(types)}, which does not hold all its values{_LATER}")
    return [
        SchemaChange(name, str(held.field(name).type) if name in stored else None, str(wanted.field(name).type))
        for name in changed
    ]


def _widens(stored: pa.DataType, now: pa.DataType) -> bool:
    """Whether today's type can hold every value of the stored type."""
    if pa.types.is_decimal(now):
        if pa.types.is_integer(stored):
            return now.precision - now.scale >= _DIGITS[stored.bit_width]
        whole = now.precision - now.scale
        return pa.types.is_decimal(stored) and now.scale >= stored.scale and whole >= stored.precision - stored.scale
    if pa.types.is_floating(now):
        return pa.types.is_floating(stored) or (pa.types.is_integer(stored) and stored.bit_width <= 32)
    if pa.types.is_integer(now):
        return pa.types.is_integer(stored) and now.bit_width >= stored.bit_width
    if pa.types.is_timestamp(now):
        return pa.types.is_timestamp(stored) or pa.types.is_date(stored)
    return bool(now == stored)
