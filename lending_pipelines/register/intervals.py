"""The register's assignments as interval tables for the lake: portfolio_membership and loan_ownership.

An interval covers the days [assigned_on, removed_on); without removed_on it has no end.
"""

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.register.database import Register
from lending_pipelines.register.models import Investor, LoanAssignment, Portfolio, PortfolioLoan
from lending_pipelines.tables import DERIVED

_BATCH = 100_000


def membership(register: Register) -> pa.Table:
    """The portfolio_membership table: which loans belonged to which portfolio and when."""
    query = (
        sa.select(
            PortfolioLoan.portfolio_id,
            Portfolio.name.label("portfolio_name"),
            PortfolioLoan.loan_id,
            PortfolioLoan.assigned_on,
            PortfolioLoan.removed_on,
            PortfolioLoan.method,
        )
        .join(Portfolio, Portfolio.portfolio_id == PortfolioLoan.portfolio_id)
        .order_by(PortfolioLoan.portfolio_id, PortfolioLoan.loan_id, PortfolioLoan.assigned_on)
    )
    return as_table(register, query, DERIVED["portfolio_membership"].arrow_schema)


def ownership(register: Register) -> pa.Table:
    """The loan_ownership table: which investor owned which loans and when.

    An investor owns a loan from the assignment until the loan's next assignment to another investor. A repeated
    assignment to the same investor does not start a new interval, so a loan has at most one owner on a day.
    """
    owner_before = sa.func.lag(LoanAssignment.investor_id).over(
        partition_by=LoanAssignment.loan_id, order_by=LoanAssignment.assignment_date
    )
    assigned = sa.select(LoanAssignment, owner_before.label("owner_before")).subquery()
    changes = assigned.c.owner_before.is_distinct_from(assigned.c.investor_id)
    removed_on = sa.func.lead(assigned.c.assignment_date, type_=sa.Date()).over(
        partition_by=assigned.c.loan_id, order_by=assigned.c.assignment_date
    )
    query = (
        sa.select(
            assigned.c.investor_id,
            Investor.name.label("investor_name"),
            assigned.c.loan_id,
            assigned.c.assignment_date.label("assigned_on"),
            removed_on.label("removed_on"),
            assigned.c.purchase_price,
        )
        .join(Investor, Investor.investor_id == assigned.c.investor_id)
        .where(changes)
        .order_by(assigned.c.investor_id, assigned.c.loan_id, assigned.c.assignment_date)
    )
    return as_table(register, query, DERIVED["loan_ownership"].arrow_schema)


def as_table(register: Register, query: sa.Select, schema: pa.Schema) -> pa.Table:
    """The columns of the query that the schema names, read in batches. Raises KeyError when one is missing."""
    wanted = query.with_only_columns(*(query.selected_columns[name] for name in schema.names))
    with register.reading() as connection:
        rows = connection.execution_options(yield_per=_BATCH).execute(wanted)
        batches = [
            pa.record_batch(
                [pa.array(values, field.type) for values, field in zip(zip(*part, strict=True), schema, strict=True)],
                schema=schema,
            )
            for part in rows.partitions()
        ]
    return pa.Table.from_batches(batches, schema)
