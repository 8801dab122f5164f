"""The rates of loans with a floating rate, computed as Fineract does when it makes a schedule.

A product can be linked to a floating rate, which has periods with a rate from a day on. The rate of a loan is that of
the period + the differential of the product + the differential of the loan. The rate of a relative period is added to
the base lending rate on the first day of the period. A later change of the base lending rate counts from the next
period on. Fineract stores neither the rate nor its changes with the loan.
"""

import sqlalchemy as sa

from lending_pipelines.sources.finding import SHOWN, Finding, example
from lending_pipelines.sources.fineract.clock import business_date_of
from lending_pipelines.sources.fineract.codes import lent
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables

TABLES = ("m_floating_rates", "m_floating_rates_periods", "m_product_loan_floating_rates")


def initial_rates(t: StoredTables) -> sa.Select:
    """The yearly rate in percent at disbursement, per loan of a linked product; NULL without a base lending rate."""
    row = _periods_of_loans(t).subquery("periods_of_loans")
    return sa.select(row.c.loan_id, row.c.percent).where(row.c.from_date == row.c.first_on)


def rate_changes(t: StoredTables) -> sa.Select:
    """The later periods of loans whose rate floats: loan_id, period_id, from_date, before, percent and recorded_at.

    A period counts once it has begun, and if the loan is not closed before it.
    """
    row = _periods_of_loans(t).subquery("periods_of_loans")
    return sa.select(
        row.c.loan_id, row.c.period_id, row.c.from_date, row.c.before, row.c.percent, row.c.recorded_at
    ).where(
        row.c.floats.is_(sa.true()),
        row.c.from_date > row.c.first_on,
        row.c.from_date <= business_date_of(t),
        row.c.from_date <= sa.func.coalesce(row.c.closed_on, row.c.from_date),
    )


def loans_without_rate(connection: sa.Connection, t: StoredTables) -> list[Finding]:
    """A finding with the loans of linked products for which Fineract's tables give no rate."""
    loan, product, rate = t.m_loan, t.m_product_loan, initial_rates(t).subquery("rates")
    ids = (
        sa.select(loan.c.id)
        .select_from(loan.join(product, product.c.id == loan.c.product_id).outerjoin(rate, rate.c.loan_id == loan.c.id))
        .where(lent(loan), product.c.is_linked_to_floating_interest_rates.is_(sa.true()), rate.c.percent.is_(None))
        .subquery("without_rate")
    )
    number = connection.scalar(sa.select(sa.func.count()).select_from(ids))
    if not number:
        return []
    first = connection.scalars(sa.select(ids.c.id).order_by(ids.c.id).limit(SHOWN))
    absent = [name for name in TABLES if name not in t.names]
    problem = (
        f"have a floating rate, and the database has no {', '.join(absent)}: provide the tables, and let the user read "
        "them"
        if absent
        else "have a floating rate without an active period, or with a period that is relative to a base lending rate "
        "that did not exist: add the period or the base lending rate in Fineract"
    )
    return [Finding("annual_rate", problem, number, tuple(example({"loan_id": loan_id}) for loan_id in first))]


def _periods_of_loans(t: StoredTables) -> sa.Select:
    """Each loan of a linked product with each period of its rate.

    `first_on` is the first day of the period in force at disbursement: the last period begun by then, else the first
    one. `percent` is the yearly rate, `before` that of the previous period.
    """
    loan, period = t.m_loan, _periods(t)
    lent_on = sa.func.coalesce(loan.c.disbursedon_date, loan.c.expected_disbursedon_date, loan.c.submittedon_date)
    percent = period.c.percent + or_zero(loan.c.interest_rate_differential)
    begun = sa.case((period.c.from_date <= lent_on, period.c.from_date), else_=None)
    return (
        sa.select(
            loan.c.id.label("loan_id"),
            loan.c.is_floating_interest_rate.label("floats"),
            loan.c.closedon_date.label("closed_on"),
            period.c.period_id,
            period.c.from_date,
            percent.label("percent"),
            sa.func.lag(percent).over(partition_by=loan.c.id, order_by=period.c.from_date).label("before"),
            sa.func.coalesce(
                sa.func.max(begun).over(partition_by=loan.c.id),
                sa.func.min(period.c.from_date).over(partition_by=loan.c.id),
            ).label("first_on"),
            sa.func.greatest(period.c.recorded_at, loan.c.created_on_utc).label("recorded_at"),
        )
        .join_from(loan, period, period.c.product_id == loan.c.product_id)
        .where(lent(loan))
    )


def _periods(t: StoredTables) -> sa.Subquery:
    """The active periods of each linked product's rate. Of periods that begin on one day, the highest id counts."""
    product, link, period = t.m_product_loan, t.m_product_loan_floating_rates, t.m_floating_rates_periods
    from_date = sa.cast(period.c.from_date, sa.Date)
    last_of_day = (
        sa.select(sa.func.max(period.c.id))
        .where(period.c.is_active.is_(sa.true()))
        .group_by(period.c.floating_rates_id, from_date)
    )
    base = sa.case(
        (period.c.is_differential_to_base_lending_rate.is_(sa.true()), _base_rate(t, from_date)),
        else_=or_zero(sa.null()),
    )
    return (
        sa.select(
            product.c.id.label("product_id"),
            period.c.id.label("period_id"),
            from_date.label("from_date"),
            (period.c.interest_rate + or_zero(link.c.interest_rate_differential) + base).label("percent"),
            sa.func.coalesce(
                period.c.created_on_utc, period.c.created_date, sa.cast(period.c.from_date, sa.DateTime)
            ).label("recorded_at"),
        )
        .select_from(
            product.join(link, link.c.loan_product_id == product.c.id).join(
                period, period.c.floating_rates_id == link.c.floating_rates_id
            )
        )
        .where(product.c.is_linked_to_floating_interest_rates.is_(sa.true()), period.c.id.in_(last_of_day))
        .subquery("periods")
    )


def _base_rate(t: StoredTables, on: sa.ColumnElement) -> sa.ScalarSelect:
    """The base lending rate on a day."""
    rate, period = t.m_floating_rates.alias("base_rate"), t.m_floating_rates_periods.alias("base_period")
    return (
        sa.select(period.c.interest_rate)
        .join_from(rate, period, period.c.floating_rates_id == rate.c.id)
        .where(
            rate.c.is_base_lending_rate.is_(sa.true()),
            rate.c.is_active.is_(sa.true()),
            period.c.is_active.is_(sa.true()),
            sa.cast(period.c.from_date, sa.Date) <= on,
        )
        .order_by(period.c.from_date.desc(), period.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
