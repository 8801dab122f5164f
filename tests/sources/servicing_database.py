"""A servicing database of the package's own tables, in SQLite, PostgreSQL or MariaDB, that tests write to."""

from functools import cached_property

import sqlalchemy as sa

from lending_pipelines.sources import open_source
from lending_pipelines.sources.protocol import Source
from lending_pipelines.tables.sql import servicing_metadata


class ServicingDatabase:
    """A small servicing database that tests write to."""

    def __init__(self, url: str):
        self.url = url
        # Servers get a pool, because PyMySQL reads all certificates of the machine for each connection.
        self.engine = sa.create_engine(url, poolclass=sa.NullPool if url.startswith("sqlite") else sa.QueuePool)
        self.metadata = servicing_metadata()
        self.metadata.create_all(self.engine)
        self.reshaped = False
        self._filled: set[str] = set()
        sa.event.listen(self.engine, "before_cursor_execute", self._remember)

    @cached_property
    def source(self) -> Source:
        """Reads the database. It is kept, because SQLAlchemy then compiles a SELECT only once."""
        return open_source("canonical", self.url)

    def _remember(self, _connection: sa.Connection, _cursor: object, statement: str, *_more: object) -> None:
        """Remember which tables a test fills, and whether it changes any."""
        verb, *words = statement.split(maxsplit=3)
        verb = verb.upper()
        if verb == "INSERT":
            self._filled.add(words[1])
        self.reshaped |= verb in ("ALTER", "CREATE", "DROP", "RENAME")

    def empty(self) -> None:
        """Delete all rows."""
        with self.engine.begin() as connection:
            for table in self._filled:
                connection.exec_driver_sql(f"DELETE FROM {table}")
        self._filled.clear()

    def insert(self, table: str, *rows: dict) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.metadata.tables[table]), list(rows))

    def copy_from(self, other: "ServicingDatabase", table: str) -> None:
        """Insert the rows of another database's table, unless it is the same database."""
        if other.url != self.url:
            with other.engine.connect() as connection:
                rows = connection.execute(sa.select(self.metadata.tables[table])).mappings().all()
            if rows:
                self.insert(table, *map(dict, rows))

    def retype(self, table: str, column: str, postgresql: str, mariadb: str) -> None:
        """Give a column another type. SQLite takes values of any type as they are."""
        match self.engine.name:
            case "postgresql":
                self.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {postgresql}")
            case "mysql":
                self.execute(f"ALTER TABLE {table} MODIFY {column} {mariadb}")

    def execute(self, statement: str, *parameters: tuple) -> None:
        """Raw SQL, for what SQLAlchemy's types would refuse."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement, *parameters)
