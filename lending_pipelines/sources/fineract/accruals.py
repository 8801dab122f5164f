"""The SELECT for accruals: the interest and fees that Fineract recognised as income, and reversals of undone accruals.

Accrual activities repeat the accruals of an installment, and amortizations belong to deferred income. Neither is an
accrual.
"""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import ACCRUAL, ACCRUAL_ADJUSTMENT, lent
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.fineract.transactions import replayed, undone_on
from lending_pipelines.sources.history import UNDONE
from lending_pipelines.sources.rounding import cents, or_zero
from lending_pipelines.sources.stored import StoredTables

PARTS = ("interest", "fees")
"""The amounts of an accrual."""


def accruals(t: StoredTables) -> sa.Select:
    """Every accrual and accrual adjustment in cents; an adjustment is negative. A row that is undone has a reversal."""
    row = _in_cents(t).cte("accruals")
    accrued = sa.select(
        text(row.c.id).label("accrual_id"),
        text(row.c.loan_id).label("loan_id"),
        row.c.transaction_date.label("effective_on"),
        row.c.created_on_utc.label("posted_at"),
        *(row.c[part] for part in PARTS),
        sa.cast(sa.null(), sa.String(20)).label("reverses_id"),
    )
    reversals = sa.select(
        text(row.c.id) + UNDONE,
        text(row.c.loan_id),
        undone_on(row),
        row.c.last_modified_on_utc,
        *(row.c[part] for part in PARTS),
        text(row.c.id),
    ).where(row.c.is_reversed.is_(sa.true()))
    return sa.select(*accrued.union_all(reversals).subquery().c)


def _in_cents(t: StoredTables) -> sa.Select:
    """The rows in cents. Rows in force and undone rows are rounded separately, as in the table transactions."""
    is_accrual = t.m_loan_transaction.c.transaction_type_enum.in_((ACCRUAL, ACCRUAL_ADJUSTMENT))
    exact, loan = recognised(t, is_accrual).subquery("exact"), t.m_loan
    group, order = (exact.c.loan_id, exact.c.is_reversed), (exact.c.transaction_date, exact.c.id)
    kept = [column for column in exact.c if column.name not in PARTS]
    return (
        sa.select(*kept, *(cents(exact.c[part], group, order).label(part) for part in PARTS))
        .join_from(exact, loan, loan.c.id == exact.c.loan_id)
        .where(lent(loan))
    )


def recognised(t: StoredTables, where: sa.ColumnElement[bool]) -> sa.Select:
    """The rows of m_loan_transaction that meet a condition, with exact interest and fees."""
    stored = t.m_loan_transaction
    sign = sa.case((stored.c.transaction_type_enum == ACCRUAL_ADJUSTMENT, -1), else_=1)
    return sa.select(
        stored.c.id,
        stored.c.loan_id,
        stored.c.transaction_date,
        stored.c.created_on_utc,
        stored.c.last_modified_on_utc,
        stored.c.reversed_on_date,
        stored.c.is_reversed,
        replayed(t).label("replayed"),
        (sign * or_zero(stored.c.interest_portion_derived)).label("interest"),
        (
            sign * (or_zero(stored.c.fee_charges_portion_derived) + or_zero(stored.c.penalty_charges_portion_derived))
        ).label("fees"),
    ).where(where)
