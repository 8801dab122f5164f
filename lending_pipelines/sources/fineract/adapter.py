"""Reads a tenant database of Fineract with one SELECT per servicing table. Read only; nothing is created in it."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical.database import CanonicalDatabase, DatabaseSnapshot
from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.sources.fineract import loans, organisation, schedules, transactions
from lending_pipelines.sources.fineract.stored import StoredTables
from lending_pipelines.sources.fineract.unknown_codes import unknown_codes
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import SERVICING, Table
from lending_pipelines.tables.sql import MYSQL


@dataclass(frozen=True)
class _Origin:
    """Where a servicing table comes from."""

    stored: str
    """The table of Fineract without which there is no data."""
    select: Callable[[StoredTables], sa.Select]


_ORIGINS = {
    "branches": _Origin("m_office", organisation.branches),
    "staff": _Origin("m_staff", organisation.staff),
    "borrowers": _Origin("m_client", organisation.borrowers),
    "programs": _Origin("m_product_loan", organisation.programs),
    "products": _Origin("m_product_loan", organisation.products),
    "loans": _Origin("m_loan", loans.loans),
    "officer_assignments": _Origin("m_loan_officer_assignment_history", loans.officer_assignments),
    "installments": _Origin("m_loan_repayment_schedule", schedules.installments),
    "transactions": _Origin("m_loan_transaction", transactions.transactions),
}


class Fineract:
    """One tenant database, by its SQLAlchemy URL."""

    name = "fineract"

    def __init__(self, url: str):
        self._database = CanonicalDatabase(url, self.name)

    @contextmanager
    def snapshot(self) -> Iterator["FineractSnapshot"]:
        """Open a read-only transaction for the block. All tables are read in it."""
        with self._database.snapshot() as database:
            if database.connection.dialect.name not in ("postgresql", *MYSQL):
                raise SourceError(
                    f"{self.name}: LENDING_SERVICING_URL must be a database of PostgreSQL, MariaDB or MySQL, "
                    f"not {database.connection.dialect.name}"
                )
            yield FineractSnapshot(database)


class FineractSnapshot:
    """Fineract's tables in one transaction, as servicing tables."""

    name = Fineract.name

    def __init__(self, database: DatabaseSnapshot):
        self._database = database
        self.stored = StoredTables(self.name, database.connection)

    @property
    def absent(self) -> frozenset[str]:
        """The servicing tables that Fineract, or this version of it, does not have."""
        provided = {name for name, origin in _ORIGINS.items() if origin.stored in self.stored.names}
        return frozenset(SERVICING) - provided

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows, all of them whatever `since` and `months`.

        Raises:
            SourceError: The table cannot be read.
            UnreadableValues: After the last row: codes that are not known, or values that do not fit their column.
        """
        if table.name in self.absent:
            return
        try:
            faults = unknown_codes(self._database.connection, self.stored, table.name)
            groups = self._database.extract(_ORIGINS[table.name].select(self.stored))
            yield from record_batches(self.name, table, groups, faults=faults)
        except (sa.exc.SQLAlchemyError, ReadFailed) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {cause}") from error

    def month_totals(self, table: Table) -> None:
        """None: Fineract changes rows in place, so every sync reads and compares complete tables."""

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """No notes."""
        return {}
