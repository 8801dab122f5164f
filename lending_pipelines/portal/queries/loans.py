"""What the pages Loans show of the lake: lists of loans on the last closed day, and everything about one loan."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import money
from lending_pipelines.portal.lake.scoped_lake import Tables

FILTERS = {
    "status": "status",
    "bucket": "bucket",
    "currency": "currency",
    "branch": "branch_id",
    "product": "product_id",
    "program": "program_id",
    "portfolio": "portfolio_id",
    "officer": "officer_id",
    "investor": "investor_id",
    "vintage": "vintage",
}
"""By the name of a filter, the column of loan_positions that it compares."""

LISTED = (
    "loan_id",
    "status",
    "currency",
    "principal_outstanding",
    "past_due_amount",
    "days_past_due",
    "bucket",
    "annual_rate",
    "next_due_on",
    "next_due_amount",
    "disbursed_on",
    "branch_id",
    "product_id",
    "portfolio_id",
    "officer_id",
    "borrower_id",
)
"""The columns of a list of loans."""


def matching(lake: Tables, filters: tuple[str, ...], day: ir.DateValue, **wanted: ir.StringValue) -> ir.Table:
    """The loans on the day that have the wanted value in every filter; `search` is a part of their id in lower case."""
    return _matching(lake, filters, day, wanted).select(*LISTED)


def counted(lake: Tables, filters: tuple[str, ...], day: ir.DateValue, **wanted: ir.StringValue) -> ir.Table:
    """The number and principal outstanding of these loans by status and currency."""
    rows = _matching(lake, filters, day, wanted)
    return (
        rows.group_by("status", "currency")
        .agg(loans=rows.count(), balance=money(rows.principal_outstanding.sum()))
        .order_by(ibis.desc("balance"), "status", "currency")
    )


def position(lake: Tables, loan_id: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The loan's row of loan_positions on the day."""
    rows = lake.table("loan_positions")
    return rows.filter(rows.business_date == day, rows.loan_id == loan_id)


def last_day(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """business_date of the last day on which the person may see the loan; no row if there is none."""
    rows = lake.table("loan_history")
    rows = rows.filter(rows.loan_id == loan_id)
    return rows.select("business_date").order_by(ibis.desc("business_date")).limit(1)


def history(lake: Tables, loan_id: ir.StringValue, since: ir.DateValue) -> ir.Table:
    """The loan's balance and lateness from a day on: on the last 62 days, and on the last day of every month."""
    rows = lake.table("loan_history")
    rows = rows.filter(rows.loan_id == loan_id, rows.business_date >= since)
    return rows.select("business_date", "principal_outstanding", "past_due_amount", "days_past_due").order_by(
        "business_date"
    )


def terms(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The loan's row of loans."""
    rows = lake.table("loans")
    return rows.filter(rows.loan_id == loan_id)


def schedule(lake: Tables, loan_id: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The installments of the schedule in force on the day: the highest version with effective_on ≤ the day."""
    rows = lake.table("installments")
    rows = rows.filter(rows.loan_id == loan_id, rows.effective_on <= day)
    rows = rows.filter(rows.version == rows.version.max())
    total = money(rows.principal + rows.interest + rows.fees)
    return rows.select(
        "version", "number", "due_on", "principal", "interest", "fees", "effective_on", total=total
    ).order_by("number")


def payments(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The loan's transactions, the latest first. `is_reversed`: a later transaction reverses it."""
    rows = lake.table("transactions")
    rows = rows.filter(rows.loan_id == loan_id)
    reversed_ids = rows.filter(rows.reverses_id.notnull()).select(gone="reverses_id").distinct()
    rows = rows.left_join(reversed_ids, rows.transaction_id == reversed_ids.gone)
    return (
        rows.mutate(is_reversed=rows.gone.notnull())
        .drop("gone")
        .order_by(ibis.desc("effective_on"), ibis.desc("posted_at"), "transaction_id")
    )


def modifications(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The loan's modifications, the latest first."""
    rows = lake.table("modifications")
    return rows.filter(rows.loan_id == loan_id).order_by(ibis.desc("effective_on"), "modification_id")


def owners(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The investors who own or owned the loan, the latest first."""
    rows = lake.table("loan_ownership")
    return rows.filter(rows.loan_id == loan_id).order_by(ibis.desc("assigned_on"), "investor_id")


def memberships(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The portfolios that the loan is or was in, the latest first."""
    rows = lake.table("portfolio_membership")
    return rows.filter(rows.loan_id == loan_id).order_by(ibis.desc("assigned_on"), "portfolio_id")


def officers(lake: Tables, loan_id: ir.StringValue) -> ir.Table:
    """The officers of the loan over time, the latest first."""
    rows = lake.table("officer_assignments")
    return rows.filter(rows.loan_id == loan_id).order_by(ibis.desc("assigned_on"))


def known(lake: Tables, kinds: tuple[str, ...], loan_id: ir.StringValue) -> ir.Table:
    """What was recorded about a loan, the latest first.

    Args:
        lake: The lake.
        kinds: The tables to read: transactions, modifications, fees, installments.
        loan_id: The loan.

    Returns:
        kind (the table), what (the type of the event, or the version of a schedule), effective_on, posted_at, amount.
    """
    events = ibis.union(*(_EVENTS[kind](lake).filter(lambda rows: rows.loan_id == loan_id)[_EVENT] for kind in kinds))
    return events.order_by(ibis.desc("posted_at"), ibis.desc("effective_on"), "kind", "what")


def _transactions(lake: Tables) -> ir.Table:
    rows = lake.table("transactions")
    return rows.select("loan_id", "effective_on", "posted_at", "amount", kind=ibis.literal("transactions"), what="type")


def _modifications(lake: Tables) -> ir.Table:
    rows = lake.table("modifications")
    return rows.select(
        "loan_id",
        "effective_on",
        "posted_at",
        amount=ibis.null("decimal(18, 2)"),
        kind=ibis.literal("modifications"),
        what="type",
    )


def _fees(lake: Tables) -> ir.Table:
    rows = lake.table("fees")
    return rows.select(
        "loan_id", "posted_at", "amount", kind=ibis.literal("fees"), what="fee_type", effective_on="assessed_on"
    )


def _schedules(lake: Tables) -> ir.Table:
    """The versions of the schedules as events."""
    rows = lake.table("installments")
    rows = rows.group_by("loan_id", "version").agg(
        effective_on=rows.effective_on.min(), posted_at=rows.posted_at.min(), amount=money(rows.principal.sum())
    )
    return rows.select(
        "loan_id",
        "effective_on",
        "posted_at",
        "amount",
        kind=ibis.literal("installments"),
        what=ibis.literal("version ") + rows.version.cast("string"),
    )


_EVENT = ["kind", "what", "effective_on", "posted_at", "amount"]
_EVENTS = {
    "transactions": _transactions,
    "modifications": _modifications,
    "fees": _fees,
    "installments": _schedules,
}

KINDS = tuple(_EVENTS)
"""The tables that record what happens to a loan."""


def _matching(lake: Tables, filters: tuple[str, ...], day: ir.DateValue, wanted: dict[str, ir.StringValue]) -> ir.Table:
    """The rows of loan_positions that have the wanted values."""
    rows = lake.table("loan_positions")
    rows = rows.filter(rows.business_date == day)
    for name in filters:
        if name == "search":
            rows = rows.filter(rows.loan_id.lower().contains(wanted[name]))
        else:
            rows = rows.filter(rows[FILTERS[name]] == wanted[name])
    return rows
