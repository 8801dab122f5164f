"""Reads a site of Frappe Lending with one SELECT per servicing table. Read only; nothing is created in it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import sqlalchemy as sa

from lending_pipelines.sources.canonical.database import DatabaseSnapshot
from lending_pipelines.sources.canonical.mysql import collations
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.frappe import (
    accruals,
    codes,
    demands,
    ledger,
    loans,
    modifications,
    organisation,
    schedules,
    transactions,
)
from lending_pipelines.sources.frappe.clock import in_utc, site_zone
from lending_pipelines.sources.frappe.contradictions import CONTRADICTIONS
from lending_pipelines.sources.frappe.stored import LAYOUT
from lending_pipelines.sources.selects import Origin, SelectedSnapshot, SelectedSource
from lending_pipelines.sources.stored import StoredTables
from lending_pipelines.sources.unknown_codes import Code
from lending_pipelines.tables import Table
from lending_pipelines.tables.sql import MYSQL

_UTC = "UTC"


def _code(column: str, table: str, code: str, *known: str, drafts: str | None = "docstatus") -> Code:
    """The known values of a Select field. Drafts may have any value. Frappe stores an empty value as NULL too."""
    return Code(column, table, code, known, "" not in known, drafts)


_ORIGINS = {
    "branches": Origin("company", organisation.branches),
    "borrowers": Origin("loan", organisation.borrowers),
    "programs": Origin("loan_product", organisation.programs),
    "products": Origin("loan_product", organisation.products),
    "loans": Origin(
        "loan",
        loans.loans,
        (
            _code("loan_id", "loan", "status", *codes.LOAN_STATUSES),
            _code("payment_frequency", "loan", "repayment_frequency", *codes.FREQUENCIES),
            _code("day_count", "company", "interest_day_count_convention", *codes.DAY_COUNTS, drafts=None),
        ),
    ),
    "installments": Origin(
        "loan_repayment_schedule",
        schedules.installments,
        (
            _code("version", "loan_repayment_schedule", "status", *codes.IN_FORCE, *codes.NEVER_IN_FORCE),
            _code("version", "loan_restructure", "restructure_type", codes.NORMAL_RESTRUCTURE, *codes.PREPAYMENTS),
        ),
    ),
    "transactions": Origin(
        "loan_repayment",
        transactions.transactions,
        (
            _code("type", "loan_repayment", "repayment_type", *codes.MONEY, *codes.NO_MONEY),
            _code("type", "loan_balance_adjustment", "adjustment_type", *codes.ADJUSTMENTS),
        ),
    ),
    "accruals": Origin(
        "loan_interest_accrual",
        accruals.accruals,
        (_code("interest", "loan_interest_accrual", "interest_type", codes.NORMAL_INTEREST, codes.PENAL_INTEREST),),
    ),
    "fees": Origin(
        "loan_demand",
        demands.fees,
        (_code("fee_type", "loan_demand", "demand_type", *codes.FEES, *codes.INSTALLMENT_DEMANDS),),
    ),
    "modifications": Origin(
        "loan_restructure",
        modifications.modifications,
        (
            _code("type", "loan_restructure", "restructure_type", codes.NORMAL_RESTRUCTURE, *codes.PREPAYMENTS),
            _code("type", "loan_restructure", "status", *codes.RESTRUCTURE_STATUSES),
        ),
    ),
    "gl_accounts": Origin(
        "account", ledger.gl_accounts, (_code("account_type", "account", "root_type", *codes.ROOT_TYPES, drafts=None),)
    ),
    "journal_lines": Origin("gl_entry", ledger.journal_lines),
}


class FrappeSnapshot(SelectedSnapshot):
    """Frappe's doctypes in one transaction, as servicing tables."""

    name = "frappe"
    system = "Frappe"
    layout = LAYOUT
    origins = _ORIGINS
    contradictions = CONTRADICTIONS
    id_column = "name"

    def __init__(self, database: DatabaseSnapshot):
        super().__init__(database)
        _collate_as_stored(database.connection)
        self._zone = site_zone(database.connection, self.stored)

    def converted(self, table: Table, groups: Iterable[list[Values]]) -> Iterable[list[Values]]:
        """The columns with their timestamps converted from the site's time zone to UTC."""
        return in_utc(table, groups, self._zone or _UTC)

    def schedules_changed_on(self, loan_ids: Sequence[str], timezone: str) -> Mapping[str, date]:
        """The date of each loan's last schedule in force. Frappe's dates are business dates, without a time zone."""
        return schedules.schedules_changed_on(self._database.connection, self.stored, loan_ids)

    def differences(self, connection: sa.Connection, stored: StoredTables, table: Table) -> list[str]:
        """The contradictions about the table; for transactions, also that the time zone of the site is not known."""
        found = super().differences(connection, stored, table)
        if table.name == "transactions" and self._zone is None:
            found.append("transactions: tabSingles does not say the time zone of the site, so times are read as UTC")
        return found


class Frappe(SelectedSource):
    """The database of one site, by its SQLAlchemy URL."""

    name = FrappeSnapshot.name
    opened = FrappeSnapshot


def _collate_as_stored(connection: sa.Connection) -> None:
    """Give the constants of SELECTs the collation of Frappe's columns. MariaDB rejects a UNION of different ones."""
    if connection.dialect.name in MYSQL and (collation := collations(connection, "tabLoan").get("name")):
        connection.execute(sa.text("SET SESSION collation_connection = :collation"), {"collation": collation})
