"""Contradictions in a Fineract database. Amounts that differ by less than half a cent are equal."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from lending_pipelines.sources.contradictions import SHOWN, Contradiction, message
from lending_pipelines.sources.fineract import codes
from lending_pipelines.sources.fineract.clock import business_date
from lending_pipelines.sources.fineract.transactions import in_cents
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables

_HALF_A_CENT = sa.literal(0.005, sa.Numeric(19, 6))


def _sums(name: str, row: sa.FromClause, where: sa.ColumnElement[bool], *columns: str) -> sa.Subquery:
    """The sums of columns per loan."""
    totals = (sa.func.sum(or_zero(row.c[column])).label(column) for column in columns)
    return sa.select(row.c.loan_id, *totals).where(where).group_by(row.c.loan_id).subquery(name)


def _paid(t: StoredTables) -> sa.Subquery:
    """The amounts that payments settled, per loan. Fineract counts interest payment waivers as payments."""
    row = t.m_loan_transaction
    return _sums(
        "paid",
        row,
        row.c.transaction_type_enum.in_((*codes.PAYMENTS, codes.INTEREST_PAYMENT_WAIVER))
        & row.c.is_reversed.is_not(sa.true()),
        "principal_portion_derived",
        "fee_charges_portion_derived",
        "penalty_charges_portion_derived",
        "overpayment_portion_derived",
    )


def _plan(t: StoredTables) -> sa.Subquery:
    """The scheduled and the paid amounts of each loan's schedule."""
    columns = [column.name for column in t.m_loan_repayment_schedule.c if "_amount" in column.name]
    columns += [column.name for column in t.m_loan_repayment_schedule.c if "_completed_" in column.name]
    return _sums("plan", t.m_loan_repayment_schedule, sa.true(), *columns)


def _apart(one: sa.ColumnElement, other: sa.ColumnElement) -> sa.ColumnElement[bool]:
    """Whether two amounts differ by half a cent or more. NULL counts as 0."""
    return sa.func.abs(or_zero(one) - or_zero(other)) >= _HALF_A_CENT


def _of_loan(t: StoredTables, where: Callable[[sa.FromClause, sa.Subquery, sa.Subquery], sa.ColumnElement[bool]]):
    """The loans for which a condition holds between m_loan, its payments and its schedule."""
    loan, paid, plan = t.m_loan, _paid(t), _plan(t)
    return (
        sa.select(loan.c.id)
        .select_from(loan.outerjoin(paid, paid.c.loan_id == loan.c.id).outerjoin(plan, plan.c.loan_id == loan.c.id))
        .where(plan.c.loan_id.is_not(None), where(loan, paid, plan))
    )


def _comparison(
    problem: str,
    where: Callable[[sa.FromClause, sa.Subquery, sa.Subquery], sa.ColumnElement[bool]],
    table: str = "loans",
) -> Contradiction:
    return Contradiction(table, problem, lambda t: _of_loan(t, where))


def _active_without_debt(t: StoredTables) -> sa.Select:
    loan, row = t.m_loan, t.m_loan_repayment_schedule
    scheduled = sa.exists().where(row.c.loan_id == loan.c.id)
    unmet = scheduled.where(row.c.completed_derived.is_not(sa.true()))
    return sa.select(loan.c.id).where(
        loan.c.loan_status_id == codes.ACTIVE,
        or_zero(loan.c.total_outstanding_derived) < _HALF_A_CENT,
        scheduled,
        ~unmet,
    )


def _recovered_of_nothing(t: StoredTables) -> sa.Select:
    row, lost = t.m_loan_transaction, t.m_loan_transaction.alias("lost")
    loss = sa.exists().where(
        lost.c.loan_id == row.c.loan_id,
        lost.c.transaction_type_enum.in_((codes.CHARGE_OFF, codes.WRITE_OFF)),
        lost.c.is_reversed.is_not(sa.true()),
    )
    return sa.select(row.c.id).where(
        row.c.transaction_type_enum == codes.RECOVERY, row.c.is_reversed.is_not(sa.true()), ~loss
    )


def _more_repaid_than_lent(t: StoredTables) -> sa.Select:
    row = t.m_loan_transaction
    lent_types = (codes.DISBURSEMENT, codes.CAPITALIZED_INCOME, codes.CHARGEBACK, codes.CREDIT_BALANCE_REFUND)
    lent = _sums(
        "lent", row, row.c.transaction_type_enum.in_(lent_types) & row.c.is_reversed.is_not(sa.true()), "amount"
    )
    paid = _paid(t)
    return (
        sa.select(paid.c.loan_id)
        .join_from(paid, lent, lent.c.loan_id == paid.c.loan_id)
        .where(paid.c.principal_portion_derived - lent.c.amount >= _HALF_A_CENT)
    )


def _below_a_cent(row: sa.FromClause, *columns: str) -> sa.ColumnElement[bool]:
    return sa.or_(*(row.c[column] != sa.func.round(row.c[column], 2) for column in columns))


def _not_in_cents(t: StoredTables) -> sa.Select:
    row = t.m_loan_transaction
    portions = [column.name for column in row.c if column.name.endswith("_portion_derived")]
    return sa.select(row.c.id).where(_below_a_cent(row, "amount", *portions))


def _installments_not_in_cents(t: StoredTables) -> sa.Select:
    row = t.m_loan_repayment_schedule
    return sa.select(row.c.id).where(_below_a_cent(row, "principal_amount", "interest_amount"))


def _does_not_tie(t: StoredTables) -> sa.Select:
    row = in_cents(t).subquery("rounded")
    off = sa.or_(
        *(
            sa.func.abs(sa.func.sum(row.c[part]) - sa.func.sum(row.c[f"exact_{part}"])) > _HALF_A_CENT
            for part in ("principal", "interest", "fees")
        )
    )
    return (
        sa.select(row.c.loan_id).group_by(row.c.loan_id, row.c.servicing_type, row.c.is_reversed).having(off).distinct()
    )


def _not_by_months(t: StoredTables) -> sa.Select:
    loan, row = t.m_loan, t.m_loan_repayment_schedule
    day = sa.extract("day", row.c.duedate)
    return (
        sa.select(loan.c.id)
        .join_from(loan, row, row.c.loan_id == loan.c.id)
        .where(
            loan.c.repayment_period_frequency_enum == codes.MONTHS,
            row.c.is_down_payment.is_not(sa.true()),
            row.c.is_re_aged.is_not(sa.true()),
            row.c.is_additional.is_not(sa.true()),
        )
        .group_by(loan.c.id)
        # A due date that was moved once gives two days of the month, month ends give the 28th to the 31st.
        .having((sa.func.count(sa.distinct(day)) > 2) & (sa.func.min(day) < 28))
    )


def _recorded_at_once(t: StoredTables) -> sa.Select:
    row = t.m_loan_transaction
    at_once = (
        sa.select(sa.func.count(sa.distinct(row.c.created_on_utc)) == 1)
        .having(sa.func.count(sa.distinct(row.c.submitted_on_date)) > 1)
        .scalar_subquery()
    )
    return sa.select(row.c.id).where(at_once)


CONTRADICTIONS = (
    Contradiction(
        "loans", "are active although every installment is met and nothing is outstanding", _active_without_debt
    ),
    _comparison(
        "have interest in m_loan that differs from the schedule",
        lambda loan, paid, plan: _apart(loan.c.interest_charged_derived, plan.c.interest_amount),
    ),
    _comparison(
        "have fees in m_loan that differ from the schedule",
        lambda loan, paid, plan: _apart(loan.c.fee_charges_charged_derived, plan.c.fee_charges_amount),
    ),
    _comparison(
        "have penalties in m_loan that differ from the schedule",
        lambda loan, paid, plan: _apart(loan.c.penalty_charges_charged_derived, plan.c.penalty_charges_amount),
    ),
    Contradiction("loans", "are repaid monthly, but fall due on changing days of the month", _not_by_months),
    _comparison(
        "have principal repaid in m_loan that differs from the payments",
        lambda loan, paid, plan: _apart(loan.c.principal_repaid_derived, paid.c.principal_portion_derived),
        "transactions",
    ),
    _comparison(
        "have principal repaid in the schedule that differs from the payments",
        lambda loan, paid, plan: _apart(plan.c.principal_completed_derived, paid.c.principal_portion_derived),
        "transactions",
    ),
    _comparison(
        "have fees paid in the schedule that differ from the payments",
        lambda loan, paid, plan: _apart(plan.c.fee_charges_completed_derived, paid.c.fee_charges_portion_derived),
        "transactions",
    ),
    _comparison(
        "have penalties paid in the schedule that differ from the payments",
        lambda loan, paid, plan: _apart(
            plan.c.penalty_charges_completed_derived, paid.c.penalty_charges_portion_derived
        ),
        "transactions",
    ),
    Contradiction("transactions", "have more principal repaid than lent", _more_repaid_than_lent),
    Contradiction(
        "transactions",
        "are recoveries on loans that are neither charged off nor written off",
        _recovered_of_nothing,
        "rows",
    ),
    Contradiction(
        "transactions", "have more than two decimals; rounding keeps the total of each loan", _not_in_cents, "rows"
    ),
    Contradiction("transactions", "have a total that differs after rounding", _does_not_tie),
    Contradiction(
        "transactions",
        "were all stored at the same time, so posted_at is not when each became known",
        _recorded_at_once,
        "rows",
    ),
    _comparison(
        "have principal repaid in the schedule that differs from m_loan",
        lambda loan, paid, plan: _apart(plan.c.principal_completed_derived, loan.c.principal_repaid_derived),
        "installments",
    ),
    Contradiction(
        "installments",
        "have more than two decimals; rounding keeps the total of each schedule",
        _installments_not_in_cents,
        "rows",
    ),
)
"""The kinds of contradictions that each sync reports."""


def delinquency_tags(connection: sa.Connection, t: StoredTables) -> Iterator[str]:
    """Messages about loans whose delinquency tag contradicts their oldest unpaid installment on the business date."""
    tag, bounds, row = t.m_loan_delinquency_tag_history, t.m_delinquency_range, t.m_loan_repayment_schedule
    loan, product = t.m_loan, t.m_product_loan
    on = business_date(connection, t)
    if on is None:
        return
    oldest = (
        sa.select(row.c.loan_id, sa.func.min(row.c.duedate).label("due_on"))
        .where(row.c.completed_derived.is_not(sa.true()), row.c.duedate < on)
        .group_by(row.c.loan_id)
        .subquery("oldest")
    )
    grace = sa.func.coalesce(loan.c.grace_on_arrears_ageing, product.c.grace_on_arrears_ageing, 0)
    query = (
        sa.select(loan.c.id, oldest.c.due_on, grace, bounds.c.min_age_days, bounds.c.max_age_days)
        .select_from(
            tag.join(loan, loan.c.id == tag.c.loan_id)
            .join(bounds, bounds.c.id == tag.c.delinquency_range_id)
            .outerjoin(product, product.c.id == loan.c.product_id)
            .outerjoin(oldest, oldest.c.loan_id == loan.c.id)
        )
        .where(tag.c.liftedon_date.is_(None))
        .order_by(loan.c.id)
    )
    without, other = [], []
    for loan_id, due_on, days, least, most in connection.execute(query):
        if due_on is None:
            without.append(loan_id)
        elif not _within((on - due_on).days - days, least, most):
            other.append(loan_id)
    for problem, ids in (
        ("have a delinquency tag although nothing is past due", without),
        ("have a delinquency tag whose range does not include their days past due", other),
    ):
        if ids:
            yield message("loans", "loans", problem, len(ids), ids[:SHOWN])


def _within(days: int, least: int, most: int | None) -> bool:
    return days >= least and (most is None or days <= most)
