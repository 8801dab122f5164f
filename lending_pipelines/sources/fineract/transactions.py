"""The SELECT for transactions: an event for each row of m_loan_transaction that moves money, and one for each undo.

Fineract undoes a transaction by a flag on its row. Here the row stays as an event on its own date, and a reversal
follows: on the day of the undo, or on the transaction's own date where Fineract replaced the row by another one of that
date (a replay).
"""

from collections.abc import Mapping

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import CAPITALIZED_INCOME, MONEY, REPLAYED, lent, named
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.history import UNDONE
from lending_pipelines.sources.rounding import cents, or_zero, remainder
from lending_pipelines.sources.stored import StoredTables

PARTS = ("principal", "interest", "fees")
"""The amounts of a transaction."""


def transactions(t: StoredTables) -> sa.Select:
    """Every event that moves a loan's money, in cents."""
    row = in_cents(t).cte("events")
    amount = row.c.principal + row.c.interest + row.c.fees
    events = sa.select(
        text(row.c.id).label("transaction_id"),
        text(row.c.loan_id).label("loan_id"),
        row.c.servicing_type.label("type"),
        row.c.transaction_date.label("effective_on"),
        row.c.created_on_utc.label("posted_at"),
        amount.label("amount"),
        *(row.c[part] for part in PARTS),
        row.c.channel,
        sa.cast(sa.null(), sa.String(20)).label("reverses_id"),
    )
    reversals = sa.select(
        text(row.c.id) + UNDONE,
        text(row.c.loan_id),
        sa.literal("reversal", sa.String),
        undone_on(row),
        row.c.last_modified_on_utc,
        amount,
        *(row.c[part] for part in PARTS),
        row.c.channel,
        text(row.c.id),
    ).where(row.c.is_reversed.is_(sa.true()))
    return sa.select(*events.union_all(reversals).subquery().c)


def in_cents(t: StoredTables) -> sa.Select:
    """The rows that move money, with PARTS in cents, and as exact_principal, exact_interest and exact_fees.

    Rows in force and undone rows are rounded separately, so that the rows in force tie, whatever is undone.
    """
    row, loan = portions(t, t.m_loan_transaction.c.transaction_type_enum.in_(MONEY)).subquery("portions"), t.m_loan
    group, order = (row.c.loan_id, row.c.servicing_type, row.c.is_reversed), (row.c.transaction_date, row.c.id)
    return (
        sa.select(
            row.c.id,
            row.c.loan_id,
            row.c.servicing_type,
            row.c.transaction_date,
            row.c.created_on_utc,
            row.c.last_modified_on_utc,
            row.c.reversed_on_date,
            row.c.is_reversed,
            row.c.replayed,
            row.c.channel,
            *(cents(row.c[part], group, order).label(part) for part in PARTS),
            *(row.c[part].label(f"exact_{part}") for part in PARTS),
        )
        .join_from(row, loan, loan.c.id == row.c.loan_id)
        .where(lent(loan))
    )


def replayed(t: StoredTables) -> sa.ColumnElement[bool]:
    """Whether a row of m_loan_transaction is undone because Fineract replaced it by another one of the same date."""
    row, relation = t.m_loan_transaction, t.m_loan_transaction_relation
    replaced = sa.exists().where(
        relation.c.to_loan_transaction_id == row.c.id, relation.c.relation_type_enum == REPLAYED
    )
    by_hand = sa.func.coalesce(row.c.manually_adjusted_or_reversed, sa.false())
    return row.c.is_reversed.is_(sa.true()) & (replaced | by_hand.is_not(sa.true()))


def undone_on(row: sa.FromClause) -> sa.ColumnElement:
    """The date on which the reversal of an undone row counts; `row` has the columns of `in_cents`."""
    day = sa.func.coalesce(row.c.reversed_on_date, sa.cast(row.c.last_modified_on_utc, sa.Date))
    return sa.case((row.c.replayed, row.c.transaction_date), else_=sa.func.greatest(day, row.c.transaction_date))


def portions(t: StoredTables, where: sa.ColumnElement[bool]) -> sa.Select:
    """The rows of m_loan_transaction that meet a condition, with exact portions.

    Fineract's portions do not include overpayments, unrecognized income and the amount of a disbursement. So one of the
    portions here is the amount less the other portions.
    """
    row, detail, payment_type = t.m_loan_transaction, t.m_payment_detail, t.m_payment_type
    code = row.c.transaction_type_enum
    # Fineract books capitalized income as principal. In the table transactions it is fees that were capitalized.
    principal = sa.case((code == CAPITALIZED_INCOME, 0), else_=or_zero(row.c.principal_portion_derived))
    stored = {
        "principal": principal,
        "interest": or_zero(row.c.interest_portion_derived),
        "fees": or_zero(row.c.fee_charges_portion_derived) + or_zero(row.c.penalty_charges_portion_derived),
    }
    return (
        sa.select(
            row.c.id,
            row.c.loan_id,
            named(code, {number: type_.servicing_type for number, type_ in MONEY.items()}).label("servicing_type"),
            row.c.transaction_date,
            row.c.created_on_utc,
            row.c.last_modified_on_utc,
            row.c.reversed_on_date,
            row.c.is_reversed,
            replayed(t).label("replayed"),
            sa.func.coalesce(
                named(code, {number: type_.name for number, type_ in MONEY.items() if not type_.cash}),
                payment_type.c.value,
            ).label("channel"),
            *(_portion(part, stored, row).label(part) for part in PARTS),
        )
        .select_from(
            row.outerjoin(detail, detail.c.id == row.c.payment_detail_id).outerjoin(
                payment_type, payment_type.c.id == detail.c.payment_type_id
            )
        )
        .where(where)
    )


def _portion(part: str, stored: Mapping[str, sa.ColumnElement], row: sa.FromClause) -> sa.ColumnElement:
    """A portion: as stored, or the amount less the other portions."""
    with_remainder = [number for number, type_ in MONEY.items() if type_.remainder == part]
    is_remainder = row.c.transaction_type_enum.in_(with_remainder)
    return sa.case((is_remainder, remainder(row.c.amount, stored, part)), else_=stored[part])
