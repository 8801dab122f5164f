"""What the rows of a servicing table must satisfy before the lake takes them: set-based checks over staged rows.

These are the rules without which a row has no meaning. Whether meaningful rows are plausible, and agree with each
other across tables, is judged after the sync, in checks/.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from lending_pipelines.sources.convert import SHOWN
from lending_pipelines.tables import Column, Table


@dataclass(frozen=True)
class Finding:
    """Rows that break one rule: the column, what is wrong, how many rows, and the keys of the first few."""

    column: str
    problem: str
    rows: int
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.column}: {self.rows} rows {self.problem} ({'; '.join(self.keys)})"


@dataclass(frozen=True)
class _Rule:
    """A row breaks the rule where `broken` is true; a null is judged by the rule on nulls alone."""

    column: str
    problem: str
    broken: Callable[[ir.Table], ir.BooleanValue]


def findings(table: Table, staged: ir.Table, current: ir.Table | None) -> list[Finding]:
    """Every rule that staged rows break; `current` is what the lake holds, None when it has nothing."""
    return [
        *_broken_rows(table, staged),
        *_duplicate_keys(table, staged),
        *_changed_events(table, staged, current),
        *_unknown_reversed(table, staged, current),
    ]


def contradictions(table: Table, staged: ir.Table, current: ir.Table) -> ir.Table:
    """The staged rows whose key the lake holds with other content."""
    both = staged.join(current, list(table.key), rname="{name}_held")
    values = [name for name in table.names if name not in table.key]
    if not values:
        return staged.limit(0)
    differs = ibis.or_(*(~both[name].identical_to(both[f"{name}_held"]) for name in values))
    return both.filter(differs).select(*table.names)


def _rules(table: Table) -> Iterator[_Rule]:
    for column in table.columns:
        if not column.nullable:
            yield _required(column)
        if column.values:
            yield _one_of(column)
    yield from _TABLE_RULES.get(table.name, ())


def _required(column: Column) -> _Rule:
    return _Rule(column.name, "have no value", lambda rows: rows[column.name].isnull())


def _one_of(column: Column) -> _Rule:
    problem = f"have a value that is none of {', '.join(column.values)}"
    return _Rule(column.name, problem, lambda rows: rows[column.name].notin(column.values))


def _not_negative(name: str) -> _Rule:
    return _Rule(name, "are negative", lambda rows: rows[name] < 0)


_TABLE_RULES: dict[str, tuple[_Rule, ...]] = {
    "transactions": (
        _Rule(
            "amount",
            "are not principal + interest + fees",
            lambda t: t.amount != t.principal + t.interest + t.fees,
        ),
        *map(_not_negative, ("principal", "interest", "fees")),
        _Rule(
            "reverses_id",
            "are reversals of nothing",
            lambda t: (t.type == "reversal") & t.reverses_id.isnull(),
        ),
    ),
    "journal_lines": (
        _Rule(
            "debit",
            "do not have exactly one of debit and credit above zero and the other zero",
            lambda t: (t.debit < 0) | (t.credit < 0) | ((t.debit == 0) == (t.credit == 0)),
        ),
    ),
}


def _broken_rows(table: Table, staged: ir.Table) -> Iterator[Finding]:
    rules = list(_rules(table))
    # One pass over the rows counts for all rules; only a broken one is looked at again.
    counted = staged.aggregate(**{f"rule_{n}": rule.broken(staged).sum() for n, rule in enumerate(rules)})
    counts = counted.to_pyarrow().to_pylist()[0]
    for n, rule in enumerate(rules):
        if counts[f"rule_{n}"]:
            yield _finding(table, rule.column, rule.problem, staged.filter(rule.broken(staged)))


def _duplicate_keys(table: Table, staged: ir.Table) -> Iterator[Finding]:
    repeated = staged.group_by(*table.key).aggregate(times=staged.count()).filter(lambda t: t.times > 1)
    if _count(repeated):
        yield _finding(table, ", ".join(table.key), "are keys given more than once", repeated)


def _changed_events(table: Table, staged: ir.Table, current: ir.Table | None) -> Iterator[Finding]:
    if table.load != "append" or current is None:
        return
    changed = contradictions(table, staged, current)
    if _count(changed):
        problem = "differ from what the lake holds under their key, but events are never updated: reverse them instead"
        yield _finding(table, ", ".join(table.key), problem, changed)


def _unknown_reversed(table: Table, staged: ir.Table, current: ir.Table | None) -> Iterator[Finding]:
    if table.name != "transactions":
        return
    reversals = staged.filter((staged.type == "reversal") & staged.reverses_id.notnull())
    known = staged.select(reverses_id="transaction_id")
    unknown = reversals.anti_join(known, "reverses_id")
    if current is not None:
        unknown = unknown.anti_join(current.select(reverses_id="transaction_id"), "reverses_id")
    if _count(unknown):
        yield _finding(table, "reverses_id", "reverse a transaction that does not exist", unknown)


def _finding(table: Table, column: str, problem: str, broken: ir.Table) -> Finding:
    first = broken.select(*table.key).order_by(*table.key).limit(SHOWN).to_pyarrow().to_pylist()
    keys = tuple(", ".join(f"{name}={value}" for name, value in row.items()) for row in first)
    return Finding(column, problem, _count(broken), keys)


def _count(rows: ir.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())
