"""Reads from PostgreSQL: one SELECT by binary COPY, decoded to Arrow in C (ADBC) as a stream.

This module only transfers values without rounding. database.py decides which rows are read; convert.py checks the
values.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.sources.convert import Values

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection

BATCH_BYTES = 16 * 1024**2
"""The approximate memory of a batch: about 130,000 transactions."""

WORK_MEM = "64MB"
"""The memory of a sort in the server. With its default of 4 MB, totals of many loans are computed on its disk."""


class SnapshotReader:
    """Reads SELECTs by separate read-only connections that use an exported snapshot.

    The driver reads all types of the database when it connects, which takes longer than to read a small table. So a
    connection that has read one SELECT to its end reads the next one.
    """

    def __init__(self, engine: sa.Engine, snapshot: str):
        self._engine, self._snapshot = engine, snapshot
        self._idle: list[Connection] = []

    def fetch(self, select: sa.Select) -> Iterator[list[Values]]:
        """The SELECT's columns in batches.

        Raises:
            ReadFailed: Not every row could be read.
        """
        from adbc_driver_postgresql.dbapi import Error

        try:
            with self._connection() as connection, connection.cursor() as cursor:
                fields = cursor.adbc_execute_schema(_sql(select, self._engine))
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                cursor.execute(_sql(_decodable(select, fields), self._engine))
                with cursor.fetch_record_batch() as batches:
                    for batch in batches:
                        columns = zip(select.selected_columns, fields, batch.columns, strict=True)
                        yield [_exact(column, field, values) for column, field, values in columns]
        except (Error, pa.ArrowException, OSError) as error:
            # After the first rows, the driver's errors are raised as Arrow errors.
            raise ReadFailed(str(error)) from error

    def close(self) -> None:
        """Close the connections that have nothing to read."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator["Connection"]:
        """A connection for one SELECT. It is closed if an error, or a reader that stops early, ends the SELECT."""
        from adbc_driver_postgresql.dbapi import connect

        is_new = not self._idle
        connection = connect(_address(self._engine)) if is_new else self._idle.pop()
        try:
            if is_new:
                self._join_snapshot(connection)
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _join_snapshot(self, connection: "Connection") -> None:
        """Set the transaction of a new connection."""
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{self._snapshot}'")
            # Timestamps without a zone are UTC, regardless of the server's setting.
            cursor.execute("SET LOCAL TIME ZONE 'UTC'")
            cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
            # The transaction is idle while a table is written, so it must not time out.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _address(engine: sa.Engine) -> str:
    from psycopg2.extensions import make_dsn

    _, parameters = engine.dialect.create_connect_args(engine.url)
    return make_dsn(**parameters)


def _sql(select: sa.Select, engine: sa.Engine) -> str:
    # COPY has no parameters. SQLAlchemy writes the watermark, the only one, as a literal of its type.
    return str(select.compile(engine, compile_kwargs={"literal_binds": True}))


def _decodable(select: sa.Select, fields: pa.Schema) -> sa.Select:
    """The SELECT with a cast to text for types that the driver does not decode correctly.

    These are `money` (the driver returns cents), `char(n)` (it keeps the padding, which does not count in comparisons),
    and types without a plain Arrow type, such as NUMERIC and UUID. ADBC returns NUMERIC as text too, but slower than
    the server does.
    """
    return select.with_only_columns(
        *(_as_text(column, field) for column, field in zip(select.selected_columns, fields, strict=True))
    )


def _as_text(column: sa.ColumnElement, field: pa.Field) -> sa.ColumnElement:
    if _server_type(field) == "money":
        return sa.cast(sa.cast(column, sa.Numeric), sa.Text)
    if _server_type(field) == "bpchar" or isinstance(field.type, pa.BaseExtensionType):
        return sa.cast(column, sa.Text)
    return column


def _server_type(field: pa.Field) -> str:
    """The column's type in PostgreSQL. For a domain, its base type."""
    return field.metadata[b"POSTGRESQL:type"].decode()


def _exact(column: sa.ColumnElement, field: pa.Field, values: pa.Array) -> Values:
    """The values as in the database. A batch with values that Arrow cannot convert is returned as Python objects."""
    if _server_type(field) in ("numeric", "money"):
        return _numbers(column.type, values)
    if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
        return _in_calendar(values)
    return values


def _numbers(wanted: sa.types.TypeEngine, texts: pa.Array) -> Values:
    """Numbers from their text: as the wanted decimals if all of them fit, else as Python objects."""
    if isinstance(wanted, sa.Numeric) and wanted.precision and wanted.scale is not None:
        try:
            return texts.cast(pa.decimal128(wanted.precision, wanted.scale))
        except pa.ArrowInvalid:
            # Some values have more decimals or are not numbers. convert.py checks them row by row.
            pass
    numbers = (text if text is None else Decimal(text) for text in texts.to_pylist())
    return [number if number is None or number.is_finite() else str(number) for number in numbers]


def _in_calendar(instants: pa.Array) -> Values:
    """Dates and timestamps. PostgreSQL's infinity, which overflows in the driver, becomes text."""
    kind = date if pa.types.is_date(instants.type) else datetime
    first, last = (pa.scalar(end, instants.type) for end in (kind.min, kind.max))
    outside = pc.or_(pc.less(instants, first), pc.greater(instants, last))
    if not pc.any(outside).as_py():
        return instants
    known = pc.if_else(outside, None, instants).to_pylist()
    return ["infinity" if infinite else value for infinite, value in zip(outside.to_pylist(), known, strict=True)]
