"""The SELECT for accruals: the interest and penalties that Frappe accrued, and reversals of cancelled accruals."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import CANCELLED, DRAFT, PENAL_INTEREST
from lending_pipelines.sources.history import UNDONE
from lending_pipelines.sources.rounding import cents, or_zero
from lending_pipelines.sources.stored import StoredTables

_PARTS = ("interest", "fees")


def accruals(t: StoredTables) -> sa.Select:
    """Every accrual in cents; penal interest is fees. A cancelled accrual has a reversal on the same date."""
    row = _in_cents(t).cte("accruals")
    accrued = sa.select(
        row.c.name.label("accrual_id"),
        row.c.loan.label("loan_id"),
        row.c.effective_on,
        row.c.creation.label("posted_at"),
        *(row.c[part] for part in _PARTS),
        sa.cast(sa.null(), sa.String(160)).label("reverses_id"),
    )
    reversals = sa.select(
        row.c.name + UNDONE,
        row.c.loan,
        row.c.effective_on,
        row.c.modified,
        *(row.c[part] for part in _PARTS),
        row.c.name,
    ).where(row.c.docstatus == CANCELLED)
    return sa.select(*accrued.union_all(reversals).subquery().c)


def _in_cents(t: StoredTables) -> sa.Select:
    """The accruals in cents. Those in force and cancelled ones are rounded separately, as in the table transactions."""
    row, loan = t.loan_interest_accrual, t.loan
    is_penal = row.c.interest_type == PENAL_INTEREST
    effective_on = sa.cast(sa.func.coalesce(row.c.accrual_date, row.c.posting_date), sa.Date)
    group, order = (row.c.loan, row.c.interest_type, row.c.docstatus), (effective_on, row.c.name)
    amount, nothing = cents(or_zero(row.c.interest_amount), group, order), sa.literal(0, sa.Numeric(18, 2))
    return (
        sa.select(
            row.c.name,
            row.c.loan,
            row.c.creation,
            row.c.modified,
            row.c.docstatus,
            effective_on.label("effective_on"),
            sa.case((is_penal, nothing), else_=amount).label("interest"),
            sa.case((is_penal, amount), else_=nothing).label("fees"),
        )
        .join_from(row, loan, loan.c.name == row.c.loan)
        .where(row.c.docstatus != DRAFT, loan.c.docstatus != DRAFT)
    )
