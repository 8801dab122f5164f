"""Reads a tenant database of Fineract with one SELECT per servicing table. Read only; nothing is created in it."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.sources.by_loan import PARTS_AT_A_TIME, loan_totals_table
from lending_pipelines.sources.fineract import (
    accruals,
    charges,
    codes,
    floating,
    ledger,
    loans,
    modifications,
    organisation,
    schedules,
    transactions,
)
from lending_pipelines.sources.fineract.by_loan import SomeTables, loan_totals
from lending_pipelines.sources.fineract.clock import schedules_changed_on
from lending_pipelines.sources.fineract.contradictions import CONTRADICTIONS, delinquency_tags
from lending_pipelines.sources.fineract.stored import LAYOUT
from lending_pipelines.sources.protocol import Parts
from lending_pipelines.sources.selects import Origin, SelectedSnapshot, SelectedSource
from lending_pipelines.sources.stored import StoredTables
from lending_pipelines.sources.unknown_codes import Code
from lending_pipelines.tables import Table


def _transaction_type(column: str) -> Code:
    """The code list of transaction types. An unknown one is an error of the servicing column."""
    return Code(column, "m_loan_transaction", "transaction_type_enum", {*codes.MONEY, *codes.NO_MONEY})


_ORIGINS = {
    "branches": Origin("m_office", organisation.branches),
    "staff": Origin(
        "m_staff", organisation.staff, (Code("role", "m_staff", "organisational_role_enum", codes.STAFF_ROLES),)
    ),
    "borrowers": Origin("m_client", organisation.borrowers),
    "programs": Origin("m_product_loan", organisation.programs),
    "products": Origin("m_product_loan", organisation.products),
    "loans": Origin(
        "m_loan",
        loans.loans,
        (
            Code("loan_id", "m_loan", "loan_status_id", {*codes.LOAN_STATUSES, *codes.NOT_LENT}),
            Code("payment_frequency", "m_loan", "repayment_period_frequency_enum", codes.PERIODS_A_YEAR),
        ),
        floating.loans_without_rate,
    ),
    "officer_assignments": Origin("m_loan_officer_assignment_history", loans.officer_assignments),
    "delinquency_pauses": Origin("m_loan_delinquency_action", loans.delinquency_pauses),
    "loan_owners": Origin("m_external_asset_owner_transfer", loans.loan_owners),
    "installments": Origin("m_loan_repayment_schedule", schedules.installments),
    "transactions": Origin("m_loan_transaction", transactions.transactions, (_transaction_type("type"),)),
    "accruals": Origin("m_loan_transaction", accruals.accruals, (_transaction_type("interest"),)),
    "fees": Origin("m_loan_charge", charges.fees),
    "modifications": Origin("m_loan_term_variations", modifications.modifications),
    "gl_accounts": Origin(
        "acc_gl_account",
        ledger.gl_accounts,
        (Code("account_type", "acc_gl_account", "classification_enum", codes.CLASSIFICATIONS),),
    ),
    "journal_lines": Origin(
        "acc_gl_journal_entry",
        ledger.journal_lines,
        (Code("debit", "acc_gl_journal_entry", "type_enum", (codes.CREDIT, codes.DEBIT)),),
    ),
}


class FineractSnapshot(SelectedSnapshot):
    """Fineract's tables in one transaction, as servicing tables."""

    name = "fineract"
    system = "Fineract"
    layout = LAYOUT
    origins = _ORIGINS
    contradictions = CONTRADICTIONS

    def schedules_changed_on(self, loan_ids: Sequence[str], timezone: str) -> Mapping[str, date]:
        """The day on which a row of each loan's schedule was last modified, at most Fineract's business date."""
        return schedules_changed_on(self._database.connection, self.stored, loan_ids, timezone)

    def loan_totals(self, table: Table) -> Iterator[pa.RecordBatch] | None:
        """The totals of the table by loan. None for a table that every sync reads completely.

        Raises:
            SourceError: The totals cannot be computed.
        """
        select = None if table.name in self.absent else loan_totals(self.stored, table)
        return None if select is None else self.stream(loan_totals_table(table), [select], None, self.stored)

    def read_parts(self, table: Table, parts: Parts) -> Generator[pa.RecordBatch, None, None]:
        """Stream the rows of the loans and days, at most PARTS_AT_A_TIME of them with each SELECT.

        Raises:
            SourceError: The table cannot be read.
            UnreadableValues: After the last row, as in `read`.
        """
        if not parts:
            return
        origin = self.origins[table.name]
        selects = [origin.select(SomeTables(self.stored, table, some)) for some in parts.split(PARTS_AT_A_TIME)]
        yield from self.stream(table, selects, origin, SomeTables(self.stored, table, parts, entries=False))

    def find_contradictions(self, table: Table, loans: Sequence[str] | None = None) -> Sequence[str]:
        """A sentence for each contradiction in Fineract's data about the table, of all loans or of some."""
        return self.compare(
            table, self.stored if loans is None else SomeTables(self.stored, table, Parts(tuple(loans)))
        )

    def differences(self, connection: sa.Connection, stored: StoredTables, table: Table) -> list[str]:
        """The contradictions about the table; for loans, also delinquency tags that contradict the schedule."""
        found = super().differences(connection, stored, table)
        return found + (list(delinquency_tags(connection, stored)) if table.name == "loans" else [])


class Fineract(SelectedSource):
    """One tenant database, by its SQLAlchemy URL."""

    name = FineractSnapshot.name
    opened = FineractSnapshot
