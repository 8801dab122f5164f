"""The SELECT for the totals of each loan, as by_loan.py defines them, on PostgreSQL, MariaDB and MySQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from lending_pipelines.sources.by_loan import COMPARED, LAST_CHARACTERS, NO_DAY, NO_LOAN
from lending_pipelines.tables import Column, Table
from lending_pipelines.tables.schema import MONEY
from lending_pipelines.tables.sql import MYSQL


class Days(sa.sql.functions.FunctionElement):
    """The days from 1970-01-01 to a date. The databases write it differently."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(Days)
def _days(element: Days, compiler: Any, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} - date '1970-01-01')"


@compiles(Days, *MYSQL)
def _days_of_mysql(element: Days, compiler: Any, **options: Any) -> str:
    return f"datediff({compiler.process(element.clauses, **options)}, '1970-01-01')"


def select_loan_totals(table: Table, rows: sa.Select, without_loan: sa.Select | None = None) -> sa.Select:
    """The SELECT for the columns of `loan_totals_table`.

    Args:
        table: The servicing table.
        rows: The rows of loans: loan_id as the database has it, the weight and the compared columns, by their names. An
            id that weighs a row ends in digits.
        without_loan: The rows without a loan, with their `day`.
    """
    of_loans = rows.subquery("compared")
    by_loan = _totals(table, of_loans, of_loans.c.loan_id, sa.cast(of_loans.c.loan_id, sa.String(140)), _date(NO_DAY))
    if without_loan is None:
        return by_loan
    of_days = without_loan.subquery("compared_by_day")
    by_day = _totals(table, of_days, of_days.c.day, sa.literal(NO_LOAN, sa.String(140)), of_days.c.day)
    return sa.select(*by_loan.union_all(by_day).subquery("totals").c)


def _totals(
    table: Table, rows: sa.FromClause, by: sa.ColumnElement, loan_id: sa.ColumnElement, day: sa.ColumnElement
) -> sa.Select:
    compared = COMPARED[table.name]
    weight = _weight(table.column(compared.weight), rows.c[compared.weight])
    sums = []
    for name in compared.columns:
        column = table.column(name)
        type_ = sa.Numeric(38, 2) if column.type == MONEY else sa.BigInteger()
        value = _number(column, rows.c[name])
        sums.append(sa.cast(sa.func.sum(value), type_).label(name))
        sums.append(sa.cast(sa.func.sum(value * weight), type_).label(f"{name}_weighted"))
    return sa.select(
        loan_id.label("loan_id"),
        day.label("day"),
        sa.func.count().label("rows"),
        sa.cast(sa.func.sum(weight), sa.BigInteger).label("weights"),
        *sums,
    ).group_by(by)


def _weight(column: Column, value: sa.ColumnElement) -> sa.ColumnElement:
    if column.type == "date":
        return Days(value) + 1
    if column.type == "string":
        # Not the operator %, which some drivers take for a parameter.
        return sa.func.mod(sa.cast(value, sa.BigInteger), 10**LAST_CHARACTERS, type_=sa.BigInteger) + 1
    return value + 1


def _number(column: Column, value: sa.ColumnElement) -> sa.ColumnElement:
    """A compared value as a number; 0 for null."""
    if column.values:
        return sa.case(*((value == name, position) for position, name in enumerate(column.values, 1)), else_=0)
    if column.type == "date":
        return sa.func.coalesce(Days(value), 0, type_=sa.BigInteger)
    return sa.func.coalesce(value, sa.literal(0, sa.Numeric(18, 2)))


def _date(value: Any) -> sa.ColumnElement:
    return sa.cast(sa.literal(value, sa.Date), sa.Date)
