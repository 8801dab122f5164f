"""Compares closed days that another version of the program made with the values that this version computes.

A new version can compute other values although no event changed. The loans concerned are not known, so every loan of
the days is computed. A detection does this for a limited number of positions, latest days first, and the next ones
continue, so that the closes after an upgrade stay short.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines import __version__
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.metrics import positions
from lending_pipelines.restatements import compare
from lending_pipelines.restatements.closes import POSITIONS, Closed, cause_of_day, changed_conventions
from lending_pipelines.restatements.note import Note
from lending_pipelines.tables import TABLES

POSITIONS_OF_A_DETECTION = 10_000_000
"""The number of positions of other versions that one detection computes. It decides how much longer a close takes."""


def days_not_compared(closed: Sequence[Closed], before: Note, conventions: Conventions) -> list[date]:
    """The days of other versions that earlier detections did not compare, latest first.

    Days closed under other conventions are not included: each of them has a restatement that says so.
    """
    until = before.compared_by_this_version(conventions)
    return [
        each.day
        for each in reversed(closed)
        if each.program != __version__
        and not changed_conventions(each, conventions)
        and (until is None or each.day < until)
    ]


def days_of_one_detection(days: Sequence[date], read: Callable[[str], ir.Table]) -> list[date]:
    """The first of these days, as many as one detection compares; at least one if there are any."""
    loans = int(read("loans").count().to_pyarrow().as_py()) if days else 0
    return list(days[: max(1, POSITIONS_OF_A_DETECTION // max(1, loans))])


def restated(
    lake: Lake,
    days: Sequence[date],
    read: Callable[[str], ir.Table],
    closed: Sequence[Closed],
    conventions: Conventions,
    in_force: ir.Table,
    stack: ExitStack,
) -> ir.Table:
    """The values of all loans on the days that this version computes differently, as rows of restatements."""
    first, last = min(days), max(days)
    now = positions.loan_positions(read, first, last, conventions)
    sides = compare.sides(
        _on(lake.table(POSITIONS, first, last), days),
        _on(now.select(*TABLES[POSITIONS].names), days),
        in_force.filter(in_force.business_date.isin(days)).select(*compare.KEY),
    )
    sides = sides.mutate(
        caused_by=cause_of_day(sides.business_date, closed, conventions), posted_at=ibis.null("timestamp(6)")
    )
    return compare.restated(compare.values(stack.enter_context(lake.staged(sides))), in_force)


def _on(rows: ir.Table, days: Sequence[date]) -> ir.Table:
    return rows.filter(rows.business_date.isin(days))
