"""Converts numpy arrays to Arrow columns. Money is in whole cents, rates in millionths, dates in days since 1970.

A day of NO_DAY or later, a negative id number and a negative code mean null.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lending_pipelines.tables import SERVICING

Ints = np.ndarray
"""An array of int64."""

NO_DAY = 1 << 30
"""A day that never happens."""

DAY_MICROSECONDS = 86_400_000_000


def ids(prefix: str, numbers: Ints, width: int = 9) -> pa.Array:
    """Ids of one width, such as `L000000042`."""
    size = len(prefix) + width
    characters = np.empty((len(numbers), size), dtype=np.uint8)
    characters[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    rest = np.maximum(numbers, 0).astype(np.uint32)
    for position in range(size - 1, len(prefix) - 1, -1):
        shorter = rest // 10
        characters[:, position] = rest - shorter * 10 + ord("0")
        rest = shorter
    offsets = np.arange(0, (len(numbers) + 1) * size, size, dtype=np.int32)
    buffers = [_validity(numbers >= 0), pa.py_buffer(offsets), pa.py_buffer(characters)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def labels(values: Sequence[str], codes: Ints) -> pa.Array:
    """The value of each code."""
    return pa.array(values, pa.string()).take(pa.array(codes, pa.int64(), mask=codes < 0))


def money(cents: Ints, present: np.ndarray | None = None) -> pa.Array:
    """Amounts; null where `present` is false."""
    return _decimal(cents, pa.decimal128(18, 2), present)


def rates(millionths: Ints) -> pa.Array:
    """Annual fractions."""
    return _decimal(millionths * 100, SERVICING["loans"].arrow_schema.field("annual_rate").type, None)


def days(values: Ints) -> pa.Array:
    """Dates."""
    return pa.array(np.minimum(values, NO_DAY).astype(np.int32), pa.date32(), mask=values >= NO_DAY)


def instants(microseconds: Ints) -> pa.Array:
    """UTC timestamps from microseconds since 1970."""
    return pa.array(microseconds, pa.timestamp("us"))


def moment(day: Ints, seconds: Ints | int) -> Ints:
    """Microseconds since 1970 for a second of a day."""
    return day * DAY_MICROSECONDS + seconds * 1_000_000


def table(name: str, /, **columns: pa.Array | list | Ints) -> pa.Table:
    """A servicing table of these columns, which must be all of its columns except optional ones."""
    rows = len(next(iter(columns.values())))
    lacking = {c.name: pa.nulls(rows) for c in SERVICING[name].columns if c.optional and c.name not in columns}
    return pa.Table.from_pydict(columns | lacking, schema=SERVICING[name].arrow_schema)


def pick(random: np.random.Generator, size: int, shares: Sequence[float] | np.ndarray) -> Ints:
    """Random codes 0, 1, … with these probabilities."""
    edges = np.cumsum(shares) / np.sum(shares)
    return np.minimum(np.searchsorted(edges, random.random(size), side="right"), len(shares) - 1)


def _decimal(units: Ints, type_: pa.DataType, present: np.ndarray | None) -> pa.Array:
    words = np.empty((len(units), 2), dtype=np.int64)
    words[:, 0] = units
    words[:, 1] = units >> 63
    validity = None if present is None else _validity(present)
    return pa.Array.from_buffers(type_, len(units), [validity, pa.py_buffer(words)])


def _validity(present: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(present, bitorder="little"))
