"""The SELECT for modifications: the restructures that gave a loan new terms."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.loans import restructures
from lending_pipelines.sources.frappe.organisation import text
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables


def modifications(t: StoredTables) -> sa.Select:
    """Approved restructures, with the terms before and after.

    The type is that of the first term that changed: a lower rate, a larger principal, a moratorium, a longer term. A
    restructure that changes none of them spreads what is past due, so it is a reage. Prepayments change no terms.
    """
    row, loan = t.loan_restructure, t.loan
    kind = sa.case(
        (or_zero(row.c.new_rate_of_interest) < or_zero(row.c.old_rate_of_interest), text("rate_reduction")),
        (or_zero(row.c.new_loan_amount) > or_zero(row.c.pending_principal_amount), text("capitalization")),
        (row.c.moratorium_end_date.is_not(None), text("deferral")),
        (row.c.new_repayment_period_in_months > row.c.old_tenure, text("term_extension")),
        else_=text("reage"),
    )
    return (
        sa.select(
            row.c.name.label("modification_id"),
            row.c.loan.label("loan_id"),
            kind.label("type"),
            sa.cast(row.c.restructure_date, sa.Date).label("effective_on"),
            _rate(row.c.old_rate_of_interest).label("before_rate"),
            _rate(row.c.new_rate_of_interest).label("after_rate"),
            row.c.old_tenure.label("before_term"),
            row.c.new_repayment_period_in_months.label("after_term"),
            _amount(row.c.old_emi).label("before_payment"),
            _amount(row.c.new_monthly_repayment_amount).label("after_payment"),
            _amount(row.c.pending_principal_amount).label("before_principal"),
            _amount(row.c.new_loan_amount).label("after_principal"),
            row.c.creation.label("posted_at"),
        )
        .join_from(row, loan, loan.c.name == row.c.loan)
        .where(restructures(row))
    )


def _rate(percent: sa.ColumnElement) -> sa.ColumnElement:
    return sa.cast(percent / sa.literal(100, sa.Numeric), sa.Numeric(12, 8))


def _amount(amount: sa.ColumnElement) -> sa.ColumnElement:
    return sa.cast(sa.func.round(amount, 2), sa.Numeric(18, 2))
