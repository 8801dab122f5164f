"""Month totals in SQL: one SELECT with the totals of a table per month of its watermark, and its result as Arrow.

Sums are exact: amounts are summed as whole numbers in units of their last decimal, because SQLite uses floats.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.convert import to_arrow
from lending_pipelines.sources.totals import MONTH_FORMAT, summed, totals_table
from lending_pipelines.tables import Table
from lending_pipelines.tables.sql import MYSQL, servicing_metadata

STORED = servicing_metadata().tables
"""The servicing tables in SQL."""

DIALECTS = ("postgresql", "sqlite", *MYSQL)
"""The databases whose functions this module uses. Other databases have no month totals."""


def month(table: Table, dialect: str) -> sa.ColumnElement[str]:
    """The UTC month of the watermark as text; null if the watermark is not a timestamp."""
    watermark = _watermark(table, dialect)
    if dialect == "postgresql":
        return sa.func.to_char(watermark, "YYYY-MM", type_=sa.Text)
    if dialect in MYSQL:
        return sa.func.date_format(watermark, MONTH_FORMAT, type_=sa.Text)
    return sa.func.strftime(MONTH_FORMAT, watermark, type_=sa.Text)


def select_totals(table: Table, dialect: str) -> sa.Select:
    """The SELECT for the columns of `totals_table`, with sums in units of the last decimal."""
    of = month(table, dialect)
    units = (_units(table, name, scale, dialect) for name, scale in _scales(table).items())
    sums = (sa.func.coalesce(sa.func.sum(each), 0) for each in units)
    latest = sa.func.max(_watermark(table, dialect))
    return sa.select(of, sa.func.count(), latest, *sums).group_by(of)


def as_arrow(table: Table, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """The rows of `select_totals` as a table of `totals_table`.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: A total does not fit its column.
    """
    schema = totals_table(table).arrow_schema
    scales = _scales(table)
    arrays = []
    for number, field in enumerate(schema):
        values = [row[number] for row in rows]
        if field.name in scales:
            values = [Decimal(value).scaleb(-scales[field.name]) for value in values]
        arrays.append(to_arrow(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _scales(table: Table) -> dict[str, int]:
    """The number of decimals of each summed column."""
    schema = totals_table(table).arrow_schema
    return {column.name: schema.field(column.name).type.scale for column in summed(table)}


def _units(table: Table, name: str, scale: int, dialect: str) -> sa.ColumnElement:
    """A column in units of its last decimal."""
    stored = _stored(table, name)
    if dialect == "postgresql":
        return sa.cast(stored, sa.Numeric) * 10**scale
    if dialect in MYSQL:
        return sa.cast(sa.func.round(stored * 10**scale), sa.Numeric(38, 0))
    return sa.cast(sa.func.round(stored * 10**scale), sa.Integer)


def _watermark(table: Table, dialect: str) -> sa.ColumnElement:
    """The watermark; null where MySQL has a zero date."""
    stored = _stored(table, table.watermark)
    return sa.func.nullif(stored, 0, type_=sa.types.NullType()) if dialect in MYSQL else stored


def _stored(table: Table, name: str | None) -> sa.ColumnElement:
    """A column as the driver gives it, without SQLAlchemy's conversion."""
    assert name is not None
    return sa.type_coerce(STORED[table.name].columns[name], sa.types.NullType())
