"""The SELECT for modifications: re-ages, re-amortizations, approved reschedule requests, changes of floating rates."""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import (
    APPROVED,
    INTEREST_PAUSE,
    MODIFICATIONS,
    RATE_CHANGES,
    REAGE,
    REAMORTIZE,
    lent,
    named,
)
from lending_pipelines.sources.fineract.floating import rate_changes
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.stored import StoredTables


def modifications(t: StoredTables) -> sa.Select:
    """Modifications in force. Fineract stores the terms after a modification, and few of those before it."""
    return sa.select(*_by_transaction(t).union_all(_by_variation(t), _by_floating_rate(t)).subquery().c)


def _by_transaction(t: StoredTables) -> sa.Select:
    """Re-ages and re-amortizations, which spread past due amounts over later installments."""
    row, loan, parameter = t.m_loan_transaction, t.m_loan, t.m_loan_reage_parameter
    return (
        sa.select(
            (sa.literal("T", sa.String) + text(row.c.id)).label("modification_id"),
            text(row.c.loan_id).label("loan_id"),
            sa.literal("reage", sa.String).label("type"),
            row.c.transaction_date.label("effective_on"),
            *_terms(term=parameter.c.number_of_installments),
            row.c.created_on_utc.label("posted_at"),
        )
        .select_from(
            row.join(loan, loan.c.id == row.c.loan_id).outerjoin(parameter, parameter.c.loan_transaction_id == row.c.id)
        )
        .where(
            lent(loan),
            row.c.transaction_type_enum.in_((REAGE, REAMORTIZE)),
            row.c.is_reversed.is_not(sa.true()),
        )
    )


def _by_variation(t: StoredTables) -> sa.Select:
    """Changes of the rate, the due dates, the term or the payment, and pauses of interest."""
    variation, loan = t.m_loan_term_variations, t.m_loan
    link, request = t.m_loan_reschedule_request_term_variations_mapping, t.m_loan_reschedule_request
    approved = (
        sa.select(link.c.loan_term_variations_id, sa.func.max(request.c.approved_on_date).label("approved_on"))
        .join_from(link, request, request.c.id == link.c.loan_reschedule_request_id)
        .where(request.c.status_enum == APPROVED)
        .group_by(link.c.loan_term_variations_id)
        .subquery("approved")
    )
    kind = variation.c.term_type
    rate = sa.case((kind.in_(RATE_CHANGES), variation.c.decimal_value / sa.literal(100, sa.Numeric)), else_=None)
    payment = sa.case((kind == 1, variation.c.decimal_value), else_=None)
    recorded = sa.func.coalesce(variation.c.created_on_utc, sa.cast(approved.c.approved_on, sa.DateTime))
    return (
        sa.select(
            sa.literal("V", sa.String) + text(variation.c.id),
            text(variation.c.loan_id),
            named(kind, MODIFICATIONS),
            variation.c.applicable_date,
            *_terms(rate=rate, payment=payment),
            recorded,
        )
        .select_from(
            variation.join(loan, loan.c.id == variation.c.loan_id).outerjoin(
                approved, approved.c.loan_term_variations_id == variation.c.id
            )
        )
        .where(
            lent(loan),
            variation.c.is_active.is_(sa.true()),
            kind.in_(list(MODIFICATIONS)),
            (kind == INTEREST_PAUSE) | approved.c.loan_term_variations_id.is_not(None),
        )
    )


def _by_floating_rate(t: StoredTables) -> sa.Select:
    """The periods of a floating rate that began after the disbursement, with the rates before and after."""
    change, loan = rate_changes(t).subquery("rate_changes"), t.m_loan
    before, after = (column / sa.literal(100, sa.Numeric) for column in (change.c.before, change.c.percent))
    return (
        sa.select(
            sa.literal("F", sa.String) + text(change.c.loan_id) + "-" + text(change.c.period_id),
            text(change.c.loan_id),
            sa.literal("rate_reduction", sa.String),
            change.c.from_date,
            *_terms(rate=after, before_rate=before),
            change.c.recorded_at,
        )
        .join_from(change, loan, loan.c.id == change.c.loan_id)
        .where(lent(loan))
    )


def _terms(
    rate: sa.ColumnElement | None = None,
    term: sa.ColumnElement | None = None,
    payment: sa.ColumnElement | None = None,
    before_rate: sa.ColumnElement | None = None,
) -> list[sa.ColumnElement]:
    """The columns of the terms before and after. Of the terms before, only a floating rate is known."""
    terms: list[tuple[str, sa.types.TypeEngine, sa.ColumnElement | None, sa.ColumnElement | None]] = [
        ("rate", sa.Numeric(12, 8), before_rate, rate),
        ("term", sa.BigInteger(), None, term),
        ("payment", sa.Numeric(18, 2), None, payment),
        ("principal", sa.Numeric(18, 2), None, None),
    ]
    return [
        sa.cast(sa.null() if value is None else value, type_).label(f"{when}_{name}")
        for name, type_, before, after in terms
        for when, value in (("before", before), ("after", after))
    ]
