"""The register's database: its engine, its migrations and its transactions. The repositories say what the rows mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import LendingError
from lending_pipelines.machine_errors import explanation

PATIENCE = 60
"""The seconds that a run waits for a lock of the register, or for its server."""

COMMAND_PATIENCE = 4
"""The seconds that a command waits, so that a person gets an error soon."""

# An arbitrary fixed key: the advisory lock that lets only one process at a time migrate.
_UPGRADE_LOCK = 5_224_601_907


class RegisterError(LendingError):
    """The register cannot be opened, or it rejects a change."""


class Register:
    """The register at a SQLAlchemy URL. No connection is opened before first use."""

    def __init__(self, url: str, patience: int = PATIENCE) -> None:
        """`patience` is how many seconds to wait for a lock or a server. RegisterError when the URL is not valid."""
        self._patience = patience
        wanted = "write sqlite:///register.db or postgresql://user@host/name"
        try:
            self._url = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise RegisterError(f"LENDING_REGISTER_URL is not a valid database URL: {wanted}") from None
        if self._url.get_backend_name() not in ("sqlite", "postgresql"):
            raise RegisterError(f"LENDING_REGISTER_URL: {self._url.drivername} is not supported: {wanted}")
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg2")

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine, created on first use, with the folder of a SQLite file."""
        engine = self._created()
        sa.event.listen(engine, "before_cursor_execute", _refuse_nul)
        return engine

    def _created(self) -> sa.Engine:
        """A new engine, with the settings of its kind of database."""
        if self._url.get_backend_name() != "sqlite":
            waits = {} if "connect_timeout" in self._url.query else {"connect_timeout": self._patience}
            return sa.create_engine(self._url, pool_pre_ping=True, connect_args=waits)
        if self._url.database not in (None, "", ":memory:"):
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._url, connect_args={"timeout": self._patience})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def upgrade(self) -> None:
        """Migrate the schema to this version in one transaction. Concurrent processes take turns.

        Raises:
            RegisterError: A newer version has already migrated the register.
        """
        # Import Alembic here: only this method needs it, and the import is slow.
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
                        f"the register {self._url.render_as_string()} has a schema version that this program does not"
                        f" know, most likely of a newer version: {error}"
                    ) from error

    def revisions(self) -> tuple[str | None, str]:
        """The revision of the register's schema, None for a new register, and that of this version."""
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        with self._connection() as connection, as_file(files(__package__) / "migrations") as folder:
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            head = str(ScriptDirectory.from_config(config).get_current_head())
            return MigrationContext.configure(connection).get_current_revision(), head

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session in its own transaction: committed at the end, rolled back on an error.

        Loaded objects stay readable afterwards. Keep it short: in SQLite it holds the only write lock.
        """
        with (
            self._connection() as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read-only connection with a consistent view and streamed results. It does not block writers."""
        with self._connection() as connection:
            reader = connection.execution_options(read_only=True, stream_results=True)
            with reader.begin():
                yield reader

    @contextmanager
    def reading_session(self) -> Iterator[Session]:
        """A session that only reads, with a consistent view. Loaded objects stay readable afterwards."""
        with self.reading() as connection, Session(connection, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """A connection. Raises RegisterError when it cannot be opened, or the machine fails, as with a full disk."""
        try:
            connection = self.engine.connect()
        except (sa.exc.DBAPIError, OSError) as error:
            reason = explanation(error) or str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise RegisterError(
                f"the register {self._url.render_as_string()} cannot be opened: {reason}; see LENDING_REGISTER_URL"
            ) from error
        try:
            with connection:
                yield connection
        except sa.exc.DBAPIError as error:
            if told := explanation(error):
                raise RegisterError(f"the register {self._url.render_as_string()}: {told}") from error
            raise


def _refuse_nul(
    _connection: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, _executemany: bool
) -> None:
    """Raise RegisterError for a text with the character NUL, which PostgreSQL cannot store."""
    if _has_nul(parameters):
        raise RegisterError("a text has the character NUL, which the register cannot store: remove it")


def _has_nul(value: Any) -> bool:
    """Whether a text has NUL: among the values of a row, or of rows, as lists, tuples or by name."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return any(_has_nul(each) for each in value)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver starts transactions too late and excludes schema changes; _begin_sqlite starts them instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads and then writes needs the write lock from its start; otherwise the write may fail.
    mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")
