"""The register's database: its engine, its migrations, and transactions on it. What the rows mean is elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import LendingError

_SQLITE_BUSY_SECONDS = 60
# Any fixed number: it names the lock under which one process at a time migrates.
_UPGRADE_LOCK = 5_224_601_907


class RegisterError(LendingError):
    """The register cannot be opened, or refuses what is asked of it."""


class Register:
    """The register at a SQLAlchemy URL. Nothing is opened before it is used."""

    def __init__(self, url: str) -> None:
        """RegisterError when the URL cannot be understood."""
        wanted = "write sqlite:///register.db or postgresql://user@host/name"
        try:
            self._url = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise RegisterError(f"the register's URL cannot be understood: {wanted}") from None
        if self._url.get_backend_name() not in ("sqlite", "postgresql"):
            raise RegisterError(f"the register cannot be kept in {self._url.drivername}: {wanted}")
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg2")

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine, made when first asked for; a SQLite file's folder is made with it."""
        if self._url.get_backend_name() != "sqlite":
            return sa.create_engine(self._url, pool_pre_ping=True)
        if self._url.database not in (None, "", ":memory:"):
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._url, connect_args={"timeout": _SQLITE_BUSY_SECONDS})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def upgrade(self) -> None:
        """Bring the schema to this version's in one transaction; processes that do so at once take turns.

        RegisterError when a newer version has upgraded it already.
        """
        # Alembic is only needed here, and every command that opens the register would wait for its import.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        with self._connection() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            with as_file(files(__package__) / "migrations") as folder:
                config = Config(attributes={"connection": connection})
                config.set_main_option("script_location", str(folder).replace("%", "%%"))
                try:
                    command.upgrade(config, "head")
                except CommandError as error:
                    raise RegisterError(
                        f"the register {self._url.render_as_string()} is of another version than this program, "
                        f"most likely a newer one: {error}"
                    ) from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session in a transaction of its own: committed at the end, rolled back when an error leaves it.

        What it loads stays readable afterwards. Keep it short: in SQLite it holds the one write lock.
        """
        with (
            self._connection() as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read-only look at one moment of the register, with results streamed; writers are not kept waiting."""
        with self._connection() as connection:
            reader = connection.execution_options(read_only=True, stream_results=True)
            with reader.begin():
                yield reader

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        try:
            connection = self.engine.connect()
        except (sa.exc.OperationalError, OSError) as error:
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise RegisterError(
                f"the register {self._url.render_as_string()} cannot be opened: {reason}; see LENDING_REGISTER_URL"
            ) from error
        with connection:
            yield connection


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions begin too late and leave schema changes out; ours begin in _begin_sqlite.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads before it writes must hold the write lock from its start, or it may fail half way.
    mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")
