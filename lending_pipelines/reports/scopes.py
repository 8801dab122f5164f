"""The loans of a report: scopes of the daily tables, found by id or name."""

from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import and_
from typing import Any, Protocol, runtime_checkable

import ibis
import ibis.expr.types as ir

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.metrics.scopes import DIMENSIONS
from lending_pipelines.reports.parameters import ReportParameters, ScopeFilters
from lending_pipelines.reports.protocol import ReportGeneratorProtocol, ReportSource

EVERYTHING = ("all", "*")

Positions = Callable[[ir.Table], ir.BooleanValue]
"""A condition on rows of loan_positions: true for the rows that a report is about."""


@runtime_checkable
class ChoosesPositions(Protocol):
    """A report type that chooses its loans by parameters other than ScopeFilters."""

    def positions(self, parameters: Any, source: ReportSource, day: date) -> Positions:
        """The rows of loan_positions that the report is about."""


def scope_of(parameters: ScopeFilters, source: ReportSource, day: date) -> tuple[str, str]:
    """The scope and scope_id of parameters that allow one scope. LendingError with similar names if unknown."""
    return next(iter(scopes_of(parameters, source, day)), EVERYTHING)


def scopes_of(parameters: ScopeFilters, source: ReportSource, day: date) -> list[tuple[str, str]]:
    """Every requested scope with its scope_id; empty for all loans."""
    return [(scope, _scope_id(source, day, scope, wanted)) for scope, wanted in parameters.chosen_scopes.items()]


def positions_about(
    report: ReportGeneratorProtocol[Any], parameters: ReportParameters, source: ReportSource, day: date
) -> Positions:
    """The rows of loan_positions that a report is about, for notes on them. LendingError if a scope is unknown."""
    if isinstance(report, ChoosesPositions):
        return report.positions(parameters, source, day)
    chosen = scopes_of(parameters, source, day) if isinstance(parameters, ScopeFilters) else []

    def is_chosen(rows: ir.Table) -> ir.BooleanValue:
        return reduce(and_, (rows[DIMENSIONS[scope]] == key for scope, key in chosen), ibis.literal(True))

    return is_chosen


def rows_of(table: ir.Table, scope: tuple[str, str]) -> ir.Table:
    """The rows of one scope in a table that has scope and scope_id."""
    return table.filter(table.scope == scope[0], table.scope_id == scope[1])


def loans_of(positions: ir.Table, scope: tuple[str, str]) -> ir.Table:
    """The loans of one scope in loan_positions."""
    if scope == EVERYTHING:
        return positions
    return positions.filter(positions[DIMENSIONS[scope[0]]] == scope[1])


def chosen_loans(parameters: ScopeFilters, source: ReportSource, day: date) -> ir.Table:
    """The rows of loan_positions on the day for loans in every requested scope."""
    positions = source.table("loan_positions")
    loans = positions.filter(positions.business_date == day)
    for scope in scopes_of(parameters, source, day):
        loans = loans_of(loans, scope)
    return loans


def among_chosen(rows: ir.Table, parameters: ScopeFilters, source: ReportSource, day: date) -> ir.Table:
    """The rows whose loan is in every requested scope on the day; all rows if no scope is requested."""
    if not parameters.chosen_scopes:
        return rows
    return rows.semi_join(chosen_loans(parameters, source, day), "loan_id")


def chosen_title(parameters: ScopeFilters, source: ReportSource, day: date) -> str:
    """The requested scopes as a title: `all loans`, or `product Auto; branch North`."""
    chosen = scopes_of(parameters, source, day) or [EVERYTHING]
    return "; ".join(scope_title(source, day, scope) for scope in chosen)


def scope_title(source: ReportSource, day: date, scope: tuple[str, str]) -> str:
    """The scope as a title: `all loans`, or `portfolio Consumer North`, with the id if several have the same name."""
    if scope == EVERYTHING:
        return "all loans"
    names = _names(source, day, scope[0])
    name = names.get(scope[1])
    if not name:
        return f"{scope[0]} {scope[1]}"
    alike = sum(other == name for other in names.values())
    return f"{scope[0]} {name}" + (f" ({scope[1]})" if alike > 1 else "")


def names_of(source: ReportSource, day: date, scope: str) -> ir.Table:
    """scope_id and name of all members of that scope on the day."""
    snapshots = source.table("portfolio_snapshots")
    rows = snapshots.filter(snapshots.business_date == day, snapshots.scope == scope)
    return rows.select("scope_id", "name").distinct()


def _scope_id(source: ReportSource, day: date, scope: str, wanted: str) -> str:
    """The id of a scope by id or name. LendingError if there is none, or the name is not unique."""
    names = _names(source, day, scope)
    if wanted in names:
        return wanted
    folded = wanted.strip().casefold()
    matches = [key for key, name in names.items() if folded in (key.casefold(), (name or "").casefold())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise LendingError(f"{scope} name {wanted!r} is not unique: write one of the ids {', '.join(sorted(matches))}")
    candidates = {*names, *(name for name in names.values() if name)}
    instead = did_you_mean(wanted, candidates) if candidates else f"no {scope} has loans on that day"
    raise LendingError(f"there is no {scope} {wanted!r} on {day}; {instead}")


def _names(source: ReportSource, day: date, scope: str) -> dict[str, str | None]:
    """The name by scope_id of all members of that scope on the day."""
    return {row["scope_id"]: row["name"] for row in names_of(source, day, scope).to_pyarrow().to_pylist()}
