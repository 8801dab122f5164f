"""Reads from any SQLAlchemy database through its driver's cursor, row by row."""

from collections.abc import Iterator

import sqlalchemy as sa

from lending_pipelines.sources.convert import Values

FETCHED_ROWS = 4096
"""The number of rows fetched and converted at a time: enough for Arrow, and small enough for the processor's cache."""


def fetch(connection: sa.Connection, select: sa.Select) -> Iterator[list[Values]]:
    """The SELECT's columns, in groups of a few thousand rows from a server-side cursor."""
    # Without types, SQLAlchemy returns the driver's values. They are converted a column at a time.
    untyped = select.with_only_columns(
        *(sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in select.selected_columns)
    )
    with connection.execute(untyped, execution_options={"yield_per": FETCHED_ROWS}) as result:
        for rows in result.partitions():
            yield list(zip(*rows, strict=True))
