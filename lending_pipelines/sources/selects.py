"""A servicing system whose database is read with one SELECT per servicing table. Read only; nothing is created in it.

A source of this kind is a subclass of `SelectedSource`, and one of `SelectedSnapshot` with its SELECTs, code lists and
contradictions.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical.database import CanonicalDatabase, DatabaseSnapshot
from lending_pipelines.sources.canonical.failure import ReadFailed, one_line
from lending_pipelines.sources.canonical.rights import rights
from lending_pipelines.sources.contradictions import Contradiction, messages
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.protocol import Rights, SourceError
from lending_pipelines.sources.stored import Layout, StoredTables
from lending_pipelines.sources.unknown_codes import Code, unknown_codes
from lending_pipelines.tables import SERVICING, Table
from lending_pipelines.tables.sql import MYSQL


@dataclass(frozen=True)
class Origin:
    """Where a servicing table comes from."""

    stored: str
    """The table of the system without which there is no data."""
    select: Callable[[StoredTables], sa.Select]
    codes: tuple[Code, ...] = ()
    """The code lists of the table. A code that is not known rejects it."""
    faults: Callable[[sa.Connection, StoredTables], list[Finding]] = lambda *_: []
    """Other errors of the stored rows, which reject the table."""

    def errors(self, connection: sa.Connection, stored: StoredTables, id_column: str) -> list[Finding]:
        """The errors in the stored rows that reject the table before it is read."""
        return [*unknown_codes(connection, stored, self.codes, id_column), *self.faults(connection, stored)]


class SelectedSnapshot:
    """The system's tables in one transaction, as servicing tables."""

    name: ClassVar[str]
    """The adapter's name."""
    system: ClassVar[str]
    """The system's name in messages."""
    layout: ClassVar[Layout]
    origins: ClassVar[Mapping[str, Origin]]
    """Each servicing table that the system has."""
    contradictions: ClassVar[Sequence[Contradiction]]
    id_column: ClassVar[str] = "id"
    """The column with the id of every row."""

    def __init__(self, database: DatabaseSnapshot):
        if database.connection.dialect.name not in ("postgresql", *MYSQL):
            raise SourceError(
                f"{self.name}: LENDING_SERVICING_URL must be a database of PostgreSQL, MariaDB or MySQL, "
                f"not {database.connection.dialect.name}"
            )
        self._database = database
        self.stored = StoredTables(self.name, database.connection, self.layout)

    @property
    def absent(self) -> frozenset[str]:
        """The servicing tables that the system, or this version of it, does not have."""
        provided = {name for name, origin in self.origins.items() if origin.stored in self.stored.names}
        return frozenset(SERVICING) - provided

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows, all of them whatever `since` and `months`.

        Raises:
            SourceError: The table cannot be read.
            UnreadableValues: After the last row: codes that are not known, or values that do not fit their column.
        """
        if table.name not in self.absent:
            origin = self.origins[table.name]
            yield from self.stream(table, [origin.select(self.stored)], origin, self.stored)

    def stream(
        self, table: Table, selects: Sequence[sa.Select], origin: Origin | None, stored: StoredTables
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the rows of SELECTs.

        Args:
            table: The table with their columns.
            selects: The SELECTs.
            origin: Where the rows come from. Without it, errors of the stored rows are not looked for.
            stored: The stored tables in which errors are looked for.

        Raises:
            SourceError: The rows cannot be read.
            UnreadableValues: After the last row: codes that are not known, or values that do not fit their column.
        """
        try:
            faults = origin.errors(self._database.connection, stored, self.id_column) if origin else []
            groups = (group for select in selects for group in self._database.extract(select))
            yield from record_batches(self.name, table, self.converted(table, groups), faults=faults)
        except (sa.exc.SQLAlchemyError, ReadFailed) as error:
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {one_line(error)}") from error

    def converted(self, _table: Table, groups: Iterable[list[Values]]) -> Iterable[list[Values]]:
        """The columns of the table as the servicing tables define them. By default, as the SELECT has them."""
        return groups

    def month_totals(self, table: Table) -> None:
        """None: rows change in place, so that the time of a row does not tell when it changed."""

    def find_contradictions(self, table: Table, loans: Sequence[str] | None = None) -> Sequence[str]:
        """A sentence for each contradiction in the system's data about the table. All loans are compared."""
        return self.compare(table, self.stored)

    def compare(self, table: Table, stored: StoredTables) -> Sequence[str]:
        """A sentence for each contradiction between the stored tables about the servicing table."""
        try:
            # Use a savepoint. Without it, an error would end PostgreSQL's transaction.
            with self._database.connection.begin_nested():
                return self.differences(self._database.connection, stored, table)
        except sa.exc.SQLAlchemyError as error:
            return [f"{table.name}: contradictions in {self.system} cannot be looked for: {one_line(error)}"]

    def differences(self, connection: sa.Connection, stored: StoredTables, table: Table) -> list[str]:
        """A sentence for each of the contradictions about the table."""
        return messages(connection, stored, self.contradictions, table.name)

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """No notes."""
        return {}

    def rights(self) -> Rights | None:
        """What the user may do with the system's tables, and the server's clock."""
        names = [self.layout.stored_name(name) for name in sorted(self.stored.names)]
        return rights(self._database.connection, names)


class SelectedSource:
    """One database of the system, by its SQLAlchemy URL."""

    name: ClassVar[str]
    """The adapter's name."""
    opened: ClassVar[type[SelectedSnapshot]]
    """The system's tables in one transaction."""

    def __init__(self, url: str):
        self._database = CanonicalDatabase(url, self.name)

    @contextmanager
    def snapshot(self) -> Iterator[SelectedSnapshot]:
        """Open a read-only transaction for the block. All tables are read in it.

        Raises:
            SourceError: The database cannot be read, or is of a kind that the system does not use.
        """
        with self._database.snapshot() as database:
            try:
                snapshot = self.opened(database)
            except sa.exc.SQLAlchemyError as error:
                raise SourceError(
                    f"{self.name}: the settings of {self.opened.system} cannot be read: {one_line(error)}"
                ) from error
            yield snapshot
