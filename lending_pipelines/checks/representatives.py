"""Reduces a table of any size to the few rows that decide whether its column rules hold.

A rule on a column holds for the table if and only if it holds for these rows: for each column, a row without a value
and the rows with the lowest and highest values; a row for each value of a coded column; and rows with a duplicate key.
The rules themselves are in suites.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
import pyarrow as pa

MAX_ROWS = 5_000
"""A table with at most this number of rows is used in full."""

_EXAMPLES = 5
"""The number of rows without a key, and of duplicate keys, that are kept."""

_CODES = 1_000
"""The number of distinct values kept of one coded column; coded columns have few."""


def representatives(
    rows: ir.Table, key: Sequence[str], ranged: Iterable[str], coded: Iterable[str], required: Iterable[str]
) -> pa.Table:
    """Rows of the table that decide the rules on its columns; all rows when there are at most MAX_ROWS.

    Args:
        rows: The table.
        key: The columns that identify a row.
        ranged: Columns whose least and greatest values are wanted.
        coded: Columns of which each distinct value is wanted.
        required: Columns of which a row without a value is wanted, if there is one.
    """
    first_rows = rows.limit(MAX_ROWS + 1).to_pyarrow()
    if first_rows.num_rows <= MAX_ROWS:
        return first_rows
    required = list(required)
    with_nulls = _with_nulls(rows, dict.fromkeys((*key, *required)))
    keys = _of_extremes(rows, key, ranged)
    keys += _examples(rows, key, {name: rows[name].isnull() for name in required if name in with_nulls})
    identity = ibis.struct({name: rows[name] for name in key})
    for name in coded:
        by_code = rows.group_by(name).agg(identity=identity.arbitrary()).limit(_CODES)
        keys += by_code.identity.to_pyarrow().to_pylist()
    repeated = rows.group_by(list(key)).having(rows.count() > 1).agg(copies=rows.count()).limit(_EXAMPLES)
    keys += repeated.select(*key).to_pyarrow().to_pylist()
    chosen = _with_keys(rows, key, keys).to_pyarrow()
    if with_nulls.isdisjoint(key):
        return chosen
    # Two queries, because DuckDB does not finish their union over the files of a year.
    return pa.concat_tables([chosen, _without_key(rows, key).to_pyarrow()])


def _of_extremes(rows: ir.Table, key: Sequence[str], columns: Iterable[str]) -> list[dict]:
    """The keys of rows with the least and with the greatest value of each column.

    The values come first: finding a value takes DuckDB a tenth of the time of finding its row.
    """
    least = {name: f"least {name}" for name in columns}
    greatest = {name: f"greatest {name}" for name in least}
    if not least:
        return []
    extremes = rows.agg(
        **{label: rows[name].min() for name, label in least.items()},
        **{label: rows[name].max() for name, label in greatest.items()},
    )
    compared = rows.cross_join(ibis.memtable(extremes.to_pyarrow(), schema=extremes.schema()))
    return _examples(
        compared,
        key,
        {label: compared[name] == compared[label] for side in (least, greatest) for name, label in side.items()},
    )


def _with_nulls(rows: ir.Table, columns: Iterable[str]) -> set[str]:
    """The columns that lack a value in some row."""
    counts = {name: rows[name].count() for name in columns}
    (counted,) = rows.agg(**counts, **{"number of rows": rows.count()}).to_pyarrow().to_pylist()
    return {name for name in counts if counted[name] < counted["number of rows"]}


def _examples(rows: ir.Table, key: Sequence[str], conditions: Mapping[str, ir.BooleanValue]) -> list[dict]:
    """For each condition, the key of a row that meets it, if there is one."""
    if not conditions:
        return []
    identity = ibis.struct({name: rows[name] for name in key})
    examples = {label: identity.arbitrary(where=condition) for label, condition in conditions.items()}
    (found,) = rows.agg(**examples).to_pyarrow().to_pylist()
    return [key_values for key_values in found.values() if key_values is not None]


def _with_keys(rows: ir.Table, key: Sequence[str], keys: list[dict]) -> ir.Table:
    complete = {tuple(key_values.values()): key_values for key_values in keys if None not in key_values.values()}
    schema = rows.select(*key).schema()
    chosen = pa.Table.from_pylist(list(complete.values()), schema=schema.to_pyarrow())
    return rows.semi_join(ibis.memtable(chosen, schema=schema), list(key))


def _without_key(rows: ir.Table, key: Sequence[str]) -> ir.Table:
    """A few rows that lack part of their key; a join would not find them."""
    return rows.filter(reduce(or_, (rows[name].isnull() for name in key))).limit(_EXAMPLES)
