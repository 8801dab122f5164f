"""Dagster's storage in PostgreSQL with persistent connections.

dagster-postgres 0.29 opens a connection for each event and each query, of which a close makes more than a thousand. The
tables and the statements are unchanged, so other processes can use the same database with dagster-postgres' own class.
"""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config

KEPT_CONNECTIONS = 3
"""The number of connections that stay open: Dagster uses up to three at once in one thread."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in one PostgreSQL database. KEPT_CONNECTIONS stay open; threads can open more.

    A connection is tested before each use. If the server has closed it, a new one is opened.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ):
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = _EventLog(postgres_url, should_autocreate_tables=False, token_provider=token_provider)
        engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT_CONNECTIONS,
            max_overflow=-1,
            pool_pre_ping=True,
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """The storage as configured in dagster.yaml."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )


class _EventLog(PostgresEventLogStorage):
    """The event log. It closes the connections of the whole storage, because Dagster disposes of its parts only."""

    def dispose(self) -> None:
        """Close the connections."""
        super().dispose()
        self._engine.dispose()
