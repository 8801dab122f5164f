"""Reads from MySQL and MariaDB by PyMySQL's streaming cursor, with values as the text that the server sends.

The text is exact and needs no conversion in Python. database.py decides which rows are read; convert.py checks the
values.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lending_pipelines.sources.canonical import rows
from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.sources.convert import Values

DRIVER = "pymysql"
"""The installed driver."""

_ZERO_DATES = pa.array(["0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"])
"""The values with which these databases store an unknown date, even in a column that is NOT NULL."""

_SETTINGS = (
    # Columns of type TIMESTAMP are converted to UTC. DATETIME has no zone and is not converted.
    "time_zone = '+00:00'",
    # The server waits while rows are checked and written, and between two tables.
    "net_write_timeout = 3600",
    "wait_timeout = 28800",
)


def connect_args(url: sa.URL, seconds: int) -> dict[str, int]:
    """Arguments that limit PyMySQL's wait for the server's first answer. `begin` removes the limit for queries."""
    return {"read_timeout": seconds} if _waits_by_default(url) else {}


def begin(connection: sa.Connection) -> None:
    """Start a read-only transaction in which all tables show the state of this moment."""
    if _waits_by_default(connection.engine.url):
        driver: Any = connection.connection.driver_connection
        driver._read_timeout = None
    connection.execution_options(isolation_level="REPEATABLE READ")
    connection.exec_driver_sql(f"SET SESSION {', '.join(_SETTINGS)}")
    connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def fetch(connection: sa.Connection, select: sa.Select) -> Iterator[list[Values]]:
    """The SELECT's columns, in groups of a few thousand rows from a server-side cursor. A zero date is null.

    A reader that stops early closes the connection: PyMySQL would first read all other rows.

    Raises:
        ReadFailed: Not every row could be read.
    """
    from pymysql import Error
    from pymysql.cursors import SSCursor

    driver: Any = connection.connection.driver_connection
    timed = [isinstance(column.type, sa.Date | sa.DateTime) for column in select.selected_columns]
    with _values_as_sent(driver), _abandoned(driver):
        try:
            cursor = driver.cursor(SSCursor)
            cursor.execute(_sql(select, connection), ())
            while group := cursor.fetchmany(rows.FETCHED_ROWS):
                columns = zip(zip(*group, strict=True), timed, strict=True)
                yield [_known(values) if is_timed else values for values, is_timed in columns]
        except Error as error:
            raise ReadFailed(str(error)) from error


def collations(connection: sa.Connection, table: str) -> dict[str, str]:
    """The collation of each text column of a table or view."""
    query = sa.text(
        "SELECT column_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = database() AND table_name = :name AND collation_name IS NOT NULL"
    )
    return {str(column): str(collation) for column, collation in connection.execute(query, {"name": table})}


def not_transactional(connection: sa.Connection, table: str) -> str | None:
    """The storage engine of a table that a transaction does not protect from changes, such as MyISAM."""
    query = sa.text(
        "SELECT engine FROM information_schema.tables WHERE table_schema = database() AND table_name = :name"
    )
    engine = connection.scalar(query, {"name": table})
    return engine if engine is not None and engine.lower() != "innodb" else None


def _waits_by_default(url: sa.URL) -> bool:
    """Whether the installed driver is used, and the URL sets no `read_timeout`."""
    return url.get_driver_name() == DRIVER and "read_timeout" not in url.query


def _sql(select: sa.Select, connection: sa.Connection) -> str:
    # SQLAlchemy writes the watermark and the months, the only parameters, as literals.
    return str(select.compile(connection, compile_kwargs={"literal_binds": True}))


@contextmanager
def _values_as_sent(driver: Any) -> Iterator[None]:
    """Make PyMySQL return text instead of date, Decimal and int: it is exact, and Arrow converts it faster."""
    from pymysql.constants import FIELD_TYPE

    usual = driver.decoders
    driver.decoders = {
        FIELD_TYPE.FLOAT: float,
        FIELD_TYPE.DOUBLE: float,
        # A flag of type BIT(1) is sent as a byte.
        FIELD_TYPE.BIT: lambda sent: int.from_bytes(sent, "big"),
    }
    try:
        yield
    finally:
        driver.decoders = usual


@contextmanager
def _abandoned(driver: Any) -> Iterator[None]:
    """Close the connection after the block if rows of the last query are unread, without reading them."""
    try:
        yield
    finally:
        result = driver._result
        if result is not None and result.unbuffered_active:
            result.unbuffered_active = False
            if driver.open:
                driver.close()


def _known(values: Sequence[str | None]) -> Values:
    """Dates or timestamps as text, with null for _ZERO_DATES."""
    texts = pa.array(values)
    if pa.types.is_null(texts.type) or not pa.types.is_string(texts.type):
        return texts
    return pc.if_else(pc.is_in(texts, _ZERO_DATES), None, texts)
