"""The SELECT for installments: the earlier plans (schedules) that Fineract kept, and the current plan.

Fineract changes a schedule in place and keeps an old version of it only at some events, in
m_loan_repayment_schedule_history, with two meanings: rows without a reschedule request are the plan *made at* a
disbursement, rows with one are the plan *replaced by* a reschedule. Both are in force from when they were created.
The current plan is the highest version. sources/history.py keeps the plans that a later sync finds changed.
"""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import (
    APPROVED,
    CHARGEBACK,
    CREDIT_BALANCE_REFUND,
    PAYMENTS,
    SCHEDULE_CHANGES,
    lent,
)
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.rounding import cents, or_zero
from lending_pipelines.sources.stored import StoredTables


def installments(t: StoredTables) -> sa.Select:
    """Every version of every schedule, in cents.

    Fineract adds the amount of a chargeback to the installment in whose period the chargeback falls. In the table
    transactions, a chargeback is a refund, after which the oldest installments would be due again. So the same amount
    is subtracted from the oldest installments.
    """
    rows = _current(t).union_all(_kept(t)).subquery("plans")
    group, order = (rows.c.loan_id, rows.c.version), (rows.c.number,)
    # Nothing is known of a schedule before its first version, so the first version is in force from disbursement on.
    is_first = rows.c.version == sa.func.min(rows.c.version).over(partition_by=rows.c.loan_id)
    begins_on = sa.func.least(rows.c.effective_on, rows.c.disbursed_on, rows.c.created_on, type_=sa.Date)
    return sa.select(
        text(rows.c.loan_id).label("loan_id"),
        rows.c.version,
        rows.c.number,
        rows.c.due_on,
        _scheduled(rows.c.principal, rows.c.principal_returned, group, order).label("principal"),
        _scheduled(rows.c.interest, rows.c.interest_returned, group, order).label("interest"),
        _scheduled(rows.c.fees, rows.c.fees_returned, group, order).label("fees"),
        sa.case((is_first, begins_on), else_=rows.c.effective_on).label("effective_on"),
        sa.case((is_first, rows.c.created_at), else_=rows.c.posted_at).label("posted_at"),
    )


def _scheduled(amount: sa.ColumnElement, returned: sa.ColumnElement, group: tuple, order: tuple) -> sa.ColumnElement:
    """The scheduled amounts in cents, after `returned` is subtracted from the oldest installments."""
    return cents(amount, group, order, lambda total: sa.func.greatest(total - returned, 0, type_=amount.type))


def _current(t: StoredTables) -> sa.Select:
    """The current plan. It is in force from the last event that changed it."""
    row, loan = t.m_loan_repayment_schedule, t.m_loan
    kept, changed, returned = _last_kept(t), _last_change(t), _returned(t)
    created_at = sa.func.min(row.c.created_on_utc).over(partition_by=row.c.loan_id)
    created_on = sa.cast(created_at, sa.Date)
    return (
        sa.select(
            row.c.loan_id,
            (sa.func.coalesce(kept.c.version, 0) + 1).label("version"),
            row.c.installment.label("number"),
            row.c.duedate.label("due_on"),
            or_zero(row.c.principal_amount).label("principal"),
            or_zero(row.c.interest_amount).label("interest"),
            (or_zero(row.c.fee_charges_amount) + or_zero(row.c.penalty_charges_amount)).label("fees"),
            or_zero(returned.c.principal).label("principal_returned"),
            or_zero(returned.c.interest).label("interest_returned"),
            or_zero(returned.c.fees).label("fees_returned"),
            created_at.label("created_at"),
            created_on.label("created_on"),
            sa.func.coalesce(loan.c.disbursedon_date, created_on).label("disbursed_on"),
            sa.func.coalesce(changed.c.changed_on, sa.cast(kept.c.created_at, sa.Date), created_on).label(
                "effective_on"
            ),
            sa.func.coalesce(changed.c.changed_at, kept.c.created_at, created_at).label("posted_at"),
        )
        .select_from(
            row.join(loan, loan.c.id == row.c.loan_id)
            .outerjoin(kept, kept.c.loan_id == row.c.loan_id)
            .outerjoin(changed, changed.c.loan_id == row.c.loan_id)
            .outerjoin(returned, returned.c.loan_id == row.c.loan_id)
        )
        .where(lent(loan))
    )


def _kept(t: StoredTables) -> sa.Select:
    """The earlier plans that Fineract kept, each in force from the day on which it was created."""
    row, loan = t.m_loan_repayment_schedule_history, t.m_loan
    created_at = sa.func.min(row.c.created_on_utc).over(partition_by=(row.c.loan_id, row.c.version))
    created_on = sa.cast(created_at, sa.Date)
    return (
        sa.select(
            row.c.loan_id,
            row.c.version,
            row.c.installment,
            row.c.duedate,
            or_zero(row.c.principal_amount),
            or_zero(row.c.interest_amount),
            or_zero(row.c.fee_charges_amount) + or_zero(row.c.penalty_charges_amount),
            or_zero(sa.null()),
            or_zero(sa.null()),
            or_zero(sa.null()),
            created_at,
            created_on,
            sa.func.coalesce(loan.c.disbursedon_date, created_on),
            created_on,
            created_at,
        )
        .join_from(row, loan, loan.c.id == row.c.loan_id)
        .where(lent(loan))
    )


def _last_kept(t: StoredTables) -> sa.Subquery:
    """The highest version that Fineract kept of each loan's plan, and the latest time at which one was created."""
    row = t.m_loan_repayment_schedule_history
    return (
        sa.select(
            row.c.loan_id,
            sa.func.max(row.c.version).label("version"),
            sa.func.max(row.c.created_on_utc).label("created_at"),
        )
        .group_by(row.c.loan_id)
        .subquery("last_kept")
    )


def _last_change(t: StoredTables) -> sa.Subquery:
    """The last day of an event that changed the schedule of each loan in place, and when the last one was recorded."""
    row, request = t.m_loan_transaction, t.m_loan_reschedule_request
    by_transaction = sa.select(
        row.c.loan_id, row.c.transaction_date.label("changed_on"), row.c.created_on_utc.label("changed_at")
    ).where(row.c.transaction_type_enum.in_(SCHEDULE_CHANGES), row.c.is_reversed.is_not(sa.true()))
    by_request = sa.select(
        request.c.loan_id, request.c.approved_on_date, sa.cast(request.c.approved_on_date, row.c.created_on_utc.type)
    ).where(request.c.status_enum == APPROVED)
    change = by_transaction.union_all(by_request).subquery("changes")
    return (
        sa.select(
            change.c.loan_id,
            sa.func.max(change.c.changed_on).label("changed_on"),
            sa.func.max(change.c.changed_at).label("changed_at"),
        )
        .group_by(change.c.loan_id)
        .subquery("last_change")
    )


def _returned(t: StoredTables) -> sa.Subquery:
    """What chargebacks and refunds of a credit balance added to the schedule of a loan: principal, interest and fees.

    Fineract may book interest that a chargeback takes back as principal. The amount above the principal paid is then
    counted as interest, so that it is subtracted from the interest that was paid.
    """
    row = t.m_loan_transaction
    code = row.c.transaction_type_enum
    back = code.in_((CHARGEBACK, CREDIT_BALANCE_REFUND))
    fees = or_zero(row.c.fee_charges_portion_derived) + or_zero(row.c.penalty_charges_portion_derived)
    sums = (
        sa.select(
            row.c.loan_id,
            _sum(row.c.principal_portion_derived, back).label("principal"),
            _sum(row.c.interest_portion_derived, back).label("interest"),
            _sum(fees, back).label("fees"),
            _sum(row.c.principal_portion_derived, ~back).label("paid"),
        )
        .where(
            code.in_([CHARGEBACK, CREDIT_BALANCE_REFUND, *PAYMENTS]),
            row.c.is_reversed.is_not(sa.true()),
        )
        .group_by(row.c.loan_id)
        .subquery("returned_sums")
    )
    principal = sa.func.least(sums.c.principal, sums.c.paid, type_=sums.c.principal.type)
    return sa.select(
        sums.c.loan_id,
        principal.label("principal"),
        (sums.c.interest + sums.c.principal - principal).label("interest"),
        sums.c.fees,
    ).subquery("returned")


def _sum(amount: sa.ColumnElement, where: sa.ColumnElement[bool]) -> sa.ColumnElement:
    return sa.func.sum(sa.case((where, or_zero(amount)), else_=or_zero(sa.null())))
