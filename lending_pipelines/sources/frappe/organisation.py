"""SELECTs for branches, borrowers, programs and products."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import DRAFT, LINE_OF_CREDIT
from lending_pipelines.sources.stored import StoredTables

NO_CATEGORY = "none"
"""The program of products without a loan category."""


def text(value: str) -> sa.ColumnElement[str]:
    """A constant text."""
    return sa.literal(value, sa.String)


def filled(column: sa.ColumnElement) -> sa.ColumnElement:
    """The value of a text column, with NULL for an empty text. Frappe stores both NULL and empty texts."""
    return sa.func.nullif(column, "")


def branches(t: StoredTables) -> sa.Select:
    """Companies and branches. The region of a company is its country; of a branch, its own name."""
    company, branch = t.company, t.branch
    companies = sa.select(
        company.c.name.label("branch_id"),
        sa.func.coalesce(filled(company.c.company_name), company.c.name).label("name"),
        sa.func.coalesce(filled(company.c.country), company.c.name).label("region"),
    )
    others = sa.select(branch.c.name, branch.c.name, branch.c.name).where(
        branch.c.name.not_in(sa.select(company.c.name))
    )
    return sa.select(*companies.union_all(others).subquery().c)


def borrower(loan: sa.FromClause) -> sa.ColumnElement[str]:
    """The borrower_id: a customer's name, or another applicant's kind and name, because names repeat across kinds."""
    return sa.case(
        (loan.c.applicant_type == "Customer", loan.c.applicant), else_=loan.c.applicant_type + " " + loan.c.applicant
    )


def borrowers(t: StoredTables) -> sa.Select:
    """The applicants of loans. The segment is the kind of applicant; joined_on is the date of the first loan."""
    loan = t.loan
    return (
        sa.select(
            borrower(loan).label("borrower_id"),
            sa.func.min(loan.c.company).label("branch_id"),
            sa.func.lower(sa.func.min(loan.c.applicant_type)).label("segment"),
            sa.func.min(loan.c.posting_date).label("joined_on"),
            sa.cast(sa.null(), sa.Date).label("left_on"),
        )
        .where(loan.c.docstatus != DRAFT)
        .group_by(borrower(loan))
    )


def programs(t: StoredTables) -> sa.Select:
    """Loan categories of products, and one program for products without a category."""
    product = t.loan_product
    category = filled(product.c.loan_category)
    categories = sa.select(category.label("program_id"), category.label("name")).where(category.is_not(None)).distinct()
    none = sa.select(text(NO_CATEGORY), text("Without a category"))
    return sa.select(*categories.union_all(none).subquery().c)


def products(t: StoredTables) -> sa.Select:
    """Loan products."""
    product = t.loan_product
    kind = sa.case(
        (product.c.repayment_schedule_type == LINE_OF_CREDIT, "line_of_credit"),
        (product.c.is_term_loan == 1, "term_loan"),
        else_="demand_loan",
    )
    return sa.select(
        product.c.name.label("product_id"),
        sa.func.coalesce(filled(product.c.loan_category), NO_CATEGORY).label("program_id"),
        sa.func.coalesce(filled(product.c.product_name), product.c.name).label("name"),
        kind.label("product_type"),
    )
