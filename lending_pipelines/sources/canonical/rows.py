"""Extraction from any database that SQLAlchemy reaches, by its driver's cursor, row by row."""

from collections.abc import Iterator

import sqlalchemy as sa

from lending_pipelines.sources.convert import Values

FETCHED_ROWS = 4096
"""Rows fetched and converted at a time: large enough for Arrow, small enough for the processor's cache."""


def fetch(connection: sa.Connection, select: sa.Select) -> Iterator[list[Values]]:
    """The SELECT's columns, a few thousand rows at a time through a server-side cursor."""
    # Without types SQLAlchemy hands out what the driver gives; it is converted a column at a time.
    untyped = select.with_only_columns(
        *(sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in select.selected_columns)
    )
    with connection.execute(untyped, execution_options={"yield_per": FETCHED_ROWS}) as result:
        for rows in result.partitions():
            yield list(zip(*rows, strict=True))
