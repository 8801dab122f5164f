"""Turns the values that databases hand out into the exact Arrow types of the servicing tables, or says which cannot be.

Databases differ (SQLite gives a NUMERIC as int or float and a date as text, PostgreSQL gives Decimal and date); what is
accepted is what means the same. Nothing is rounded: only the noise of binary floats is taken off.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import Table

SHOWN = 5
"""How many offending rows an error names."""

Values: TypeAlias = Sequence[Any] | pa.Array
"""One column's values as a database hands them out."""

_CASTS = {
    "int64": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    "date32[day]": (pa.types.is_string,),
    "timestamp[us]": (pa.types.is_date, pa.types.is_timestamp),
    "bool": (),
    "string": (),
}
"""What may be cast to each type, besides the type itself and the cases that need a rule of their own."""


def record_batch(source: str, table: Table, columns: Sequence[Values]) -> pa.RecordBatch:
    """Columns of values in the table's order as a record batch of its types.

    SourceError names the source, table, column and the keys and values of the first offending rows.
    """
    arrays = []
    for field, values in zip(table.arrow_schema, columns, strict=True):
        try:
            arrays.append(to_arrow(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays.append(_one_by_one(source, table, field, [_plain(column) for column in columns]))
    return pa.RecordBatch.from_arrays(arrays, schema=table.arrow_schema)


def to_arrow(values: Values, wanted: pa.DataType) -> pa.Array:
    """The values as an array of the wanted type; ArrowInvalid or ArrowTypeError when one does not mean the same."""
    found = values if isinstance(values, pa.Array) else pa.array(values)
    if found.type == wanted or pa.types.is_null(found.type):
        return found.cast(wanted)
    if pa.types.is_decimal(wanted):
        return _to_decimal(found, wanted)
    if pa.types.is_timestamp(wanted) and pa.types.is_string(found.type):
        return _instants(found, wanted)
    if pa.types.is_boolean(wanted) and pa.types.is_integer(found.type):
        return _flags(found)
    if any(accepts(found.type) for accepts in _CASTS[str(wanted)]):
        return found.cast(wanted)
    raise pa.ArrowInvalid(f"{found.type} is not {wanted}")


def _to_decimal(found: pa.Array, wanted: pa.Decimal128Type) -> pa.Array:
    if pa.types.is_decimal(found.type):
        return found.cast(wanted)
    if pa.types.is_integer(found.type):
        # An int64 has up to 19 digits before the point; the second cast refuses what does not fit.
        return found.cast(pa.decimal128(19 + wanted.scale, wanted.scale)).cast(wanted)
    if not pa.types.is_floating(found.type):
        raise pa.ArrowInvalid(f"{found.type} is not {wanted}")
    exact = found.cast(wanted)
    noise = pc.abs(pc.subtract(exact.cast(pa.float64()), found))
    # 0.1 + 0.2 is meant as 0.30, 1.005 is not a money amount: a ten-thousandth of the last digit tells them apart, or
    # for amounts of billions the last bits that a float has.
    tolerance = pc.add(pc.multiply(pc.abs(found), 2.0**-51), 10.0 ** -(wanted.scale + 4))
    if pc.any(pc.greater(noise, tolerance)).as_py():
        raise pa.ArrowInvalid(f"more than {wanted.scale} decimals")
    return exact


def _instants(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    try:
        return found.cast(wanted)
    except pa.ArrowInvalid:
        # Text with a zone: the same instant in UTC.
        return found.cast(pa.timestamp("us", "UTC")).cast(wanted)


def _flags(found: pa.Array) -> pa.Array:
    if pc.any(pc.greater(pc.abs(found), 1)).as_py():
        raise pa.ArrowInvalid("a flag is 0 or 1")
    return found.cast(pa.bool_())


def _plain(values: Values) -> Sequence[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _one_by_one(source: str, table: Table, field: pa.Field, columns: Sequence[Sequence[Any]]) -> pa.Array:
    """The column value by value: what fails as a whole may be a harmless mixture, else the offending rows are known."""
    position = table.names.index(field.name)
    converted, offending = [], []
    for number, value in enumerate(columns[position]):
        try:
            converted.append(to_arrow((value,), field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            offending.append(number)
    if not offending:
        return pa.concat_arrays(converted)
    keys = [table.names.index(name) for name in table.key]
    shown = "; ".join(
        ", ".join(f"{table.names[k]}={columns[k][number]}" for k in keys) + f" has {columns[position][number]!r}"
        for number in offending[:SHOWN]
    )
    raise SourceError(
        f"{source}: {table.name}.{field.name} must be {table.column(field.name).type}, "
        f"but {len(offending)} or more rows are not: {shown}"
    )
