"""Reads a tenant database of Fineract with one SELECT per servicing table. Read only; nothing is created in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import sqlalchemy as sa

from lending_pipelines.sources.canonical.database import CanonicalDatabase
from lending_pipelines.sources.fineract import (
    accruals,
    charges,
    codes,
    ledger,
    loans,
    modifications,
    organisation,
    schedules,
    transactions,
)
from lending_pipelines.sources.fineract.clock import schedules_changed_on
from lending_pipelines.sources.fineract.doubts import DOUBTS, delinquency_tags
from lending_pipelines.sources.fineract.stored import LAYOUT
from lending_pipelines.sources.selects import Origin, SelectedSnapshot
from lending_pipelines.sources.unknown_codes import Code
from lending_pipelines.tables import Table


def _transaction_type(column: str) -> Code:
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


class Fineract:
    """One tenant database, by its SQLAlchemy URL."""

    name = "fineract"

    def __init__(self, url: str):
        self._database = CanonicalDatabase(url, self.name)

    @contextmanager
    def snapshot(self) -> Iterator["FineractSnapshot"]:
        """Open a read-only transaction for the block. All tables are read in it."""
        with self._database.snapshot() as database:
            yield FineractSnapshot(database)


class FineractSnapshot(SelectedSnapshot):
    """Fineract's tables in one transaction, as servicing tables."""

    name = Fineract.name
    system = "Fineract"
    layout = LAYOUT
    origins = _ORIGINS
    contradictions = DOUBTS

    def schedules_changed_on(self, loan_ids: Sequence[str], timezone: str) -> Mapping[str, date]:
        """The day on which a row of each loan's schedule was last modified, at most Fineract's business date."""
        return schedules_changed_on(self._database.connection, self.stored, loan_ids, timezone)

    def differences(self, connection: sa.Connection, table: Table) -> list[str]:
        """The contradictions about the table, and among the loans the delinquency tags that contradict the schedule."""
        found = super().differences(connection, table)
        return found + (list(delinquency_tags(connection, self.stored)) if table.name == "loans" else [])
