"""The SELECT for the totals of each loan, as by_loan.py defines them, on PostgreSQL, MariaDB and MySQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from lending_pipelines.sources.by_loan import COMPARED, FACTOR, LAST_DIGITS, MODULUS, NO_DAY, NO_LOAN
from lending_pipelines.tables import Column, Table
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
        rows: The rows of loans: loan_id as the database has it, and the columns of COMPARED by their names. An id by
            which a row is weighted is a number, or the text of one.
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
    sums = (
        sa.cast(sa.func.sum(_number(table.column(name), rows.c[name]) * weight), sa.Numeric(38, 0)).label(name)
        for name in compared.columns
    )
    return sa.select(
        loan_id.label("loan_id"),
        day.label("day"),
        sa.func.count().label("rows"),
        sa.cast(sa.func.sum(weight), sa.BigInteger).label("weights"),
        *sums,
    ).group_by(by)


def _weight(column: Column, value: sa.ColumnElement) -> sa.ColumnElement:
    if column.type == "date":
        value = Days(value)
    elif column.type == "string":
        value = _modulo(sa.cast(value, sa.BigInteger), 10**LAST_DIGITS)
    return _modulo(sa.cast(value, sa.BigInteger) * FACTOR, MODULUS) + 1


def _modulo(value: sa.ColumnElement, divisor: int) -> sa.ColumnElement:
    # Not the operator %, which some drivers take for a parameter.
    return sa.func.mod(value, divisor, type_=sa.BigInteger)


def _number(column: Column, value: sa.ColumnElement) -> sa.ColumnElement:
    """A compared value as a whole number. The databases round half away from zero to cents."""
    if column.values:
        return sa.case(*((value == name, position) for position, name in enumerate(column.values, 1)), else_=0)
    if column.type == "date":
        return sa.func.coalesce(Days(value), 0, type_=sa.BigInteger)
    return sa.cast(sa.func.coalesce(value, 0) * 100, sa.BigInteger)


def _date(value: Any) -> sa.ColumnElement:
    return sa.cast(sa.literal(value, sa.Date), sa.Date)
