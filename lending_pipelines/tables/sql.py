"""The servicing tables as SQLAlchemy tables, for the sample database and for canonical sources."""

import ibis.expr.datatypes as dt
import sqlalchemy as sa

from lending_pipelines.tables.schema import Column, Table
from lending_pipelines.tables.servicing import SERVICING


def servicing_metadata() -> sa.MetaData:
    """SQLAlchemy metadata of every servicing table, for SQLite and PostgreSQL."""
    metadata = sa.MetaData()
    for table in SERVICING.values():
        sa.Table(table.name, metadata, *(_column(table, column) for column in table.columns))
    return metadata


def _column(table: Table, column: Column) -> sa.Column:
    return sa.Column(
        column.name,
        _type(ibis_type=dt.dtype(column.type)),
        primary_key=column.name in table.key,
        nullable=column.nullable,
        autoincrement=False,
        # The sync filters by the watermark every night.
        index=column.name == table.watermark,
    )


def _type(ibis_type: dt.DataType) -> sa.types.TypeEngine:
    match ibis_type:
        case dt.Decimal(precision=precision, scale=scale):
            return sa.Numeric(precision, scale)
        case dt.Date():
            return sa.Date()
        case dt.Timestamp():
            return sa.DateTime()
        case dt.Boolean():
            return sa.Boolean()
        case dt.Int64():
            return sa.BigInteger()
        case _:
            return sa.Text()
