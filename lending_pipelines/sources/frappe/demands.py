"""The SELECT for fees: demands for charges and penalties, with the amounts waived and paid."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import DRAFT, FEES, MONEY, SUBMITTED, named
from lending_pipelines.sources.rounding import or_zero
from lending_pipelines.sources.stored import StoredTables


def fees(t: StoredTables) -> sa.Select:
    """Submitted demands for charges and penalties. A penalty is a late fee.

    Frappe links demands to the repayments that paid or waived them. Where a link is missing, the day is that of the
    last change of the demand.
    """
    demand, loan = t.loan_demand, t.loan
    paid, waived = _last_date(t, "paid", is_waiver=False), _last_date(t, "waived", is_waiver=True)
    amounts = {
        "amount": or_zero(demand.c.demand_amount),
        "waived_amount": or_zero(demand.c.waived_amount),
        "paid_amount": or_zero(demand.c.paid_amount),
    }
    money = {name: sa.cast(sa.func.round(amount, 2), sa.Numeric(18, 2)).label(name) for name, amount in amounts.items()}
    changed_on = sa.cast(demand.c.modified, sa.Date)
    return (
        sa.select(
            demand.c.name.label("fee_id"),
            demand.c.loan.label("loan_id"),
            named(demand.c.demand_type, FEES).label("fee_type"),
            money["amount"],
            sa.cast(demand.c.demand_date, sa.Date).label("assessed_on"),
            money["waived_amount"],
            sa.case((amounts["waived_amount"] > 0, sa.func.coalesce(waived.c.last_on, changed_on)), else_=None).label(
                "waived_on"
            ),
            money["paid_amount"],
            sa.case((amounts["paid_amount"] > 0, sa.func.coalesce(paid.c.last_on, changed_on)), else_=None).label(
                "paid_on"
            ),
            demand.c.creation.label("posted_at"),
        )
        .select_from(
            demand.join(loan, loan.c.name == demand.c.loan)
            .outerjoin(paid, paid.c.loan_demand == demand.c.name)
            .outerjoin(waived, waived.c.loan_demand == demand.c.name)
        )
        .where(demand.c.docstatus == SUBMITTED, demand.c.demand_type.in_(list(FEES)), loan.c.docstatus != DRAFT)
    )


def _last_date(t: StoredTables, name: str, is_waiver: bool) -> sa.Subquery:
    """The day of the last submitted repayment, or waiver, that a demand is linked to."""
    link, row = t.loan_repayment_detail, t.loan_repayment
    types = [type_ for type_, each in MONEY.items() if (each.servicing_type == "waiver") == is_waiver]
    on = sa.cast(sa.func.coalesce(row.c.value_date, row.c.posting_date), sa.Date)
    return (
        sa.select(link.c.loan_demand, sa.func.max(on).label("last_on"))
        .join_from(link, row, row.c.name == link.c.parent)
        .where(row.c.docstatus == SUBMITTED, row.c.repayment_type.in_(types))
        .group_by(link.c.loan_demand)
        .subquery(name)
    )
