"""SELECTs for the rows that are compared by their totals of each loan, and Fineract's tables with some loans only.

Amounts are rounded one by one, without a running total: a sort of all rows would take longer than reading them. So the
loans with amounts below a cent, and those whose schedule has a chargeback, always differ from the lake, and each sync
reads them.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from lending_pipelines.sources.fineract import accruals
from lending_pipelines.sources.fineract.accruals import recognised
from lending_pipelines.sources.fineract.charges import fees
from lending_pipelines.sources.fineract.codes import ACCRUAL, ACCRUAL_ADJUSTMENT, DEBIT, LOAN, MONEY, NO_MONEY
from lending_pipelines.sources.fineract.loans import lent
from lending_pipelines.sources.fineract.transactions import PARTS, portions
from lending_pipelines.sources.protocol import Parts
from lending_pipelines.sources.rounding import known
from lending_pipelines.sources.select_by_loan import select_loan_totals
from lending_pipelines.sources.stored import StoredTables
from lending_pipelines.tables import SERVICING, Table

JOURNAL = "acc_gl_journal_entry"


def _installments(t: StoredTables) -> Sequence[sa.Select]:
    """The schedules as they are now."""
    row, loan = t.m_loan_repayment_schedule, t.m_loan
    fees_due = known(row.c.fee_charges_amount) + known(row.c.penalty_charges_amount)
    return [
        sa.select(
            row.c.loan_id,
            row.c.installment.label("number"),
            row.c.duedate.label("due_on"),
            row.c.principal_amount.label("principal"),
            row.c.interest_amount.label("interest"),
            fees_due.label("fees"),
        )
        .join_from(row, loan, loan.c.id == row.c.loan_id)
        .where(lent(loan))
    ]


def _transactions(t: StoredTables) -> Sequence[sa.Select]:
    """What is in force. Of an undone transaction, only that there is one.

    Rows of a type that is not known are included: they differ from the lake, so that they are read and rejected.
    """
    row = portions(t, t.m_loan_transaction.c.transaction_type_enum.not_in(list(NO_MONEY))).subquery("portions")
    undone = row.c.is_reversed.is_(sa.true())
    return [
        sa.select(
            row.c.loan_id,
            row.c.id.label("transaction_id"),
            sa.case((undone, sa.literal("reversal", sa.String)), else_=row.c.becomes).label("type"),
            sa.case((undone, None), else_=row.c.transaction_date).label("effective_on"),
            *(sa.case((undone, 0), else_=row.c[part]).label(part) for part in PARTS),
        )
    ]


def _accruals(t: StoredTables) -> Sequence[sa.Select]:
    """The same of accruals."""
    no_accruals = {*MONEY, *NO_MONEY} - {ACCRUAL, ACCRUAL_ADJUSTMENT}
    row = recognised(t, t.m_loan_transaction.c.transaction_type_enum.not_in(sorted(no_accruals))).subquery("exact")
    undone = row.c.is_reversed.is_(sa.true())
    return [
        sa.select(
            row.c.loan_id,
            row.c.id.label("accrual_id"),
            sa.case((undone, None), else_=row.c.transaction_date).label("effective_on"),
            *(sa.case((undone, 0), else_=row.c[part]).label(part) for part in accruals.PARTS),
        )
    ]


def _fees(t: StoredTables) -> Sequence[sa.Select]:
    return [fees(t)]


def _journal_lines(t: StoredTables) -> Sequence[sa.Select]:
    """The lines of loans, and those without a loan."""
    line = t.acc_gl_journal_entry
    is_debit, amount = line.c.type_enum == DEBIT, line.c.amount
    rows = (
        line.c.entry_date,
        sa.case((is_debit, amount), else_=0).label("debit"),
        sa.case((is_debit, 0), else_=amount).label("credit"),
    )
    of_loan = _of_loan(line)
    return [
        sa.select(line.c.entity_id.label("loan_id"), *rows).where(of_loan),
        sa.select(line.c.entry_date.label("day"), *rows).where(of_loan.is_not(sa.true())),
    ]


_ROWS: dict[str, Callable[[StoredTables], Sequence[sa.Select]]] = {
    "installments": _installments,
    "transactions": _transactions,
    "accruals": _accruals,
    "fees": _fees,
    "journal_lines": _journal_lines,
}


def loan_totals(t: StoredTables, table: Table) -> sa.Select | None:
    """The SELECT for the totals of a table by loan. None for a table that is always read completely."""
    return select_loan_totals(table, *_ROWS[table.name](t)) if table.name in _ROWS else None


class SomeTables(StoredTables):
    """Fineract's tables with only the rows of some loans, so that each SELECT of a servicing table reads only these.

    For journal_lines, only the journal is limited, to complete entries: they also refer to other rows.
    """

    def __init__(self, of: StoredTables, table: Table, parts: Parts):
        self.layout, self.names = of.layout, of.names
        self._of, self._parts = of, parts
        self._of_journal = table == SERVICING["journal_lines"]
        self._known = {}

    def _table(self, name: str) -> sa.FromClause:
        stored = getattr(self._of, name)
        if self._of_journal:
            where = self._entries(stored) if name == JOURNAL else None
        elif name == "m_loan":
            where = stored.c.id.in_(self._loans)
        else:
            where = stored.c.loan_id.in_(self._loans) if "loan_id" in stored.c else None
        return stored if where is None else sa.select(*stored.c).where(where).subquery(name)

    @property
    def _loans(self) -> list[int]:
        return [int(loan_id) for loan_id in self._parts.loans]

    def _entries(self, line: sa.FromClause) -> sa.ColumnElement[bool]:
        other = line.alias("lines_of_parts")
        of_loan = _of_loan(other)
        of_parts = sa.or_(
            of_loan & other.c.entity_id.in_(self._loans),
            of_loan.is_not(sa.true()) & other.c.entry_date.in_(self._parts.days),
        )
        return line.c.transaction_id.in_(sa.select(other.c.transaction_id).where(of_parts))


def _of_loan(line: sa.FromClause) -> sa.ColumnElement[bool]:
    return (line.c.entity_type_enum == LOAN) & line.c.entity_id.is_not(None)
