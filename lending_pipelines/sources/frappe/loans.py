"""The SELECT for loans."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import (
    APPROVED,
    DAY_COUNTS,
    DRAFT,
    FREQUENCIES,
    NORMAL_RESTRUCTURE,
    SUBMITTED,
    named,
)
from lending_pipelines.sources.frappe.organisation import borrower, filled
from lending_pipelines.sources.frappe.schedules import last_due
from lending_pipelines.sources.stored import StoredTables


def lent(loan: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a row of Loan is a loan: submitted. A loan that is cancelled later stays a loan, without any money."""
    return loan.c.docstatus != DRAFT


def restructures(row: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a Loan Restructure gave the loan new terms. Restructures of prepayments only recompute the schedule."""
    return (row.c.docstatus == SUBMITTED) & (row.c.status == APPROVED) & (row.c.restructure_type == NORMAL_RESTRUCTURE)


def loans(t: StoredTables) -> sa.Select:
    """Submitted loans, with the terms at origination: Frappe overwrites them at a restructure."""
    loan, company = t.loan, t.company
    first, disbursed, due, branch = _first_terms(t), _disbursed(t), last_due(t), _branch(t)
    principal = sa.case((first.c.loan.is_not(None), loan.c.disbursed_amount), else_=loan.c.loan_amount)
    percent = sa.func.coalesce(first.c.old_rate_of_interest, loan.c.rate_of_interest)
    return (
        sa.select(
            loan.c.name.label("loan_id"),
            borrower(loan).label("borrower_id"),
            loan.c.loan_product.label("product_id"),
            sa.func.coalesce(branch.c.to_branch, filled(loan.c.branch), loan.c.company).label("branch_id"),
            sa.cast(sa.null(), sa.String(1)).label("officer_id"),
            company.c.default_currency.label("currency"),
            sa.cast(sa.func.round(principal, 2), sa.Numeric(18, 2)).label("principal"),
            sa.cast(percent / sa.literal(100, sa.Numeric), sa.Numeric(12, 8)).label("annual_rate"),
            named(company.c.interest_day_count_convention, DAY_COUNTS).label("day_count"),
            sa.func.coalesce(first.c.old_tenure, loan.c.repayment_periods, 0).label("term_count"),
            named(loan.c.repayment_frequency, FREQUENCIES).label("payment_frequency"),
            loan.c.posting_date.label("approved_on"),
            disbursed.c.disbursed_on,
            sa.func.coalesce(due.c.first_due_on, loan.c.repayment_start_date).label("first_due_on"),
            due.c.matures_on,
            sa.cast(sa.null(), sa.String(1)).label("purpose"),
            sa.cast(sa.null(), sa.Numeric(18, 2)).label("collateral_value"),
            sa.cast(sa.null(), sa.BigInteger).label("credit_score"),
            sa.cast(sa.null(), sa.String(1)).label("region"),
            loan.c.creation.label("posted_at"),
            loan.c.modified.label("updated_at"),
        )
        .select_from(
            loan.outerjoin(company, company.c.name == loan.c.company)
            .outerjoin(first, first.c.loan == loan.c.name)
            .outerjoin(disbursed, disbursed.c.loan == loan.c.name)
            .outerjoin(due, due.c.loan == loan.c.name)
            .outerjoin(branch, branch.c.loan == loan.c.name)
        )
        .where(lent(loan))
    )


def _first_terms(t: StoredTables) -> sa.Subquery:
    """The terms before the first restructure of each loan."""
    row = t.loan_restructure
    place = sa.func.row_number().over(partition_by=row.c.loan, order_by=(row.c.restructure_date, row.c.creation))
    ranked = (
        sa.select(row.c.loan, row.c.old_rate_of_interest, row.c.old_tenure, place.label("place"))
        .where(restructures(row))
        .subquery("restructures")
    )
    return (
        sa.select(ranked.c.loan, ranked.c.old_rate_of_interest, ranked.c.old_tenure)
        .where(ranked.c.place == 1)
        .subquery("first_terms")
    )


def _disbursed(t: StoredTables) -> sa.Subquery:
    """The day of each loan's first disbursement. Cancelled disbursements count only if all are cancelled."""
    row = t.loan_disbursement
    in_force = sa.case((row.c.docstatus == SUBMITTED, row.c.disbursement_date), else_=None)
    return (
        sa.select(
            row.c.against_loan.label("loan"),
            sa.func.coalesce(sa.func.min(in_force), sa.func.min(row.c.disbursement_date)).label("disbursed_on"),
        )
        .where(row.c.docstatus != DRAFT)
        .group_by(row.c.against_loan)
        .subquery("disbursed")
    )


def _branch(t: StoredTables) -> sa.Subquery:
    """The branch to which each loan was transferred last."""
    transfer, detail = t.loan_transfer, t.loan_transfer_detail
    order = (transfer.c.transfer_date.desc(), transfer.c.creation.desc())
    place = sa.func.row_number().over(partition_by=detail.c.loan, order_by=order)
    ranked = (
        sa.select(detail.c.loan, transfer.c.to_branch, place.label("place"))
        .join_from(detail, transfer, transfer.c.name == detail.c.parent)
        .where(transfer.c.docstatus == SUBMITTED)
        .subquery("transfers")
    )
    return (
        sa.select(ranked.c.loan, filled(ranked.c.to_branch).label("to_branch"))
        .where(ranked.c.place == 1)
        .subquery("last_transfer")
    )
