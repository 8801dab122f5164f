"""Tape fields that are columns of other tables joined by a key: parties, terms, portfolio and owner."""

from collections.abc import Mapping
from dataclasses import replace

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.delinquency import delinquent
from lending_pipelines.metrics.timeline import calendar_months
from lending_pipelines.tables import TABLES, Column
from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES
from lending_pipelines.tables.schema import count, ratio
from lending_pipelines.tapes.parts import Part, TapeContext, with_columns


def _by_key(table: str, loans_key: str, table_key: str, fields: Mapping[str, str]) -> Part:
    """Columns of a table joined on its column `table_key`, equal to the loans' column `loans_key`."""

    def add(loans: ir.Table, context: TapeContext) -> ir.Table:
        other = context.read(table)
        key = f"{table}.{table_key}"
        other = other.select(other[table_key].name(key), **{name: other[column] for name, column in fields.items()})
        return loans.left_join(other, loans[loans_key] == other[key]).drop(key)

    return Part(table, (table,), tuple(_column(table, name, column) for name, column in fields.items()), add)


def _column(table: str, name: str, column: str) -> Column:
    known = TABLES[table].column(column)
    return replace(known, name=name, nullable=True, description=known.description or name.replace("_", " "))


def original_term_months(loans: ir.Table) -> ir.IntegerColumn:
    """The number of payments in months, rounded; without a payment period, the months from disbursement to maturity."""
    return ibis.cases(
        *(
            (loans.payment_frequency == name, (loans.term_count * 12 / period.payments_a_year).round().cast("int64"))
            for name, period in PAYMENT_FREQUENCIES.items()
            if period
        ),
        else_=calendar_months(loans.disbursed_on, loans.matures_on),
    )


def _terms(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the terms in months and the loan-to-value ratios."""
    today = ibis.literal(context.day)
    value = loans.collateral_value.nullif(0).cast("float64")
    return loans.mutate(
        original_term_months=original_term_months(loans),
        months_on_book=calendar_months(loans.disbursed_on, today),
        remaining_months=ibis.greatest(calendar_months(today, loans.matures_on), 0),
        months_past_due=delinquent(loans.days_past_due).ifelse(calendar_months(loans.oldest_due_on, today), 0),
        original_ltv=loans.original_principal.cast("float64") / value,
        current_ltv=loans.principal_outstanding.cast("float64") / value,
    )


def _in_force(table: str, key: str, fields: Mapping[str, str]) -> Part:
    """Columns of the row of an assignment table that is in force on the day, for the position's portfolio or owner."""

    def add(loans: ir.Table, context: TapeContext) -> ir.Table:
        rows = context.read(table)
        rows = rows.filter(rows.assigned_on <= context.day, rows.removed_on.isnull() | (rows.removed_on > context.day))
        rows = rows.select("loan_id", key, **{name: rows[column] for name, column in fields.items()})
        rows = rows.semi_join(context.positions, ["loan_id", key])
        return with_columns(loans, rows, *fields)

    return Part(table, (table,), tuple(_column(table, name, column) for name, column in fields.items()), add)


PARTS = (
    _by_key(
        "loans",
        "loan_id",
        "loan_id",
        {
            "original_principal": "principal",
            "original_rate": "annual_rate",
            "day_count": "day_count",
            "term_count": "term_count",
            "payment_frequency": "payment_frequency",
            "approved_on": "approved_on",
            "first_due_on": "first_due_on",
            "purpose": "purpose",
            "collateral_value": "collateral_value",
            "credit_score": "credit_score",
            "region": "region",
        },
    ),
    _by_key(
        "borrowers", "borrower_id", "borrower_id", {"borrower_segment": "segment", "borrower_joined_on": "joined_on"}
    ),
    _by_key("products", "product_id", "product_id", {"product_name": "name", "product_type": "product_type"}),
    _by_key("programs", "program_id", "program_id", {"program_name": "name"}),
    _by_key("branches", "branch_id", "branch_id", {"branch_name": "name", "branch_region": "region"}),
    _by_key("staff", "officer_id", "staff_id", {"officer_name": "full_name"}),
    _in_force(
        "portfolio_membership",
        "portfolio_id",
        {"portfolio_name": "portfolio_name", "pool_added_on": "assigned_on"},
    ),
    _in_force(
        "loan_ownership",
        "investor_id",
        {"investor_name": "investor_name", "sold_on": "assigned_on", "purchase_price": "purchase_price"},
    ),
    Part(
        "terms",
        (),
        (
            count("original_term_months", "contractual term in months; of a bullet loan from disbursement to maturity"),
            count("months_on_book", "loan age: calendar months since disbursement"),
            count("remaining_months", "calendar months to maturity; 0 after it", nullable=True),
            count("months_past_due", "calendar months since the oldest unpaid due date; 0 if not past due"),
            ratio("original_ltv", "contractual amount ÷ collateral value, a fraction"),
            ratio("current_ltv", "principal outstanding ÷ collateral value, a fraction"),
        ),
        _terms,
        needs=("loans",),
    ),
)
