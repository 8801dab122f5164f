"""Finds codes whose meaning is not known, before a table is read. They reject the table, by name."""

from collections.abc import Collection

import sqlalchemy as sa

from lending_pipelines.sources.finding import SHOWN, Finding
from lending_pipelines.sources.fineract import codes
from lending_pipelines.sources.fineract.stored import StoredTables

_TRANSACTION_TYPES = ("type", "m_loan_transaction", "transaction_type_enum", {*codes.MONEY, *codes.NO_MONEY})

_CODES: dict[str, tuple[tuple[str, str, str, Collection[int]], ...]] = {
    "staff": (("role", "m_staff", "organisational_role_enum", codes.STAFF_ROLES),),
    "loans": (
        ("loan_id", "m_loan", "loan_status_id", {*codes.LOAN_STATUSES, *codes.NOT_LENT}),
        ("payment_frequency", "m_loan", "repayment_period_frequency_enum", codes.PERIODS_A_YEAR),
    ),
    "transactions": (_TRANSACTION_TYPES,),
    "accruals": (("interest", *_TRANSACTION_TYPES[1:]),),
    "gl_accounts": (("account_type", "acc_gl_account", "classification_enum", codes.CLASSIFICATIONS),),
    "journal_lines": (("debit", "acc_gl_journal_entry", "type_enum", (codes.CREDIT, codes.DEBIT)),),
}
"""For each servicing table: the column, and the table, column and known codes of Fineract that it comes from."""


def unknown_codes(connection: sa.Connection, t: StoredTables, table: str) -> list[Finding]:
    """A finding for each code list of a servicing table with codes that are not listed in codes.py."""
    findings = []
    for column, stored, code, known in _CODES.get(table, ()):
        row = getattr(t, stored)
        unknown = (
            sa.select(row.c[code], sa.func.count(), sa.func.min(row.c.id))
            .where(row.c[code].not_in(list(known)))
            .group_by(row.c[code])
            .order_by(row.c[code])
        )
        if found := connection.execute(unknown).all():
            examples = tuple(f"{code}={value}: {number}, the first with id {first}" for value, number, first in found)
            rows = sum(number for _, number, _ in found)
            findings.append(Finding(column, f"come from {stored}.{code} that is not known", rows, examples[:SHOWN]))
    return findings
