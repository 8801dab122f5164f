"""The servicing tables as SQLAlchemy tables, for the sample database and for canonical sources."""

from functools import cache

import ibis.expr.datatypes as dt
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from lending_pipelines.tables.references import REFERENCES
from lending_pipelines.tables.schema import Column, Table
from lending_pipelines.tables.servicing import SERVICING


@cache
def servicing_metadata() -> sa.MetaData:
    """SQLAlchemy metadata of every servicing table, for SQLite, PostgreSQL, MySQL and MariaDB. Do not change it."""
    metadata = sa.MetaData()
    for table in SERVICING.values():
        sa.Table(table.name, metadata, *(_column(table, column) for column in table.columns))
    return metadata


def _column(table: Table, column: Column) -> sa.Column:
    return sa.Column(
        column.name,
        _type(dt.dtype(column.type), is_id=column.name in {*table.key, *REFERENCES.get(table.name, {})}),
        primary_key=column.name in table.key,
        nullable=column.nullable,
        autoincrement=False,
        # The sync filters by the watermark every night.
        index=column.name == table.watermark,
    )


MYSQL = ("mysql", "mariadb")
"""SQLAlchemy's names of MySQL and MariaDB."""

_MYSQL_ID = mysql.VARCHAR(191, collation="utf8mb4_bin")
"""An id in MySQL: an index accepts this length, and the collation compares ids exactly."""


def _type(ibis_type: dt.DataType, is_id: bool) -> sa.types.TypeEngine:
    match ibis_type:
        case dt.Decimal(precision=precision, scale=scale):
            return sa.Numeric(precision, scale)
        case dt.Date():
            return sa.Date()
        case dt.Timestamp():
            return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)
        case dt.Boolean():
            return sa.Boolean()
        case dt.Int64():
            return sa.BigInteger()
        case _:
            return sa.Text().with_variant(_MYSQL_ID, *MYSQL) if is_id else sa.Text()
