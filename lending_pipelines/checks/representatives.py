"""Reduces a table of any size to the few rows that decide whether its column rules hold.

A rule on a column holds for the table if and only if it holds for these rows: for each column, a row without a value
and the rows with the lowest and highest values; a row for each value of a coded column; and rows with a duplicate key.
The rules themselves are in suites.py.
"""

from collections.abc import Iterable, Sequence
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
    identity = ibis.struct({name: rows[name] for name in key})
    wanted = {
        **{f"least {name}": identity.argmin(rows[name]) for name in ranged},
        **{f"greatest {name}": identity.argmax(rows[name]) for name in ranged},
        **{f"null {name}": identity.arbitrary(where=rows[name].isnull()) for name in required},
    }
    (picked,) = rows.agg(**wanted).to_pyarrow().to_pylist()
    keys = [key_values for key_values in picked.values() if key_values is not None]
    for name in coded:
        by_code = rows.group_by(name).agg(identity=identity.arbitrary()).limit(_CODES)
        keys += by_code.identity.to_pyarrow().to_pylist()
    repeated = rows.group_by(list(key)).having(rows.count() > 1).agg(copies=rows.count()).limit(_EXAMPLES)
    keys += repeated.select(*key).to_pyarrow().to_pylist()
    # Two queries, because DuckDB does not finish their union over the files of a year.
    return pa.concat_tables([_with_keys(rows, key, keys).to_pyarrow(), _without_key(rows, key).to_pyarrow()])


def _with_keys(rows: ir.Table, key: Sequence[str], keys: list[dict]) -> ir.Table:
    complete = {tuple(key_values.values()): key_values for key_values in keys if None not in key_values.values()}
    schema = rows.select(*key).schema()
    chosen = pa.Table.from_pylist(list(complete.values()), schema=schema.to_pyarrow())
    return rows.semi_join(ibis.memtable(chosen, schema=schema), list(key))


def _without_key(rows: ir.Table, key: Sequence[str]) -> ir.Table:
    """A few rows that lack part of their key; a join would not find them."""
    return rows.filter(reduce(or_, (rows[name].isnull() for name in key))).limit(_EXAMPLES)
