"""Dagster's SQLite event log with persistent connections, for runs launched by the command line.

Dagster 1.13 opens and closes the database for every event, for some several times. A close records about 450 events:
opening the files, compiling the statements again and checkpointing the log cost a quarter of its CPU time. The format
of the files is unchanged, so the UI and the daemon read them as before. Event logs outside SQLite are not affected.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
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
"""Dagster's SQLite files in DAGSTER_HOME, besides one for each run."""


def open_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a DAGSTER_HOME; a SQLite event log keeps its connections open.

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
    logs = ref.compute_logs_data
    if logs is not None and logs.class_name == LocalComputeLogManager.__name__:
        # It copies what each step prints, by two processes for each of two streams, which Ctrl-C ends with traces.
        # A command prints to its terminal.
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
    """The event log in SQLite, with one connection pool per database."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        self._engines: dict[str, sa.Engine] = {}
        super().__init__(base_dir, inst_data)

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

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            if shard not in self._engines:
                engine = sa.create_engine(
                    self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
                )
                sa.event.listen(engine, "connect", _sync_at_checkpoints)
                self._engines[shard] = engine
            if shard not in self._initialized_dbs:
                self._initdb(self._engines[shard])
                self._initialized_dbs.add(shard)
            with self._engines[shard].begin() as connection:
                yield connection


def _sync_at_checkpoints(connection: Any, record: Any) -> None:
    """Have SQLite wait for the disk at checkpoints only, not at each of a close's 1,600 commits.

    Dagster writes its SQLite files with a write-ahead log, which stays whole either way. When the machine crashes, the
    last events can be lost: the run's days then count as not closed. When the process crashes, no event is lost.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
