"""A part of the field catalogue: fields that are computed together, and how they are added to a tape's loans.

The parts are in joined_fields.py (columns of other tables), period.py, history.py, installments.py and loan_state.py.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import ibis.expr.types as ir

from lending_pipelines.tables import Column

POSITIONS = "loan_positions"

Read = Callable[[str], ir.Table]
"""Returns a table of the lake by its name."""


@dataclass(frozen=True)
class TapeContext:
    """The input of a part: the loans' rows of loan_positions on the tape's day, and access to other tables."""

    positions: ir.Table
    read: Read
    day: date


@dataclass(frozen=True)
class Part:
    """Fields that are computed together.

    `tables` are the tables read in addition to the loans' positions; `needs` are the parts whose columns `add` reads;
    `add` returns the loans with the part's columns added, one row per loan.
    """

    name: str
    tables: tuple[str, ...]
    columns: tuple[Column, ...]
    add: Callable[[ir.Table, TapeContext], ir.Table]
    needs: tuple[str, ...] = ()


def with_columns(loans: ir.Table, computed: ir.Table, *names: str) -> ir.Table:
    """Add columns of `computed` (loan_id, …) to the loans; null where it has no row."""
    # Use a name that no field has, to avoid a collision.
    computed = computed.select(computed.loan_id.name("computed.loan_id"), *names)
    return loans.left_join(computed, loans.loan_id == computed["computed.loan_id"]).drop("computed.loan_id")


def month_later(day: date) -> date:
    """The same day of the next month, or its last day; the last day of a month gives the last day of the next."""
    first = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    length = calendar.monthrange(first.year, first.month)[1]
    at_end = (day + timedelta(days=1)).day == 1
    return first.replace(day=length if at_end else min(day.day, length))
