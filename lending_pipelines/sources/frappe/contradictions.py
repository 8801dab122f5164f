"""Contradictions in a Frappe database. Amounts that differ by less than half a cent are equal."""

import sqlalchemy as sa

from lending_pipelines.sources.contradictions import Contradiction
from lending_pipelines.sources.frappe import codes
from lending_pipelines.sources.frappe.loans import restructures
from lending_pipelines.sources.frappe.schedules import in_force
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables

_HALF_A_CENT = sa.literal(0.005, sa.Numeric(19, 6))


def _sums(name: str, row: sa.FromClause, loan: str, column: str) -> sa.Subquery:
    """The sum of a column of submitted documents per loan."""
    return (
        sa.select(row.c[loan].label("loan"), sa.func.sum(or_zero(row.c[column])).label("amount"))
        .where(row.c.docstatus == codes.SUBMITTED)
        .group_by(row.c[loan])
        .subquery(name)
    )


def _submitted(t: StoredTables) -> sa.ColumnElement[bool]:
    return t.loan.c.docstatus == codes.SUBMITTED


def _other_disbursed(t: StoredTables) -> sa.Select:
    loan = t.loan
    lent = _sums("lent", t.loan_disbursement, "against_loan", "disbursed_amount")
    return (
        sa.select(loan.c.name)
        .select_from(loan.outerjoin(lent, lent.c.loan == loan.c.name))
        .where(_submitted(t), sa.func.abs(or_zero(loan.c.disbursed_amount) - or_zero(lent.c.amount)) >= _HALF_A_CENT)
    )


def _other_principal_paid(t: StoredTables) -> sa.Select:
    """Loans whose total_principal_paid differs from their repayments.

    Restructured loans are left out, because a restructure sets the total to 0.
    """
    loan, restructure = t.loan, t.loan_restructure
    of_restructure = sa.select(restructure.c.loan).where(restructures(restructure))
    paid = _sums("paid", t.loan_repayment, "against_loan", "principal_amount_paid")
    return (
        sa.select(loan.c.name)
        .select_from(loan.outerjoin(paid, paid.c.loan == loan.c.name))
        .where(
            _submitted(t),
            loan.c.name.not_in(of_restructure),
            sa.func.abs(or_zero(loan.c.total_principal_paid) - or_zero(paid.c.amount)) >= _HALF_A_CENT,
        )
    )


def _written_off_without_document(t: StoredTables) -> sa.Select:
    row = t.loan_write_off
    return _loans_without(t, row, row.c.docstatus == codes.SUBMITTED).where(t.loan.c.status == codes.WRITTEN_OFF)


def _without_schedule(t: StoredTables) -> sa.Select:
    loan, row = t.loan, t.loan_repayment_schedule
    return _loans_without(t, row, in_force(row)).where(loan.c.is_term_loan == 1, or_zero(loan.c.disbursed_amount) > 0)


def _loans_without(t: StoredTables, row: sa.FromClause, counts: sa.ColumnElement[bool]) -> sa.Select:
    """Submitted loans that have no document for which `counts` is true.

    The SELECT uses a join, because MariaDB compares each loan with every document for NOT EXISTS.
    """
    loan = t.loan
    having = sa.select(row.c.loan).where(counts).group_by(row.c.loan).subquery("having_documents")
    joined = loan.outerjoin(having, having.c.loan == loan.c.name)
    return sa.select(loan.c.name).select_from(joined).where(_submitted(t), having.c.loan.is_(None))


def _sum_of_portions(row: sa.FromClause) -> sa.ColumnElement:
    """The sum of a repayment's portions and its excess."""
    columns = ("principal_amount_paid", "total_interest_paid", "total_penalty_paid", "total_charges_paid")
    total = or_zero(row.c.excess_amount)
    for column in columns:
        total = total + or_zero(row.c[column])
    return total


def _not_the_sum(t: StoredTables) -> sa.Select:
    row = t.loan_repayment
    return sa.select(row.c.name).where(
        row.c.docstatus != codes.DRAFT,
        row.c.repayment_type.in_(list(codes.MONEY)),
        sa.func.abs(or_zero(row.c.amount_paid) - _sum_of_portions(row)) >= _HALF_A_CENT,
    )


def _without_amount(t: StoredTables) -> sa.Select:
    row = t.loan_write_off
    return sa.select(row.c.name).where(
        row.c.docstatus != codes.DRAFT,
        or_zero(row.c.write_off_amount) == 0,
        sa.func.coalesce(row.c.is_settlement_write_off, 0) == 0,
    )


def _not_in_cents(t: StoredTables) -> sa.Select:
    row = t.loan_repayment
    columns = ("amount_paid", "principal_amount_paid", "total_interest_paid", "total_penalty_paid")
    return sa.select(row.c.name).where(
        row.c.docstatus != codes.DRAFT, sa.or_(*(row.c[name] != sa.func.round(row.c[name], 2) for name in columns))
    )


def _other_principal_scheduled(t: StoredTables) -> sa.Select:
    """Active schedules, not of a restructure, whose installments do not add up to current_principal_amount."""
    schedule, row = t.loan_repayment_schedule, t.repayment_schedule
    return (
        sa.select(schedule.c.name)
        .join_from(schedule, row, row.c.parent == schedule.c.name)
        .where(
            schedule.c.docstatus == codes.SUBMITTED,
            schedule.c.status == "Active",
            sa.func.coalesce(schedule.c.loan_restructure, "") == "",
            schedule.c.current_principal_amount > 0,
        )
        .group_by(schedule.c.name)
        .having(
            sa.func.abs(sa.func.sum(or_zero(row.c.principal_amount)) - sa.func.min(schedule.c.current_principal_amount))
            >= _HALF_A_CENT
        )
    )


CONTRADICTIONS = (
    Contradiction("loans", "have a disbursed amount that differs from their disbursements", _other_disbursed),
    Contradiction("loans", "are Written Off without a submitted Loan Write Off", _written_off_without_document),
    Contradiction(
        "transactions", "have a total principal paid that differs from their repayments", _other_principal_paid
    ),
    Contradiction(
        "transactions",
        "have an amount paid that is not the sum of principal, interest, penalty, charges and excess; the difference "
        "counts as principal, in waivers as what they waive",
        _not_the_sum,
        "repayments",
    ),
    Contradiction("transactions", "have no amount and count as the total amount owed", _without_amount, "write-offs"),
    Contradiction(
        "transactions",
        "have more than two decimals; rounding keeps the total of each loan",
        _not_in_cents,
        "repayments",
    ),
    Contradiction(
        "installments",
        "are disbursed term loans without a schedule in force, so they are never past due",
        _without_schedule,
    ),
    Contradiction(
        "installments",
        "have installments whose principal differs from current_principal_amount",
        _other_principal_scheduled,
        "schedules",
    ),
)
"""The kinds of contradictions that each sync reports."""
