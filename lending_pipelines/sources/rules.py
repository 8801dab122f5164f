"""Validates the staged rows of a servicing table before the commit, and lists the rows that break a rule.

tables/rules.py has the rules for a single row. The rules here compare rows: keys are unique, and a reversed transaction
or accrual exists. Checks across tables run after the sync, in checks/.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.sources.finding import SHOWN, Finding, example
from lending_pipelines.tables import Table
from lending_pipelines.tables.rules import rejecting_rules

_REVERSED = {"transactions": "a transaction", "accruals": "an accrual"}
"""The tables with reversals, and what a reversal reverses."""


KEYS_AT_A_TIME = 4_000_000
"""The approximate number of keys that are in memory at a time to find those that occur more than once."""


@dataclass(frozen=True)
class Fault:
    """A possible error in a column, and the rows that have it. There may be no such rows."""

    column: str
    problem: str
    rows: ir.Table


def findings(
    table: Table,
    staged: ir.Table,
    current: ir.Table | None,
    conventions: Conventions,
    unreadable: Sequence[Finding] = (),
) -> list[Finding]:
    """Every error of the staged rows.

    Args:
        table: The servicing table.
        staged: The rows that were read.
        current: The lake's rows, or None if it has none.
        conventions: They decide which journal lines are allowed.
        unreadable: Errors found during reading. Values that could not be read are null in `staged`, so nulls of these
            columns are not reported.
    """
    doubtful = {finding.column for finding in unreadable}
    rules = [
        rule
        for rule in rejecting_rules(table, negative_journal_lines=conventions.negative_journal_lines)
        # A null in a column with unreadable values may be one of them.
        if not (rule.on_nulls and rule.column in doubtful)
    ]
    faults = [
        *(Fault(rule.column, rule.problem, staged.filter(rule.broken(staged))) for rule in rules),
        *_unknown_reversed(table, staged, current, doubtful),
    ]
    # One query counts all errors. Only errors that occur get a second query.
    counted = staged.agg(
        rows=staged.count(), **{f"fault_{n}": rule.broken(staged).sum() for n, rule in enumerate(rules)}
    )
    for n, fault in enumerate(faults[len(rules) :], len(rules)):
        counted = counted.cross_join(fault.rows.agg(**{f"fault_{n}": fault.rows.count()}))
    counts = counted.to_pyarrow().to_pylist()[0]
    broken = [(fault, counts[f"fault_{n}"]) for n, fault in enumerate(faults)]
    if not doubtful.intersection(table.key):
        repeated = Fault(", ".join(table.key), "have a key that occurs more than once", _repeated_keys(table, staged))
        broken.insert(len(rules), (repeated, _count_repeated_keys(table, staged, counts["rows"])))
    return [*unreadable, *(finding(table, fault, count) for fault, count in broken if count)]


def _repeated_keys(table: Table, rows: ir.Table) -> ir.Table:
    """The keys that occur more than once."""
    return rows.group_by(*table.key).aggregate(times=rows.count()).filter(lambda t: t.times > 1)


def _count_repeated_keys(table: Table, rows: ir.Table, number: int) -> int:
    """The number of keys that occur more than once. Groups of keys are counted one after the other, to bound memory."""
    groups = 1 + number // KEYS_AT_A_TIME
    group = rows[table.key[0]].hash() % groups
    keys = (rows if groups == 1 else rows.filter(group.isin([n, -n])) for n in range(groups))
    return sum(_repeated_keys(table, each).count().to_pyarrow().as_py() for each in keys)


def _unknown_reversed(table: Table, staged: ir.Table, current: ir.Table | None, doubtful: set[str]) -> Iterator[Fault]:
    """The reversals of rows that do not exist, unless a column that tells this has unreadable values (`doubtful`)."""
    if table.name not in _REVERSED or doubtful.intersection((*table.key, "type", "reverses_id")):
        return
    [key] = table.key
    reversals = staged.filter(staged.reverses_id.notnull())
    if "type" in table.names:
        reversals = reversals.filter(reversals.type == "reversal")
    unknown = reversals
    for rows in (staged,) if current is None else (staged, current):
        # Reduce the right side to few rows first, because an anti-join keeps all of them in memory.
        reversed_ = rows.select(reverses_id=key).semi_join(reversals, "reverses_id")
        unknown = unknown.anti_join(reversed_, "reverses_id")
    yield Fault("reverses_id", f"reverse {_REVERSED[table.name]} that does not exist", unknown)


def finding(table: Table, fault: Fault, count: int) -> Finding:
    """An error of `count` rows, with the first few of them."""
    value = [fault.column] if fault.column in table.names and fault.column not in table.key else []
    first = fault.rows.select(*table.key, *value).order_by(*table.key).limit(SHOWN).to_pyarrow().to_pylist()
    examples = tuple(
        example({name: row[name] for name in table.key}, *(row[name] for name in value if row[name] is not None))
        for row in first
    )
    return Finding(fault.column, fault.problem, count, examples)
