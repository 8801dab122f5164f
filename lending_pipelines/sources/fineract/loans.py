"""SELECTs for loans and the officers who managed them."""

from collections.abc import Mapping
from datetime import date

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import (
    DAY_COUNTS,
    FREQUENCIES,
    NEAREST_DAY_COUNTS,
    PERIODS_A_YEAR,
    lent,
)
from lending_pipelines.sources.fineract.floating import initial_rates
from lending_pipelines.sources.fineract.organisation import group_borrower, text
from lending_pipelines.sources.fineract.stored import NextDay
from lending_pipelines.sources.stored import StoredTables


def loans(t: StoredTables) -> sa.Select:
    """Approved loans. A loan of a group belongs to the group; a loan of a client in a group belongs to the client.

    A loan has no office in Fineract: its branch is the office of its borrower. first_due_on and matures_on come from
    the schedule, because Fineract fills its own columns only sometimes. Down payments are no installments.
    """
    loan, client, group, purpose, plan = t.m_loan, t.m_client, t.m_group, t.m_code_value, t.m_loan_repayment_schedule
    product, floating = t.m_product_loan, initial_rates(t).subquery("floating")
    installment = plan.c.is_down_payment.is_not(sa.true()) & plan.c.is_additional.is_not(sa.true())
    dates = (
        sa.select(
            plan.c.loan_id,
            sa.func.min(plan.c.duedate).label("first_due_on"),
            sa.func.max(plan.c.duedate).label("matures_on"),
        )
        .where(installment)
        .group_by(plan.c.loan_id)
        .cte("dates")
        # Otherwise each parallel worker of PostgreSQL computes the dates of all loans.
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return (
        sa.select(
            text(loan.c.id).label("loan_id"),
            sa.func.coalesce(text(loan.c.client_id), group_borrower(loan.c.group_id)).label("borrower_id"),
            text(loan.c.product_id).label("product_id"),
            text(sa.func.coalesce(client.c.office_id, group.c.office_id)).label("branch_id"),
            text(loan.c.loan_officer_id).label("officer_id"),
            loan.c.currency_code.label("currency"),
            sa.cast(sa.func.round(loan.c.approved_principal, 2), sa.Numeric(18, 2)).label("principal"),
            _annual_rate(loan, product, floating).label("annual_rate"),
            _day_count(loan).label("day_count"),
            loan.c.number_of_repayments.label("term_count"),
            _frequency(loan).label("payment_frequency"),
            sa.func.coalesce(loan.c.approvedon_date, loan.c.submittedon_date).label("approved_on"),
            loan.c.disbursedon_date.label("disbursed_on"),
            dates.c.first_due_on,
            sa.func.coalesce(dates.c.matures_on, loan.c.expected_maturedon_date).label("matures_on"),
            purpose.c.code_value.label("purpose"),
            sa.cast(sa.null(), sa.Numeric(18, 2)).label("collateral_value"),
            sa.cast(sa.null(), sa.BigInteger).label("credit_score"),
            sa.cast(sa.null(), sa.String(1)).label("region"),
            loan.c.created_on_utc.label("posted_at"),
            loan.c.last_modified_on_utc.label("updated_at"),
        )
        .select_from(
            loan.outerjoin(client, client.c.id == loan.c.client_id)
            .outerjoin(group, group.c.id == loan.c.group_id)
            .outerjoin(purpose, purpose.c.id == loan.c.loanpurpose_cv_id)
            .outerjoin(dates, dates.c.loan_id == loan.c.id)
            .outerjoin(product, product.c.id == loan.c.product_id)
            .outerjoin(floating, floating.c.loan_id == loan.c.id)
        )
        .where(lent(loan))
    )


def officer_assignments(t: StoredTables) -> sa.Select:
    """The officers of each loan, from Fineract's history. Of several assignments on one day, the last one counts."""
    row, loan = t.m_loan_officer_assignment_history, t.m_loan
    last_of_day = (
        sa.select(sa.func.max(row.c.id))
        .where(row.c.loan_officer_id.is_not(None))
        .group_by(row.c.loan_id, row.c.start_date)
    )
    return (
        sa.select(
            text(row.c.loan_id).label("loan_id"),
            row.c.start_date.label("assigned_on"),
            text(row.c.loan_officer_id).label("officer_id"),
            row.c.end_date.label("released_on"),
        )
        .join_from(row, loan, loan.c.id == row.c.loan_id)
        .where(lent(loan), row.c.id.in_(last_of_day))
    )


def delinquency_pauses(t: StoredTables) -> sa.Select:
    """Pauses of delinquency. A pause that is resumed early ends on the day of its RESUME action."""
    pause, resume, loan = t.m_loan_delinquency_action, t.m_loan_delinquency_action.alias("resume"), t.m_loan
    resumed_on = (
        sa.select(sa.func.min(resume.c.start_date))
        .where(
            resume.c.loan_id == pause.c.loan_id,
            resume.c.action == "RESUME",
            resume.c.start_date >= pause.c.start_date,
            resume.c.id > pause.c.id,
        )
        .scalar_subquery()
    )
    early = resumed_on < sa.func.coalesce(pause.c.end_date, date(9999, 12, 31))
    return (
        sa.select(
            text(pause.c.id).label("pause_id"),
            text(pause.c.loan_id).label("loan_id"),
            pause.c.start_date.label("starts_on"),
            sa.case((early, resumed_on), else_=pause.c.end_date).label("ends_on"),
            pause.c.created_on_utc.label("posted_at"),
        )
        .join_from(pause, loan, loan.c.id == pause.c.loan_id)
        .where(lent(loan), pause.c.action == "PAUSE")
    )


def loan_owners(t: StoredTables) -> sa.Select:
    """The external owners of loans, from the transfers that took effect.

    The price is purchase_price_ratio × everything outstanding at the transfer; NULL if Fineract did not record that.
    """
    transfer, owner, loan = t.m_external_asset_owner_transfer, t.m_external_asset_owner, t.m_loan
    details, ends_on = t.m_external_asset_owner_transfer_details, transfer.c.effective_date_to
    in_effect = transfer.c.status.in_(("ACTIVE", "ACTIVE_INTERMEDIATE")) & (ends_on >= transfer.c.effective_date_from)
    last_of_day = (
        sa.select(sa.func.max(transfer.c.id))
        .where(in_effect)
        .group_by(transfer.c.loan_id, transfer.c.effective_date_from)
    )
    price = sa.cast(transfer.c.purchase_price_ratio, sa.Numeric(19, 6)) * details.c.total_outstanding_derived
    return (
        sa.select(
            text(transfer.c.loan_id).label("loan_id"),
            transfer.c.effective_date_from.label("assigned_on"),
            owner.c.external_id.label("investor_id"),
            owner.c.external_id.label("investor_name"),
            sa.case((ends_on < date(9999, 12, 31), NextDay(ends_on)), else_=None).label("removed_on"),
            sa.cast(sa.func.round(price, 2), sa.Numeric(18, 2)).label("purchase_price"),
        )
        .select_from(
            transfer.join(loan, loan.c.id == transfer.c.loan_id)
            .join(owner, owner.c.id == transfer.c.owner_id)
            .outerjoin(details, details.c.asset_owner_transfer_id == transfer.c.id)
        )
        .where(lent(loan), transfer.c.id.in_(last_of_day))
    )


def _annual_rate(loan: sa.FromClause, product: sa.FromClause, floating: sa.FromClause) -> sa.ColumnElement:
    """The yearly rate as a fraction, from Fineract's yearly rate in percent, or else from its rate per period.

    If the product has a floating rate, it is the rate at disbursement.
    """
    periods = sa.case(
        *((loan.c.interest_period_frequency_enum == unit, number) for unit, number in PERIODS_A_YEAR.items())
    )
    own = sa.func.coalesce(loan.c.annual_nominal_interest_rate, loan.c.nominal_interest_rate_per_period * periods)
    percent = sa.case((product.c.is_linked_to_floating_interest_rates.is_(sa.true()), floating.c.percent), else_=own)
    return sa.cast(percent / sa.literal(100, sa.Numeric), sa.Numeric(12, 8))


def _day_count(loan: sa.FromClause) -> sa.ColumnElement[str]:
    return _by_pair(loan.c.days_in_month_enum, loan.c.days_in_year_enum, DAY_COUNTS | NEAREST_DAY_COUNTS)


def _frequency(loan: sa.FromClause) -> sa.ColumnElement[str]:
    other = sa.case((loan.c.number_of_repayments == 1, "bullet"), else_="irregular")
    return sa.func.coalesce(_by_pair(loan.c.repayment_period_frequency_enum, loan.c.repay_every, FREQUENCIES), other)


def _by_pair(
    first: sa.ColumnElement, second: sa.ColumnElement, names: Mapping[tuple[int, int], str]
) -> sa.ColumnElement[str]:
    """The name of a pair of codes; NULL for a pair without a name."""
    return sa.case(
        *(((first == a) & (second == b), sa.literal(name, sa.String)) for (a, b), name in names.items()), else_=None
    )
