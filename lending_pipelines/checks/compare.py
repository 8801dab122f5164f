"""Expressions that several checks share: comparing two tables row by row, and summing positions by scope.

They do not use metrics/: a check that reuses the code that it checks would always agree with it.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import reduce
from operator import or_

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.checks.days import Days
from lending_pipelines.metrics.scopes import DIMENSIONS
from lending_pipelines.tables import TABLES
from lending_pipelines.tables.rules import rejecting_rules

TOLERANCE = 1e-9
"""Ratios that differ by less count as equal; amounts must be equal to the cent."""


def each_day(spells: ir.Table, days: Days) -> ir.Table:
    """One row per spell and day: each of the days from the spell's `since` to its `until`, as business_date."""
    if days.consecutive:
        return _dated(spells.mutate(day=_range(spells.since, spells.until).unnest()).drop("since", "until"))
    rows = spells.cross_join(days.table)
    return rows.filter(rows.business_date.between(rows.since, rows.until)).drop("since", "until")


def calendar(first: date, last: date) -> ir.Table:
    """One row for each day from the first to the last, as business_date."""
    return _dated(_range(ibis.literal(first), ibis.literal(last)).unnest().name("day").as_table())


def any_of(conditions: Iterable[ir.BooleanValue]) -> ir.BooleanValue:
    """True where any condition is true."""
    return reduce(or_, conditions)


def broken(*conditions: ir.BooleanValue) -> ir.BooleanValue:
    """True where any condition is true or null: a rule that cannot be evaluated counts as broken."""
    return any_of(condition.fill_null(True) for condition in conditions)


def breaking(rows: ir.Table, table: str, *columns: str, negative_journal_lines: bool = False) -> ir.BooleanValue:
    """True for the rows of a servicing table that break one of its rules on these columns (tables/rules.py)."""
    rules = rejecting_rules(TABLES[table], negative_journal_lines=negative_journal_lines)
    return broken(*(rule.broken(rows) for rule in rules if rule.column in columns))


def differs(left: ir.Value, right: ir.Value) -> ir.BooleanValue:
    """Whether two values differ. Ratios differ only if the difference is more than TOLERANCE."""
    if left.type().is_floating() or right.type().is_floating():
        return (left - right).abs() > TOLERANCE
    return left != right


def differences(expected: ir.Table, stored: ir.Table, keys: Sequence[str], measures: Sequence[str]) -> ir.Table:
    """The keys whose measures differ, with `expected_…` and `stored_…` of each; null where a side has no such row.

    Rows with the same key are summed first, so duplicates are found; a row of zeros equals a missing row.
    """
    wide = {name: _widest(expected[name].type()) for name in measures}

    def side(table: ir.Table, prefix: str, other: str) -> ir.Table:
        own = {f"{prefix}_{name}": table[name].cast(wide[name]) for name in measures}
        missing = {f"{other}_{name}": ibis.null(wide[name]) for name in measures}
        columns = own | missing
        names = [f"{p}_{name}" for name in measures for p in ("expected", "stored")]
        return table.select(*keys, **{name: columns[name] for name in names})

    both = side(expected, "expected", "stored").union(side(stored, "stored", "expected"))
    totals = both.group_by(list(keys)).agg(
        **{name: both[name].sum().cast(both[name].type()) for name in both.columns if name not in keys}
    )
    return totals.filter(
        any_of(differs(totals[f"expected_{m}"].fill_null(0), totals[f"stored_{m}"].fill_null(0)) for m in measures)
    )


def together(*tables: ir.Table) -> list[pa.Table]:
    """The rows of each table, in any order, read by one query. What the tables share is then computed only once."""
    types = [
        {f"{number}_{name}": type_ for name, type_ in table.schema().items()} for number, table in enumerate(tables)
    ]
    every = {name: type_ for some in types for name, type_ in some.items()}
    sides = [
        table.rename({f"{number}_{name}": name for name in table.columns}).select(
            side=ibis.literal(number),
            **{name: ibis._[name] if name in own else ibis.null(every[name]) for name in every},
        )
        for number, (table, own) in enumerate(zip(tables, types, strict=True))
    ]
    rows = ibis.union(*sides).to_pyarrow()
    return [
        rows.filter(pc.equal(rows["side"], number)).select(list(own)).rename_columns(list(table.columns))
        for number, (table, own) in enumerate(zip(tables, types, strict=True))
    ]


def by_scope(positions: ir.Table, by: Sequence[str], sums: Sequence[str]) -> ir.Table:
    """The sums of positions by business_date, scope, scope_id, currency and `by`."""
    keys = ["business_date", "currency", *by]
    # Aggregate the positions once; then sum the scopes from the smaller result.
    facts = positions.group_by([*keys, *DIMENSIONS.values()]).agg(**{name: positions[name].sum() for name in sums})
    levels = [facts.mutate(scope=ibis.literal("all"), scope_id=ibis.literal("*"))]
    for scope, column in DIMENSIONS.items():
        placed = facts.filter(facts[column].notnull())
        levels.append(placed.mutate(scope=ibis.literal(scope), scope_id=placed[column]))
    scoped = ibis.union(*levels)
    return scoped.group_by([*keys, "scope", "scope_id"]).agg(**{name: scoped[name].sum() for name in sums})


def _range(since: ir.Value, until: ir.Value) -> ir.ArrayValue:
    after = (until + ibis.interval(days=1)).cast("timestamp")
    return ibis.range(since.cast("timestamp"), after, ibis.interval(days=1))


def _dated(days: ir.Table) -> ir.Table:
    return days.mutate(business_date=days.day.cast("date")).drop("day")


def _widest(type_: dt.DataType) -> dt.DataType:
    if type_.is_decimal():
        return dt.Decimal(38, type_.scale)
    return dt.float64 if type_.is_floating() else dt.int64
