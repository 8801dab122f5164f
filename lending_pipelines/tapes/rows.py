"""A tape's rows and control totals, as expressions over the lake's tables."""

from collections.abc import Callable
from datetime import date

import ibis

from lending_pipelines.tables.schema import MONEY
from lending_pipelines.tapes.catalogue import KEYS, POSITIONS
from lending_pipelines.tapes.spec import TapeSpec

Read = Callable[[str], ibis.Table]
"""Gives a table of the lake by its name."""


def tape_tables(spec: TapeSpec) -> tuple[str, ...]:
    """The lake tables that the tape is read from: loan_positions, then those that its fields need."""
    needed = {field.catalogued.table for field in spec.fields}
    return (POSITIONS, *(table for table in KEYS if table in needed))


def tape_rows(spec: TapeSpec, read: Read, business_date: date) -> ibis.Table:
    """The tape: one row a loan of the portfolio (and of the investor, if one is named) at the end of the day.

    Its columns are `spec.columns`, its order is by loan_id. Closed and charged-off loans are in it.
    """
    loans = _loans(spec, read, business_date)
    return loans.order_by("loan_id").select(**{field.name: loans[field.field] for field in spec.fields})


def tape_totals(spec: TapeSpec, read: Read, business_date: date) -> ibis.Table:
    """The control totals: per `currency` the `row_count` and the sum of each money field in the tape, by field name.

    A sum is null when no loan has the amount.
    """
    loans = _loans(spec, read, business_date)
    money = dict.fromkeys(field.field for field in spec.fields if field.catalogued.type == MONEY)
    sums = {name: loans[name].sum() for name in money}
    return loans.group_by("currency").aggregate(row_count=loans.count(), **sums).order_by("currency")


def _loans(spec: TapeSpec, read: Read, business_date: date) -> ibis.Table:
    """The tape's loans with every column of loan_positions and the fields of other tables that the tape has."""
    positions = read(POSITIONS)
    loans = positions.filter(positions.business_date == business_date, positions.portfolio_id == spec.portfolio_id)
    if spec.investor_id is not None:
        loans = loans.filter(loans.investor_id == spec.investor_id)
    for table in tape_tables(spec)[1:]:
        here, there = KEYS[table]
        other = read(table)
        fields = {f.field: other[f.catalogued.column] for f in spec.fields if f.catalogued.table == table}
        # A name that no field has, so that nothing collides.
        key = f"{table}.{there}"
        other = other.select(other[there].name(key), **fields)
        loans = loans.left_join(other, loans[here] == other[key]).drop(key)
    return loans
