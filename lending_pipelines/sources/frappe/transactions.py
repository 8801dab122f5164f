"""The SELECT for transactions: an event for each document that moves money, and one for each cancellation.

Frappe keeps the row of a cancelled document, and its ledger leaves the document out from the document's own date on.
Here the document stays as an event, and a reversal follows on the same date, posted at the time of the cancellation. An
amended document is another row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import (
    ADJUSTMENTS,
    APPROVED,
    CANCELLED,
    CAPITALIZATIONS,
    CAPITALIZE,
    CREDIT_ADJUSTMENT,
    DRAFT,
    MONEY,
    NORMAL_RESTRUCTURE,
    SUBMITTED,
    named,
)
from lending_pipelines.sources.frappe.organisation import filled, text
from lending_pipelines.sources.history import UNDONE
from lending_pipelines.sources.rounding import cents, or_zero, remainder
from lending_pipelines.sources.stored import StoredTables

_PARTS = ("principal", "interest", "fees")

_WAIVED = "/waived"
"""The end of the id of the waiver that a repayment includes. The repayment's name precedes it."""


def transactions(t: StoredTables) -> sa.Select:
    """Every event that moves a loan's money, in cents."""
    row = in_cents(t).cte("events")
    amount = row.c.principal + row.c.interest + row.c.fees
    events = sa.select(
        row.c.id.label("transaction_id"),
        row.c.loan.label("loan_id"),
        row.c.servicing_type.label("type"),
        row.c.effective_on,
        row.c.posted_at,
        amount.label("amount"),
        *(row.c[part] for part in _PARTS),
        row.c.channel,
        sa.cast(sa.null(), sa.String(160)).label("reverses_id"),
    )
    reversals = sa.select(
        row.c.id + UNDONE,
        row.c.loan,
        text("reversal"),
        row.c.effective_on,
        sa.func.greatest(row.c.cancelled_at, row.c.posted_at),
        amount,
        *(row.c[part] for part in _PARTS),
        row.c.channel,
        row.c.id,
    ).where(row.c.docstatus == CANCELLED)
    return sa.select(*events.union_all(reversals).subquery().c)


def in_cents(t: StoredTables) -> sa.Select:
    """The documents that move money, with principal, interest and fees in cents.

    Documents in force and cancelled ones are rounded separately, so that those in force tie, whatever is cancelled.
    """
    row = _documents(t).subquery("documents")
    loan = t.loan
    group, order = (row.c.loan, row.c.servicing_type, row.c.docstatus), (row.c.effective_on, row.c.id)
    return (
        sa.select(
            *(column for column in row.c if column.name not in _PARTS),
            *(cents(row.c[part], group, order).label(part) for part in _PARTS),
        )
        .join_from(row, loan, loan.c.name == row.c.loan)
        .where(row.c.docstatus != DRAFT, loan.c.docstatus != DRAFT)
    )


def _entered(row: sa.FromClause) -> sa.ColumnElement:
    """When a document was entered: the later of its posting date and its creation."""
    return sa.func.greatest(row.c.creation, sa.func.coalesce(sa.cast(row.c.posting_date, sa.DateTime), row.c.creation))


def _documents(t: StoredTables) -> sa.CompoundSelect:
    """The documents of every kind."""
    return sa.union_all(
        _disbursements(t), _repayments(t), _shortfalls(t), _write_offs(t), _refunds(t), _adjustments(t),
        _capitalized(t),
    )  # fmt: skip


def _document(
    row: sa.FromClause,
    loan: sa.ColumnElement,
    servicing_type: sa.ColumnElement,
    effective_on: sa.ColumnElement,
    posted_at: sa.ColumnElement,
    parts: Mapping[str, sa.ColumnElement],
    channel: sa.ColumnElement,
    id_: sa.ColumnElement | None = None,
) -> sa.Select:
    """One kind of document with the columns that all kinds have."""
    return sa.select(
        (row.c.name if id_ is None else id_).label("id"),
        loan.label("loan"),
        servicing_type.label("servicing_type"),
        sa.cast(effective_on, sa.Date).label("effective_on"),
        posted_at.label("posted_at"),
        row.c.modified.label("cancelled_at"),
        row.c.docstatus,
        *(or_zero(parts.get(part, sa.null())).label(part) for part in _PARTS),
        channel.label("channel"),
    )


def _disbursements(t: StoredTables) -> sa.Select:
    row = t.loan_disbursement
    return _document(
        row,
        row.c.against_loan,
        text("disbursement"),
        row.c.disbursement_date,
        _entered(row),
        {"principal": row.c.disbursed_amount},
        filled(row.c.mode_of_payment),
    )


def _repayments(t: StoredTables) -> sa.Select:
    """Loan Repayments. One of the portions is the amount less the other portions.

    So an amount received above everything owed is principal, and principal that the document waives is not included.
    """
    row = t.loan_repayment
    stored = {
        "principal": or_zero(row.c.principal_amount_paid),
        "interest": or_zero(row.c.total_interest_paid),
        "fees": or_zero(row.c.total_penalty_paid) + or_zero(row.c.total_charges_paid),
    }
    channels = {name: type_.channel for name, type_ in MONEY.items() if type_.channel is not None}
    return _document(
        row,
        row.c.against_loan,
        named(row.c.repayment_type, {name: type_.servicing_type for name, type_ in MONEY.items()}),
        _value_date(row),
        _entered(row),
        {part: _portion(part, stored, row) for part in _PARTS},
        sa.func.coalesce(named(row.c.repayment_type, channels), filled(row.c.mode_of_payment)),
    ).where(_pays(row))


def _portion(part: str, stored: Mapping[str, sa.ColumnElement], row: sa.FromClause) -> sa.ColumnElement:
    """A portion: as stored, or the amount less the other portions."""
    with_remainder = [name for name, type_ in MONEY.items() if type_.remainder == part]
    is_remainder = row.c.repayment_type.in_(with_remainder)
    return sa.case((is_remainder, remainder(row.c.amount_paid, stored, part)), else_=stored[part])


def _shortfalls(t: StoredTables) -> sa.Select:
    """The waivers that repayments include: principal that the last payment may lack within the product's tolerance."""
    row = t.loan_repayment
    return _document(
        row,
        row.c.against_loan,
        text("waiver"),
        _value_date(row),
        _entered(row),
        {"principal": -row.c.excess_amount},
        text("shortfall_waived"),
        row.c.name + _WAIVED,
    ).where(row.c.excess_amount < 0, _pays(row))


def _write_offs(t: StoredTables) -> sa.Select:
    """Loan Write Offs. A write-off without an amount, except in a settlement, has all that was ever lent.

    It stands for everything owed: a write-off counts up to the principal outstanding.
    """
    row, loan, added = t.loan_write_off, t.loan, _added(t)
    is_whole = (or_zero(row.c.write_off_amount) == 0) & (sa.func.coalesce(row.c.is_settlement_write_off, 0) == 0)
    lent = loan.c.disbursed_amount + or_zero(added.c.amount)
    amount = sa.case((is_whole, lent), else_=row.c.write_off_amount)
    return (
        _document(
            row,
            row.c.loan,
            text("write_off"),
            _value_date(row),
            _entered(row),
            {"principal": amount},
            text("write_off"),
        )
        .join_from(row, loan, loan.c.name == row.c.loan)
        .outerjoin(added, added.c.loan == loan.c.name)
    )


def _added(t: StoredTables) -> sa.Subquery:
    """What capitalizations of every kind added to the principal of loans: loan, amount."""
    repayments = _repayments(t).where(t.loan_repayment.c.repayment_type.in_(CAPITALIZATIONS))
    row = sa.union_all(repayments, _adjustments(t), _capitalized(t)).subquery()
    amount = sa.func.sum(row.c.interest + row.c.fees).label("amount")
    added = sa.select(row.c.loan, amount).where(row.c.servicing_type == "capitalization", row.c.docstatus == SUBMITTED)
    return added.group_by(row.c.loan).subquery("added")


def _refunds(t: StoredTables) -> sa.Select:
    """Loan Refunds."""
    row = t.loan_refund
    return _document(
        row,
        row.c.loan,
        text("refund"),
        _value_date(row),
        _entered(row),
        {"principal": row.c.refund_amount},
        sa.cast(sa.null(), sa.String(140)),
    ).where(_of_loan(row))


def _adjustments(t: StoredTables) -> sa.Select:
    """Loan Balance Adjustments: a credit reduces the principal, a debit adds to it."""
    row = t.loan_balance_adjustment
    is_credit = row.c.adjustment_type == CREDIT_ADJUSTMENT
    return _document(
        row,
        row.c.loan,
        named(row.c.adjustment_type, ADJUSTMENTS),
        row.c.posting_date,
        row.c.creation,
        {
            "principal": sa.case((is_credit, row.c.amount), else_=0),
            "fees": sa.case((is_credit, 0), else_=row.c.amount),
        },
        sa.case((is_credit, text("credit_adjustment")), else_=text("debit_adjustment")),
    )


def _capitalized(t: StoredTables) -> sa.Select:
    """The overdue interest and penalties that restructures add to the principal."""
    row = t.loan_restructure
    interest = _capitalized_part(row.c.treatment_of_normal_interest, row.c.balance_interest_amount)
    unaccrued = _capitalized_part(row.c.unaccrued_interest_treatment, row.c.balance_unaccrued_interest)
    penalty = _capitalized_part(row.c.treatment_of_penal_interest, row.c.balance_penalty_amount)
    return _document(
        row,
        row.c.loan,
        text("capitalization"),
        row.c.restructure_date,
        row.c.creation,
        {"interest": interest + unaccrued, "fees": penalty},
        text("restructure"),
    ).where(
        row.c.restructure_type == NORMAL_RESTRUCTURE,
        row.c.status == APPROVED,
        interest + unaccrued + penalty != 0,
    )


def _capitalized_part(treatment: sa.ColumnElement, amount: sa.ColumnElement) -> sa.ColumnElement:
    return sa.case((treatment == CAPITALIZE, or_zero(amount)), else_=or_zero(sa.null()))


def _value_date(row: sa.FromClause) -> sa.ColumnElement:
    """The day on which a document counts: its value date, or its posting date in versions without value dates."""
    return sa.func.coalesce(row.c.value_date, row.c.posting_date)


@dataclass(frozen=True)
class Voucher:
    """A doctype that the ledger names as a voucher."""

    doctype: str
    table: sa.FromClause
    loan: str
    """The column with the loan."""
    moves_money: Callable[[sa.FromClause], sa.ColumnElement[bool]] | None = None
    """Whether a document is an event in the table transactions. None if no document is."""


def ledger_vouchers(t: StoredTables) -> Sequence[Voucher]:
    """The doctypes of loans that post to the ledger."""
    return (
        Voucher("Loan Disbursement", t.loan_disbursement, "against_loan", lambda row: sa.true()),
        Voucher("Loan Repayment", t.loan_repayment, "against_loan", _pays),
        Voucher("Loan Write Off", t.loan_write_off, "loan", lambda row: sa.true()),
        Voucher("Loan Refund", t.loan_refund, "loan", _of_loan),
        Voucher("Loan Balance Adjustment", t.loan_balance_adjustment, "loan", lambda row: sa.true()),
        Voucher("Loan Demand", t.loan_demand, "loan"),
        Voucher("Loan Interest Accrual", t.loan_interest_accrual, "loan"),
    )


def _pays(repayment: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a Loan Repayment is an event. Capitalizations of a restructure are not: `_capitalized` reads those."""
    of_restructure = repayment.c.repayment_type.in_(CAPITALIZATIONS) & filled(repayment.c.loan_restructure).is_not(None)
    return repayment.c.repayment_type.in_(list(MONEY)) & ~of_restructure


def _of_loan(refund: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a Loan Refund pays back money of the loan. A refund of a security deposit does not."""
    return sa.func.coalesce(refund.c.is_security_amount_refund, 0) == 0
