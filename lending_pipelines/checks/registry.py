"""The list of checks, and the evaluation of blocking checks before an export."""

from collections.abc import Iterable, Sequence
from datetime import date

from lending_pipelines.checks.assignments import assignment_checks
from lending_pipelines.checks.charge_offs import charge_off_checks
from lending_pipelines.checks.contradictions import contradiction_checks
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.ledger import ledger_checks
from lending_pipelines.checks.managers import manager_checks
from lending_pipelines.checks.platform import platform_checks
from lending_pipelines.checks.positions import position_checks
from lending_pipelines.checks.protocol import Check, Memory, Outcome, Read
from lending_pipelines.checks.restatements import RowCondition, all_rows, statements_due
from lending_pipelines.checks.servicing import servicing_checks
from lending_pipelines.checks.suites import Validate, suite_checks
from lending_pipelines.checks.totals import total_checks
from lending_pipelines.conventions import Conventions
from lending_pipelines.expectations.client import validate_alone
from lending_pipelines.tables import TABLES


def all_checks(conventions: Conventions, validate: Validate = validate_alone) -> tuple[Check, ...]:
    """Every check under the conventions; table and name together are unique.

    Args:
        conventions: The conventions that the checks expect.
        validate: Validates a table's suite with Great Expectations.
    """
    return (*own_checks(conventions), *suite_checks(conventions, validate))


def own_checks(conventions: Conventions) -> tuple[Check, ...]:
    """Every check except the Great Expectations suites."""
    return (
        *servicing_checks(),
        *charge_off_checks(),
        *assignment_checks(),
        *position_checks(conventions),
        *contradiction_checks(),
        *total_checks(conventions),
        *manager_checks(conventions),
        *ledger_checks(conventions),
        *platform_checks(),
    )


def checks_for(table: str, conventions: Conventions, validate: Validate = validate_alone) -> tuple[Check, ...]:
    """The checks of one table, from all_checks. Raises KeyError when there is no such table."""
    name = TABLES[table].name
    return tuple(check for check in all_checks(conventions, validate) if check.table == name)


def blocking_checks(tables: Iterable[str], conventions: Conventions) -> tuple[Check, ...]:
    """The blocking checks of the tables and of the daily tables that these are checked against.

    A snapshot that equals wrong positions is wrong too. Checks of snapshots read loan_positions, so the blocking checks
    of loan_positions are included.
    """
    own = [check for check in own_checks(conventions) if check.blocking]
    wanted = set(tables)
    while True:
        chosen = [check for check in own if check.table in wanted]
        more = {name for check in chosen for name in check.reads if TABLES[name].daily} - wanted
        if not more:
            return tuple(chosen)
        wanted |= more


def restatements_due(
    read: Read,
    tables: Iterable[str],
    days: Sequence[date],
    conventions: Conventions,
    condition: RowCondition = all_rows,
) -> tuple[str, ...]:
    """Sentences about the days that differ from what is known now; empty for tables without positions.

    Only the rows of loan_positions for which `condition` is true are compared.
    """
    if all(check.table != "loan_positions" for check in blocking_checks(tables, conventions)):
        return ()
    return tuple(f"{told[0].upper()}{told[1:]}." for told in statements_due(read, days, conventions, condition))


def verify(
    read: Read, tables: Iterable[str], days: Days, conventions: Conventions, memory: Memory
) -> tuple[Outcome, ...]:
    """The outcomes of the tables' blocking checks on the days.

    Checks that `memory` has as passed are not repeated. A check leaves out the days that housekeeping thinned in one of
    the tables that it reads.
    """
    outcomes = []
    thinned = _thinned(read, days)
    for check in blocking_checks(tables, conventions):
        kept_days = [day for day in days.dates if not any((name, day) in thinned for name in check.reads)]
        if kept_days and (unchecked := memory.unchecked(check, Days(tuple(kept_days)))):
            outcomes.append(check.evaluate(read, unchecked))
            memory.remember(check, unchecked, outcomes[-1])
    return tuple(outcomes)


def _thinned(read: Read, days: Days) -> set[tuple[str, date]]:
    """The table and day of rows that housekeeping removed. Checks leave them out."""
    rows = days.rows(read("closed_days"))
    found = rows.filter(rows.thinned_at.notnull()).select("table_name", "business_date").to_pyarrow().to_pylist()
    return {(row["table_name"], row["business_date"]) for row in found}
