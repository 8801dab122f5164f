"""The SELECT for fees: the charges of loans, with the amounts waived and paid."""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import FEE_TYPES, PAYMENTS, WAIVE_CHARGES, lent, named
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables


def fees(t: StoredTables) -> sa.Select:
    """Active charges. A penalty is a late fee.

    Fineract links charges to the transactions that paid or waived them, and also to accruals, which pay nothing. Where
    a link is missing, the day is that of the last change of the charge.
    """
    charge, loan = t.m_loan_charge, t.m_loan
    settled = _last_dates(t)
    amounts = {
        "amount": charge.c.amount,
        "waived_amount": or_zero(charge.c.amount_waived_derived),
        "paid_amount": or_zero(charge.c.amount_paid_derived),
    }
    money = {name: sa.cast(sa.func.round(amount, 2), sa.Numeric(18, 2)).label(name) for name, amount in amounts.items()}
    changed_on = sa.cast(charge.c.last_modified_on_utc, sa.Date)
    waived_on = sa.func.coalesce(settled.c.waived_on, changed_on)
    return (
        sa.select(
            text(charge.c.id).label("fee_id"),
            text(charge.c.loan_id).label("loan_id"),
            sa.case(
                (charge.c.is_penalty.is_(sa.true()), "late"),
                else_=named(charge.c.charge_time_enum, FEE_TYPES, "other"),
            ).label("fee_type"),
            money["amount"],
            sa.func.coalesce(charge.c.submitted_on_date, sa.cast(charge.c.created_on_utc, sa.Date)).label(
                "assessed_on"
            ),
            money["waived_amount"],
            sa.case((amounts["waived_amount"] > 0, waived_on), else_=None).label("waived_on"),
            money["paid_amount"],
            sa.case((amounts["paid_amount"] > 0, sa.func.coalesce(settled.c.paid_on, changed_on)), else_=None).label(
                "paid_on"
            ),
            charge.c.created_on_utc.label("posted_at"),
        )
        .select_from(
            charge.join(loan, loan.c.id == charge.c.loan_id).outerjoin(settled, settled.c.loan_charge_id == charge.c.id)
        )
        .where(lent(loan), charge.c.is_active.is_(sa.true()))
    )


def _last_dates(t: StoredTables) -> sa.Subquery:
    """The days of the last payment and the last waiver in force that a charge is linked to."""
    link, row = t.m_loan_charge_paid_by, t.m_loan_transaction
    waives = row.c.transaction_type_enum == WAIVE_CHARGES
    last_on = {"paid_on": ~waives, "waived_on": waives}
    return (
        sa.select(
            link.c.loan_charge_id,
            *(
                sa.func.max(sa.case((which, row.c.transaction_date), else_=None)).label(name)
                for name, which in last_on.items()
            ),
        )
        .join_from(link, row, row.c.id == link.c.loan_transaction_id)
        .where(row.c.transaction_type_enum.in_((*PAYMENTS, WAIVE_CHARGES)), row.c.is_reversed.is_not(sa.true()))
        .group_by(link.c.loan_charge_id)
        .subquery("settled")
    )
