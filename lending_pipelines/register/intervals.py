"""The register's assignments as intervals, for the engines to join: the lake's portfolio_membership and loan_ownership.

An interval holds from assigned_on to the day before removed_on; one without removed_on goes on.
"""

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.register.database import Register
from lending_pipelines.register.models import Investor, LoanAssignment, Portfolio, PortfolioLoan
from lending_pipelines.tables import DERIVED

_BATCH = 100_000


def membership(register: Register) -> pa.Table:
    """Which loan was in which portfolio when, as portfolio_membership."""
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
    return _read(register, query, DERIVED["portfolio_membership"].arrow_schema)


def ownership(register: Register) -> pa.Table:
    """Which investor owned which loan from when, as loan_ownership.

    A loan is an investor's from the day of its assignment until its next assignment to another. One more to the same
    investor changes nothing, so that a loan never has two owners, or one twice, on a day.
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
    return _read(register, query, DERIVED["loan_ownership"].arrow_schema)


def _read(register: Register, query: sa.Select, schema: pa.Schema) -> pa.Table:
    """The query's columns that the schema names, read a batch at a time; KeyError when it lacks one."""
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
