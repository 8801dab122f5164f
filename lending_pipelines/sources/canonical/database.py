"""Reads servicing tables, named and shaped as in tables/, from any database that SQLAlchemy reaches. Read only.

How rows come over is the extractor's business: postgresql.py for PostgreSQL, rows.py for every other.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical import postgresql, rows
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import Table
from lending_pipelines.tables.sql import servicing_metadata


class CanonicalDatabase:
    """One database by its SQLAlchemy URL, such as `sqlite:///servicing.db` or `postgresql://user@host/name`."""

    name = "canonical"
    absent: frozenset[str] = frozenset()

    def __init__(self, url: str):
        try:
            self._engine = sa.create_engine(
                _url_to_read(sa.make_url(url)),
                # Nothing stays open between tables.
                poolclass=sa.NullPool,
                execution_options={"postgresql_readonly": True},
            )
        except (sa.exc.ArgumentError, ImportError) as error:
            raise SourceError(
                f"{self.name}: LENDING_SERVICING_URL cannot be used as a database URL: {_one_line(error)}"
            ) from error
        self._tables = servicing_metadata().tables

    def read(self, table: Table, since: datetime | None) -> Iterator[pa.RecordBatch]:
        """The table's rows by one SELECT, streamed.

        Raises:
            SourceError: The table cannot be read.
            UnreadableValues: At the end: columns are missing, or values cannot be what their column must hold.
        """
        extract = postgresql.fetch if self._engine.dialect.name == "postgresql" else rows.fetch
        try:
            missing = self._missing_columns(table)
            groups = extract(self._engine, self._select(table, since, missing))
            yield from record_batches(self.name, table, groups, missing)
        except (sa.exc.SQLAlchemyError, postgresql.ReadFailed) as error:
            place = self._engine.url.render_as_string(hide_password=True)
            raise SourceError(
                f"{self.name}: table {table.name} cannot be read from {place}: {_one_line(error)}"
            ) from error

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """Nothing to say: the tables are taken as they are."""
        return {}

    def _missing_columns(self, table: Table) -> list[str]:
        try:
            found = {column["name"] for column in sa.inspect(self._engine).get_columns(table.name)}
        except sa.exc.NoSuchTableError:
            raise SourceError(
                f"{self.name}: the database has no table {table.name}: create it (empty if there is nothing to put in)"
            ) from None
        return [name for name in table.names if name not in found]

    def _select(self, table: Table, since: datetime | None, missing: Collection[str]) -> sa.Select:
        stored = self._tables[table.name]
        select = sa.select(
            *(sa.null().label(column.name) if column.name in missing else column for column in stored.columns)
        ).select_from(stored)
        if since is not None and table.watermark is not None and table.watermark not in missing:
            select = select.where(stored.columns[table.watermark] >= since)
        return select


def _url_to_read(url: sa.URL) -> sa.URL:
    """The URL with the driver that is installed, opening a SQLite file read only.

    A SQLite path that does not exist is then an error, not a new database.
    """
    if url.drivername == "postgresql":
        # SQLAlchemy takes another driver than the one that dagster-postgres brings.
        return url.set(drivername="postgresql+psycopg2")
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    path = url.database if url.database.startswith("file:") else f"file:{quote(url.database)}"
    return url.set(database=path).update_query_dict({"mode": "ro", "uri": "true"})


def _one_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())
