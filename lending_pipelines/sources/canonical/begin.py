"""Starts the transaction of a snapshot, and of a second connection to the same snapshot where that is possible."""

from contextlib import ExitStack, closing, suppress
from typing import NamedTuple

import sqlalchemy as sa

from lending_pipelines.sources.canonical import mysql
from lending_pipelines.tables.sql import MYSQL


class Begun(NamedTuple):
    """The transaction that started."""

    name: str | None = None
    """The snapshot's name, with which further connections of PostgreSQL join it."""
    second: sa.Connection | None = None
    """Another connection to the same snapshot of SQLite. The caller closes it."""


def begin(connection: sa.Connection) -> Begun:
    """Start the read-only transaction for all SELECTs of the snapshot."""
    match connection.dialect.name:
        case "postgresql":
            return _postgresql(connection)
        case "sqlite":
            return _sqlite(connection)
        case dialect if dialect in MYSQL:
            mysql.begin(connection)
        case _:
            connection.begin()
    return Begun()


def join(engine: sa.Engine, name: str) -> sa.Connection | None:
    """Another connection to a snapshot of PostgreSQL; None if the server allows no more connections."""
    try:
        connection = engine.connect()
    except sa.exc.OperationalError:
        return None
    try:
        _set_postgresql(connection, f"SET TRANSACTION SNAPSHOT '{name}'")
    except BaseException:
        connection.close()
        raise
    return connection


def _postgresql(connection: sa.Connection) -> Begun:
    _set_postgresql(connection)
    return Begun(connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one())


def _set_postgresql(connection: sa.Connection, *first: str) -> None:
    connection.execution_options(isolation_level="REPEATABLE READ")
    # Timestamps without a zone are UTC. The transaction is idle while other connections read, so it must not time out.
    for statement in (*first, "SET LOCAL TIME ZONE 'UTC'", "SET LOCAL idle_in_transaction_session_timeout = 0"):
        connection.exec_driver_sql(statement)


def _sqlite(connection: sa.Connection) -> Begun:
    """The second connection is left out if another program commits, or is about to, before both have started."""
    if connection.engine.url.database in (None, "", ":memory:"):
        _start_sqlite(connection)
        return Begun()
    with ExitStack() as stack:
        second = stack.enter_context(closing(connection.engine.connect()))
        before = _data_version(second)
        _start_sqlite(connection)
        with suppress(sa.exc.OperationalError):
            _start_sqlite(second)
            if _data_version(second) == before:
                stack.pop_all()
                return Begun(second=second)
    return Begun()


def _start_sqlite(connection: sa.Connection) -> None:
    # The driver starts transactions only for writes, and SQLite's snapshot begins with its first SELECT.
    connection.exec_driver_sql("BEGIN")
    connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema")


def _data_version(connection: sa.Connection) -> int:
    """A number that changes when another connection commits."""
    return connection.exec_driver_sql("PRAGMA data_version").scalar_one()
