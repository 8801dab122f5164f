"""The SELECT for the totals of each loan, as by_loan.py defines them, on PostgreSQL, MariaDB and MySQL."""

from functools import reduce
from operator import add
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from lending_pipelines.sources.by_loan import (
    CHECKSUM_MODULUS,
    COMPARED,
    FACTOR,
    LAST_DIGITS,
    MODULUS,
    NO_DAY,
    NO_LOAN,
    columns_with_factors,
)
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


def select_loan_totals(table: Table, rows: sa.Select, of: sa.Select | None = None) -> sa.Select:
    """The SELECT for the columns of `loan_totals_table`.

    Args:
        table: The servicing table.
        rows: The rows: loan_id as the database has it, and the columns of COMPARED by their names. If an id gives the
            weight, it is a number or the text of one. Rows without a loan have NULL as loan_id.
        of: The ids of the loans that count. By default, all rows count.
    """
    compared = COMPARED[table.name]
    row = rows.subquery("compared")
    by: dict[str, sa.ColumnElement] = {"loan_id": row.c.loan_id}
    if compared.day is not None:
        by["day"] = sa.case((row.c.loan_id.is_(None), row.c[compared.day]), else_=None)
    totals = (
        sa.select(
            *(each.label(name) for name, each in by.items()),
            sa.func.count().label("rows"),
            sa.func.sum(_checksum(table, row)).label("checksums"),
        )
        .group_by(*by.values())
        .subquery("totals")
    )
    loan_id = totals.c.loan_id
    day = sa.func.coalesce(totals.c.day, _date(NO_DAY), type_=sa.Date) if "day" in by else _date(NO_DAY)
    # The loans are joined to the totals, because there are fewer totals than rows.
    counted = totals if of is None else totals.join(loans := of.subquery("loans_that_count"), loans.c[0] == loan_id)
    return sa.select(
        sa.func.coalesce(sa.cast(loan_id, sa.String(140)), NO_LOAN).label("loan_id"),
        day.label("day"),
        totals.c.rows,
        sa.cast(totals.c.checksums, sa.BigInteger).label("checksums"),
    ).select_from(counted)


def _checksum(table: Table, row: sa.FromClause) -> sa.ColumnElement:
    """The checksum of a row. PostgreSQL sums the type INTEGER fastest."""
    number = reduce(
        add, (_number(column, row.c[column.name]) * factor for column, factor in columns_with_factors(table))
    )
    weight = COMPARED[table.name].weight
    weighted = _modulo(number, CHECKSUM_MODULUS) * _weight(table.column(weight), row.c[weight])
    return sa.cast(_modulo(weighted, CHECKSUM_MODULUS), sa.Integer)


def _weight(column: Column, value: sa.ColumnElement) -> sa.ColumnElement:
    if column.type == "date":
        value = Days(value)
    elif column.type == "string":
        value = _modulo(sa.cast(value, sa.BigInteger), 10**LAST_DIGITS)
    return _modulo(sa.cast(value, sa.BigInteger) * FACTOR, MODULUS) + 1


def _modulo(value: sa.ColumnElement, divisor: int) -> sa.ColumnElement:
    # Do not use the operator %, which some drivers read as a parameter.
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
