"""What a part of the field catalogue is: fields that are computed together, and how they are added to a tape's loans.

The parts themselves are in reached.py (columns of other tables, by a key), period.py, history.py, installments.py and
standing.py.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import ibis.expr.types as ir

from lending_pipelines.tables import Column

POSITIONS = "loan_positions"

Read = Callable[[str], ir.Table]
"""Gives a table of the lake by its name."""


@dataclass(frozen=True)
class Held:
    """The tape's loans: their rows of loan_positions at the end of the day, and where other tables are read."""

    positions: ir.Table
    read: Read
    day: date


@dataclass(frozen=True)
class Part:
    """Fields that are computed together.

    `tables` are what they are read from besides loan_positions' rows of the day; `needs` the parts whose columns `add`
    reads; `add` gives the loans with the part's columns, still one row a loan.
    """

    name: str
    tables: tuple[str, ...]
    columns: tuple[Column, ...]
    add: Callable[[ir.Table, Held], ir.Table]
    needs: tuple[str, ...] = ()


def with_columns(loans: ir.Table, computed: ir.Table, *names: str) -> ir.Table:
    """The loans with those columns of `computed` (loan_id, …), null where it has no row."""
    # A name that no field has, so that nothing collides.
    computed = computed.select(computed.loan_id.name("computed.loan_id"), *names)
    return loans.left_join(computed, loans.loan_id == computed["computed.loan_id"]).drop("computed.loan_id")


def month_later(day: date) -> date:
    """A month after the day: the same day of the next month, or its last; the end of a month leads to the next end."""
    first = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    length = calendar.monthrange(first.year, first.month)[1]
    at_end = (day + timedelta(days=1)).day == 1
    return first.replace(day=length if at_end else min(day.day, length))


def months_between(start: ir.DateValue, end: ir.DateValue) -> ir.IntegerValue:
    """Calendar months from the month of one date to the month of another."""
    return ((end.year() - start.year()) * 12 + end.month() - start.month()).cast("int64")
