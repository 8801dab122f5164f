"""Reads a tenant database of Fineract with one SELECT per servicing table. Read only; nothing is created in it."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical.database import CanonicalDatabase, DatabaseSnapshot
from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.sources.fineract import (
    accruals,
    charges,
    ledger,
    loans,
    modifications,
    organisation,
    schedules,
    transactions,
)
from lending_pipelines.sources.fineract.clock import schedules_changed_on
from lending_pipelines.sources.fineract.doubts import messages
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
    "delinquency_pauses": _Origin("m_loan_delinquency_action", loans.delinquency_pauses),
    "loan_owners": _Origin("m_external_asset_owner_transfer", loans.loan_owners),
    "installments": _Origin("m_loan_repayment_schedule", schedules.installments),
    "transactions": _Origin("m_loan_transaction", transactions.transactions),
    "accruals": _Origin("m_loan_transaction", accruals.accruals),
    "fees": _Origin("m_loan_charge", charges.fees),
    "modifications": _Origin("m_loan_term_variations", modifications.modifications),
    "gl_accounts": _Origin("acc_gl_account", ledger.gl_accounts),
    "journal_lines": _Origin("acc_gl_journal_entry", ledger.journal_lines),
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
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {_one_line(error)}") from error

    def month_totals(self, table: Table) -> None:
        """None: Fineract changes rows in place, so every sync reads and compares complete tables."""

    def schedules_changed_on(self, loan_ids: Sequence[str], timezone: str) -> Mapping[str, date]:
        """The day on which a row of each loan's schedule was last modified, at most Fineract's business date."""
        return schedules_changed_on(self._database.connection, self.stored, loan_ids, timezone)

    def doubts(self, table: Table) -> Sequence[str]:
        """What Fineract stores in two places and differently, about the table."""
        try:
            # Use a savepoint. Without it, an error would end PostgreSQL's transaction.
            with self._database.connection.begin_nested():
                return messages(self._database.connection, self.stored, table.name)
        except sa.exc.SQLAlchemyError as error:
            return [f"{table.name}: what Fineract stores twice cannot be compared: {_one_line(error)}"]

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """No notes."""
        return {}


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
