"""Dagster's SQLite event log with persistent connections, for runs launched by the command line.

Dagster 1.13 opens, commits and closes the database for every event, for some events several times. A close records
about 620 events: opening the files, compiling the statements again and checkpointing the log cost a quarter of its CPU
time. The format of the files is unchanged, so the UI and the daemon read them as before. Event logs outside SQLite are
not affected.
"""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

from lending_pipelines.errors import LendingError
from lending_pipelines.machine_errors import explanation
from lending_pipelines.run_origin import CommandInstance

_FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
"""Dagster's SQLite files in DAGSTER_HOME. Each run also has its own file, which is not listed here."""

_POSTGRES, _POOLED_POSTGRES = "DagsterPostgresStorage", "PooledPostgresStorage"
"""Dagster's class for PostgreSQL, and the class that replaces it; its module is imported only if it is used."""


def open_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a DAGSTER_HOME; its storage keeps its connections open.

    Its runs belong to the UI's code location. What steps print is not copied to files of this machine.
    """
    ref = InstanceRef.from_dir(str(home))
    if ref.custom_instance_class_data is None:
        own = ConfigurableClassData(CommandInstance.__module__, CommandInstance.__name__, "{}")
        ref = ref._replace(custom_instance_class_data=own)
    events = ref.event_storage_data
    if events is not None and events.class_name == SqliteEventLogStorage.__name__:
        pooled = ConfigurableClassData(__name__, PooledEventLog.__name__, events.config_yaml)
        # Without storage_data Dagster opens the three storages separately.
        ref = ref._replace(storage_data=None, event_storage_data=pooled)
    elif ref.storage_data is not None and ref.storage_data.class_name == _POSTGRES:
        pooled = ConfigurableClassData(
            f"{__package__}.postgres_storage", _POOLED_POSTGRES, ref.storage_data.config_yaml
        )
        ref = ref._replace(storage_data=pooled)
    logs = ref.compute_logs_data
    if logs is not None and logs.class_name == LocalComputeLogManager.__name__:
        # It copies the output of each step, with two processes for each of two streams. Ctrl-C ends these processes
        # with tracebacks. A command prints to its terminal anyway.
        none = ConfigurableClassData(NoOpComputeLogManager.__module__, NoOpComputeLogManager.__name__, "{}")
        ref = ref._replace(compute_logs_data=none)
    with _one_at_a_time(home):
        return dg.DagsterInstance.from_ref(ref)


def require_usable(home: Path, seconds: float) -> None:
    """Raise LendingError when a SQLite file of the storage is damaged, or locked for that many seconds."""
    for name in _FILES:
        file = home / name
        if not file.exists():
            continue
        try:
            with closing(sqlite3.connect(file, timeout=seconds)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
        except sqlite3.Error as error:
            raise LendingError(f"Dagster's storage {file}: {explanation(error) or error}") from error


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Let only one process of this machine open the storage: the first one creates its tables."""
    with (home / ".opening").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class PooledEventLog(SqliteEventLogStorage):
    """The event log in SQLite. Each database has one connection pool. Events stored together share one transaction."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        self._engines: dict[str, sa.Engine] = {}
        self._begun: dict[str, sa.Connection] | None = None
        self._tables: set[str] = set()
        self._asset_columns: dict[str, bool] = {}
        super().__init__(base_dir, inst_data)
        self._db_lock: Any = threading.RLock()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "PooledEventLog":
        """The storage as configured in dagster.yaml."""
        return cls(inst_data=inst_data, **config_value)

    def dispose(self) -> None:
        """Close the connections."""
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event in one transaction of its run's database, and one of the index."""
        with self._one_transaction():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in one transaction of their run's database, and one of the index."""
        with self._one_transaction():
            super().store_event_batch(events)

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        """Use one transaction of each database in the block. The run's database commits first, as in Dagster."""
        with self._db_lock:
            if self._begun is not None:
                yield
                return
            self._begun = {}
            try:
                yield
                for connection in self._begun.values():
                    connection.commit()
            finally:
                for connection in self._begun.values():
                    connection.close()
                self._begun = None

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table. A table that exists is looked up once, not for each event."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        """Whether the table of assets has the column. The columns are read once, not for each event."""
        if column_name not in self._asset_columns:
            self._asset_columns[column_name] = super()._has_asset_key_col_on_connection(conn, column_name)
        return self._asset_columns[column_name]

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if self._begun is None:
                with engine.begin() as connection:
                    yield connection
                return
            if shard not in self._begun:
                self._begun[shard] = engine.connect()
                self._begun[shard].begin()
            yield self._begun[shard]

    def _engine(self, shard: str) -> sa.Engine:
        """The pool of a database, whose tables are created if needed."""
        if shard not in self._engines:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            )
            sa.event.listen(engine, "connect", _sync_at_checkpoints)
            self._engines[shard] = engine
        if shard not in self._initialized_dbs:
            self._initdb(self._engines[shard])
            self._initialized_dbs.add(shard)
        return self._engines[shard]


def _sync_at_checkpoints(connection: Any, record: Any) -> None:
    """Make SQLite wait for the disk at checkpoints only, not at each of the 1,000 commits of a close.

    Dagster writes its SQLite files with a write-ahead log, so they are not damaged either way. When the machine
    crashes, the last events can be lost: the days of the run then count as not closed. When only the process crashes,
    no event is lost.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
