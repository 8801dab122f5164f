"""SELECTs for the rows whose totals are compared loan by loan, and Fineract's tables with the rows of some loans only.

Amounts are rounded one by one, without a running total: a sort of all rows would take longer than reading them. So the
loans with amounts below a cent, and those whose schedule has a chargeback, always differ from the lake, and each sync
reads them.
"""

from collections.abc import Callable

import sqlalchemy as sa

from lending_pipelines.sources.fineract import accruals
from lending_pipelines.sources.fineract.accruals import recognised
from lending_pipelines.sources.fineract.charges import fees
from lending_pipelines.sources.fineract.codes import ACCRUAL, ACCRUAL_ADJUSTMENT, DEBIT, LOAN, MONEY, NO_MONEY, lent
from lending_pipelines.sources.fineract.stored import Among
from lending_pipelines.sources.fineract.transactions import PARTS, portions
from lending_pipelines.sources.protocol import Parts
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.select_by_loan import select_loan_totals
from lending_pipelines.sources.stored import StoredTables
from lending_pipelines.tables import SERVICING, Table

JOURNAL = "acc_gl_journal_entry"


def _installments(t: StoredTables) -> sa.Select:
    """The schedules as they are now."""
    row = t.m_loan_repayment_schedule
    return sa.select(
        row.c.loan_id,
        row.c.installment.label("number"),
        row.c.duedate.label("due_on"),
        row.c.principal_amount.label("principal"),
        row.c.interest_amount.label("interest"),
        (or_zero(row.c.fee_charges_amount) + or_zero(row.c.penalty_charges_amount)).label("fees"),
    )


def _transactions(t: StoredTables) -> sa.Select:
    """The transactions in force. Of an undone transaction, only its id, its loan and the type reversal.

    Rows of an unknown type are included: they differ from the lake, so they are read and rejected.
    """
    row = portions(t, t.m_loan_transaction.c.transaction_type_enum.not_in(list(NO_MONEY))).subquery("portions")
    undone = row.c.is_reversed.is_(sa.true())
    return sa.select(
        row.c.loan_id,
        row.c.id.label("transaction_id"),
        sa.case((undone, sa.literal("reversal", sa.String)), else_=row.c.servicing_type).label("type"),
        sa.case((undone, None), else_=row.c.transaction_date).label("effective_on"),
        *(sa.case((undone, 0), else_=row.c[part]).label(part) for part in PARTS),
    )


def _accruals(t: StoredTables) -> sa.Select:
    """The accruals in force. Of an undone accrual, only its id and its loan."""
    no_accruals = {*MONEY, *NO_MONEY} - {ACCRUAL, ACCRUAL_ADJUSTMENT}
    row = recognised(t, t.m_loan_transaction.c.transaction_type_enum.not_in(sorted(no_accruals))).subquery("exact")
    undone = row.c.is_reversed.is_(sa.true())
    return sa.select(
        row.c.loan_id,
        row.c.id.label("accrual_id"),
        sa.case((undone, None), else_=row.c.transaction_date).label("effective_on"),
        *(sa.case((undone, 0), else_=row.c[part]).label(part) for part in accruals.PARTS),
    )


def _journal_lines(t: StoredTables) -> sa.Select:
    """All journal lines. Lines without a loan have no loan_id."""
    line = t.acc_gl_journal_entry
    is_debit, amount = line.c.type_enum == DEBIT, line.c.amount
    return sa.select(
        sa.case((_of_loan(line), line.c.entity_id), else_=None).label("loan_id"),
        line.c.entry_date,
        sa.case((is_debit, amount), else_=0).label("debit"),
        sa.case((is_debit, 0), else_=amount).label("credit"),
    )


_ROWS: dict[str, Callable[[StoredTables], sa.Select]] = {
    "installments": _installments,
    "transactions": _transactions,
    "accruals": _accruals,
    "fees": fees,
    "journal_lines": _journal_lines,
}

_OF_EVERY_LOAN = ("installments", "transactions", "accruals")
"""The tables whose SELECTs here have the rows of all loans in m_loan, also of loans that were not lent."""


def loan_totals(t: StoredTables, table: Table) -> sa.Select | None:
    """The SELECT for the totals of a table by loan. None for a table that is always read completely."""
    if table.name not in _ROWS:
        return None
    of = sa.select(t.m_loan.c.id).where(lent(t.m_loan)) if table.name in _OF_EVERY_LOAN else None
    return select_loan_totals(table, _ROWS[table.name](t), of)


class SomeTables(StoredTables):
    """Fineract's tables with only the rows of some loans, so that each SELECT of a servicing table reads only these.

    For journal_lines, only the table of the journal is limited, because its lines can refer to rows outside the parts.
    With `entries`, it has all lines of the entries that have a line of the parts, else only the lines of the parts.
    """

    def __init__(self, of: StoredTables, table: Table, parts: Parts, entries: bool = True):
        self.layout, self.names = of.layout, of.names
        self._of, self._parts, self._entries = of, parts, entries
        self._of_journal = table == SERVICING["journal_lines"]
        self._known = {}

    def _table(self, name: str) -> sa.FromClause:
        stored = getattr(self._of, name)
        if self._of_journal:
            where = self._lines(stored) if name == JOURNAL else None
        elif name == "m_loan":
            where = stored.c.id.in_(self._loans)
        else:
            where = stored.c.loan_id.in_(self._loans) if "loan_id" in stored.c else None
        return stored if where is None else sa.select(*stored.c).where(where).subquery(name)

    @property
    def _loans(self) -> list[int]:
        return [int(loan_id) for loan_id in self._parts.loans]

    def _lines(self, line: sa.FromClause) -> sa.ColumnElement[bool]:
        if not self._entries:
            return self._of_parts(line)
        other = line.alias("lines_of_parts")
        entries = sa.select(other.c.transaction_id).where(self._of_parts(other))
        return Among(line.c.transaction_id, entries.scalar_subquery())

    def _of_parts(self, line: sa.FromClause) -> sa.ColumnElement[bool]:
        of_loan, parts = _of_loan(line), []
        if self._parts.loans:
            parts.append(of_loan & line.c.entity_id.in_(self._loans))
        if self._parts.days:
            parts.append(of_loan.is_not(sa.true()) & line.c.entry_date.in_(self._parts.days))
        return sa.or_(*parts)


def _of_loan(line: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a journal line belongs to a loan."""
    return (line.c.entity_type_enum == LOAN) & line.c.entity_id.is_not(None)
