"""Reads the servicing tables of any SQLAlchemy database, named and defined as in tables/. Read only.

All tables of a snapshot show the same state. postgresql.py extracts rows from PostgreSQL, mysql.py from MySQL and
MariaDB, and rows.py from any other database.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical import mysql, postgresql, rows, totals
from lending_pipelines.sources.canonical.ahead import TotalsAhead
from lending_pipelines.sources.canonical.begin import Begun, begin, join
from lending_pipelines.sources.canonical.equality import spelled_differently
from lending_pipelines.sources.canonical.failure import ReadFailed, one_line
from lending_pipelines.sources.canonical.rights import rights
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.protocol import Rights, SourceError
from lending_pipelines.tables import SERVICING, Table
from lending_pipelines.tables.sql import MYSQL

CONNECT_SECONDS = 5
"""The time that a server has to answer a new connection."""

_DRIVERS = {"postgresql": "psycopg2", **dict.fromkeys(MYSQL, mysql.DRIVER)}
"""The installed driver of each database, where SQLAlchemy's default is another one."""


class CanonicalDatabase:
    """One database by its SQLAlchemy URL: `sqlite:///servicing.db`, `postgresql://user@host/name`, `mysql://…`."""

    name = "canonical"

    def __init__(self, url: str, name: str = name):
        """The database. `name` is the adapter's name in messages."""
        self.name = name
        try:
            to_read = _url_to_read(sa.make_url(url))
            self._engine = sa.create_engine(
                to_read,
                connect_args=mysql.connect_args(to_read, CONNECT_SECONDS),
                # Close connections between snapshots.
                poolclass=sa.NullPool,
                execution_options={"postgresql_readonly": True},
            )
        except (sa.exc.ArgumentError, ImportError) as error:
            raise SourceError(
                f"{self.name}: LENDING_SERVICING_URL is not a valid database URL: {one_line(error)}{_advice(url)}"
            ) from error

    @contextmanager
    def snapshot(self) -> Iterator["DatabaseSnapshot"]:
        """Open a read-only transaction for the block. All tables are read in it."""
        try:
            connection = self._engine.connect()
        except sa.exc.SQLAlchemyError as error:
            raise self._unreadable(error) from error
        try:
            try:
                begun = begin(connection)
                inspector = sa.inspect(connection)
                absent = frozenset(name for name in SERVICING if not inspector.has_table(name))
            except sa.exc.SQLAlchemyError as error:
                raise self._unreadable(error) from error
            reader = None if begun.name is None else postgresql.SnapshotReader(self._engine, begun.name)
            with (
                nullcontext() if reader is None else closing(reader),
                closing(DatabaseSnapshot(self.name, connection, absent, reader, begun)) as snapshot,
            ):
                yield snapshot
        finally:
            # If the server is gone, the transaction has ended already, and the caller has its rows or its error.
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    def _unreadable(self, error: Exception) -> SourceError:
        file = _file(self._engine.url)
        if file is not None and not file.exists():
            return SourceError(
                f"{self.name}: the SQLite file {file.absolute()} does not exist: set LENDING_SERVICING_URL to "
                "sqlite:////absolute/path/of/the.db"
            )
        return SourceError(f"{self.name}: the database {_place(self._engine)} cannot be read: {one_line(error)}")


class DatabaseSnapshot:
    """The database in one transaction, `connection`. The rows of PostgreSQL are read by `reader`.

    Month totals can be computed over another connection to the same snapshot. It is closed with the snapshot.
    """

    def __init__(
        self,
        name: str,
        connection: sa.Connection,
        absent: frozenset[str],
        reader: postgresql.SnapshotReader | None,
        begun: Begun,
    ):
        self.name = name
        self.absent = absent
        self.connection = connection
        self._reader = reader
        self._dialect = connection.dialect.name
        self._begun = begun
        self._ahead = None if begun.second is None else TotalsAhead(begun.second, self._totals)

    def close(self) -> None:
        """Compute no more totals ahead."""
        if self._ahead is not None:
            self._ahead.close()

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows with one SELECT.

        Raises:
            SourceError: The table cannot be read.
            UnreadableValues: After the last row: columns are missing, or values do not fit their column.
        """
        if table.name in self.absent:
            return
        try:
            missing = self._missing_columns(table)
            groups = self.extract(self._select(table, since, months, missing))
            faults = spelled_differently(self.connection, table, None if table.watermark in missing else since)
            yield from record_batches(self.name, table, groups, missing, faults)
        except (sa.exc.SQLAlchemyError, ReadFailed) as error:
            place = _place(self.connection.engine)
            raise SourceError(
                f"{self.name}: table {table.name} cannot be read from {place}: {one_line(error)}"
            ) from error

    def compute_totals_ahead(self, tables: Iterable[Table]) -> None:
        """Start to compute the month totals of the tables, if the database has a second connection to the snapshot."""
        if self._ahead is None and self._begun.name is not None:
            second = join(self.connection.engine, self._begun.name)
            self._ahead = None if second is None else TotalsAhead(second, self._totals)
        if self._ahead is not None:
            self._ahead.expect(tables)

    def month_totals(self, table: Table) -> pa.Table | None:
        """The totals with one SELECT. None if the database, or a value in it, does not allow it."""
        if self._ahead is not None and table in self._ahead:
            return self._ahead[table]
        return self._totals(self.connection, table)

    def _totals(self, connection: sa.Connection, table: Table) -> pa.Table | None:
        if self._dialect not in totals.DIALECTS:
            return None
        try:
            # Use a savepoint. Without it, an error would end PostgreSQL's transaction.
            with connection.begin_nested():
                rows = connection.execute(totals.select_totals(table, self._dialect)).all()
            return totals.as_arrow(table, rows)
        except (sa.exc.SQLAlchemyError, pa.ArrowInvalid, pa.ArrowTypeError):
            return None

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """A table of MySQL that can change while it is read, because its storage engine has no transactions."""
        if self._dialect not in MYSQL or table.name in self.absent:
            return {}
        engine = mysql.not_transactional(self.connection, table.name)
        return {} if engine is None else {"not one snapshot": f"storage engine {engine} has no transactions"}

    def rights(self) -> Rights | None:
        """What the user may do with the servicing tables, and the server's clock; None for SQLite."""
        return rights(self.connection, [name for name in SERVICING if name not in self.absent])

    def extract(self, select: sa.Select) -> Iterator[list[Values]]:
        """The columns of a SELECT in groups of rows, with the values as the database has them.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, ReadFailed: Not every row could be read.
        """
        if self._reader is not None:
            return self._reader.fetch(select)
        if self.connection.dialect.driver == mysql.DRIVER:
            return mysql.fetch(self.connection, select)
        return rows.fetch(self.connection, select)

    def _missing_columns(self, table: Table) -> list[str]:
        columns = {column["name"] for column in sa.inspect(self.connection).get_columns(table.name)}
        return [name for name in table.names if name not in columns]

    def _select(
        self,
        table: Table,
        since: datetime | None,
        months: Collection[str | None] | None,
        missing: Collection[str],
    ) -> sa.Select:
        stored = totals.STORED[table.name]
        select = sa.select(
            *(sa.null().label(column.name) if column.name in missing else column for column in stored.columns)
        ).select_from(stored)
        if since is not None and table.watermark is not None and table.watermark not in missing:
            select = select.where(stored.columns[table.watermark] >= since)
        if months is not None:
            month = totals.month(table, self._dialect)
            named = month.in_([name for name in months if name is not None])
            select = select.where(sa.or_(named, month.is_(None)) if None in months else named)
        return select


def _place(engine: sa.Engine) -> str:
    """The database's URL in messages, without the password. A SQLite file is named as in the setting."""
    file = _file(engine.url)
    return f"sqlite:///{file}" if file else engine.url.render_as_string(hide_password=True)


def _url_to_read(url: sa.URL) -> sa.URL:
    """The URL with the installed driver. A SQLite file is opened read only.

    A SQLite path that does not exist is then an error instead of a new database.
    """
    if url.drivername in _DRIVERS:
        url = url.set(drivername=f"{url.drivername}+{_DRIVERS[url.drivername]}")
    if url.get_backend_name() in _DRIVERS and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    path = url.database if url.database.startswith("file:") else f"file:{quote(url.database)}"
    return url.set(database=path).update_query_dict({"mode": "ro", "uri": "true"})


def _file(url: sa.URL) -> Path | None:
    """The file of a URL from `_url_to_read`; None without one."""
    if url.get_backend_name() != "sqlite" or not url.database or not url.database.startswith("file:"):
        return None
    return Path(unquote(url.database.removeprefix("file:")).partition("?")[0])


def _advice(url: str) -> str:
    """What to write instead of a URL that names no known database."""
    scheme = url.partition("://")[0]
    if scheme == "postgres" or scheme.startswith("postgres+"):
        return "; write postgresql:// instead of postgres://"
    if "://" not in url:
        return (
            "; write sqlite:////absolute/path, postgresql://user:password@host/database "
            "or mysql://user:password@host/database"
        )
    return ""
