"""Finds columns of generated keys that readers do not need, because the next column has the names."""

import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.reports.book import ReportTable

_MADE = "^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
"""The pattern of a generated key: 32 hexadecimal digits, or a UUID with hyphens."""


def named_keys(table: ReportTable, rows: pa.Table) -> frozenset[str]:
    """The columns that hold nothing but hexadecimal keys, each with a name in the next column.

    Args:
        table: The table.
        rows: Its rows, or those of them that are shown.
    """
    pairs = zip(table.columns, table.columns[1:], strict=False)
    return frozenset(
        column.name
        for column, name in pairs
        if column.kind == name.kind == "text" and _are_keys(rows[column.name]) and rows[name.name].null_count == 0
    )


def _are_keys(values: pa.ChunkedArray) -> bool:
    found = values.drop_null()
    return len(found) > 0 and bool(pc.all(pc.match_substring_regex(found, _MADE)).as_py())
