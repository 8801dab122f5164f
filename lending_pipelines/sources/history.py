"""Keeps the history of a system that changes its rows in place, from the first sync on.

The lake's rows stay. A sync adds the changes that it finds. They count as known from that sync on:

- A schedule that changed becomes a new version.
- A transaction whose portions changed gets a reversal and a new row, both on the transaction's own date.
- A transaction that is gone gets a reversal on its own date.
- Accruals follow the rules of transactions.
- A new row that was recorded before the last sync, which did not see it, counts as known from this sync on.

The id of a changed transaction is the id of its first row, followed by `~2`, `~3` and so on. The id of a reversal ends
in `~undone`. Everything before the first sync is reconstructed from what the system still has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol, runtime_checkable

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.sources.reading import Reading, Staging, read_staged
from lending_pipelines.sources.staging import write_batches
from lending_pipelines.tables import Table
from lending_pipelines.tables.accruals import as_transactions, from_transactions

UNDONE = "~undone"
"""The end of a reversal's id, after the id of the transaction that it reverses."""

_CHANGED = "~"
"""The separator between the id of a transaction's first row and the number of a later row."""

_MONEY = ("loan_id", "type", "effective_on", "principal", "interest", "fees")
_PLAN = ("due_on", "principal", "interest", "fees")


@runtime_checkable
class ChangesInPlace(Protocol):
    """A reader of a system that changes rows in place. The id of a reversal in its transactions ends in UNDONE."""

    def schedules_changed_on(self, loan_ids: Sequence[str], timezone: str) -> Mapping[str, date]:
        """The business date on which the schedule of each loan last changed.

        Args:
            loan_ids: The loans.
            timezone: The IANA time zone in which a business date ends.
        """


@dataclass(frozen=True)
class Moment:
    """When a sync runs."""

    now: datetime
    """The time of the sync (UTC), which is the posted_at of the changes that it finds."""
    last: datetime
    """When the lake's table was last written (UTC)."""
    timezone: str = "UTC"
    """The IANA time zone in which a business date ends."""


def with_history(
    reader: ChangesInPlace,
    table: Table,
    reading: Reading,
    current: ir.Table,
    moment: Moment,
    engine: Staging,
    folder: str,
) -> Reading:
    """The reading with history. For transactions, accruals and installments, its rows are those to add to the lake.

    Rows of other tables keep the posted_at with which they became known.

    Args:
        reader: The source.
        table: The servicing table.
        reading: The result of reading all its rows, or all rows of some loans.
        current: The lake's rows, or those of the same loans.
        moment: When the sync runs.
        engine: Computes the rows.
        folder: Where they are staged.
    """
    match table.name:
        case "transactions":
            new = events(reading.rows, current, moment)
        case "accruals":
            new = from_transactions(events(as_transactions(reading.rows), as_transactions(current), moment))
        case "installments":
            new = versions(
                reading.rows, current, moment, lambda loans: reader.schedules_changed_on(loans, moment.timezone)
            )
        case _ if "posted_at" in table.names:
            return replace(reading, rows=_first_known(table, reading.rows, current, moment))
        case _:
            return reading
    file = f"{folder}/{table.name}.history.parquet"
    write_batches(engine.batches(new.cast(table.schema)), file, table.arrow_schema)
    return replace(reading, rows=read_staged(engine, file, table), covered=None)


def in_force(table: Table, rows: ir.Table) -> ir.Table:
    """The lake's rows as the source would show them: the last version of each schedule, one row per transaction.

    A transaction has the id of its first row. If it is undone, it has only its id, its loan and the type reversal.
    Accruals are like transactions.
    """
    match table.name:
        case "installments":
            return _last_version(rows)
        case "transactions":
            return _events_in_force(rows)
        case "accruals":
            return _events_in_force(as_transactions(rows)).rename(accrual_id="transaction_id")
        case _:
            return rows


def _events_in_force(rows: ir.Table) -> ir.Table:
    """`in_force` of transactions: transaction_id and _MONEY."""
    columns = ["transaction_id", *_MONEY]
    kept = _in_force(rows)
    undone = rows.filter(rows.type == "reversal")
    undone = undone.select("loan_id", transaction_id=_base(undone.transaction_id)).distinct()
    # Reduce the right side to few rows first, because an anti-join keeps all of them in memory.
    again = kept.select(transaction_id="base").semi_join(undone, "transaction_id")
    undone = undone.anti_join(again, "transaction_id")
    unknown = {name: ibis.null(rows.schema()[name]) for name in columns if name not in undone.columns}
    undone = undone.mutate(**unknown | {"type": ibis.literal("reversal")})
    return ibis.union(kept.mutate(transaction_id=kept.base).select(columns), undone.select(columns))


def _first_known(table: Table, rows: ir.Table, current: ir.Table, moment: Moment) -> ir.Table:
    """The rows of the source with the posted_at of the lake. New rows have the posted_at of `_seen`."""
    before = current.select(*table.key, first_posted_at="posted_at")
    both = rows.left_join(before, list(table.key), rname="{name}_before")
    return both.mutate(posted_at=ibis.coalesce(both.first_posted_at, _seen(both, moment))).select(*table.names)


def _seen(rows: ir.Table, moment: Moment) -> ir.TimestampValue:
    """When a new row became known: at its posted_at, or at this sync if an earlier sync should have seen the row."""
    late = rows.posted_at <= _literal(moment.last)
    return late.ifelse(_literal(moment.now), rows.posted_at)


def _literal(at: datetime) -> ir.TimestampScalar:
    return ibis.literal(at, "timestamp(6)")


def versions(
    rows: ir.Table,
    current: ir.Table,
    moment: Moment,
    changed_on: Callable[[Sequence[str]], Mapping[str, date]],
) -> ir.Table:
    """The schedules of new loans, and a new version of each schedule that changed.

    Args:
        rows: All installments of the source.
        current: The lake's installments.
        moment: When the sync runs.
        changed_on: Returns the business date on which the schedule of each loan last changed.
    """
    added = rows.anti_join(current, "loan_id")
    added = added.mutate(posted_at=_seen(added, moment))
    plan, kept = _last_version(rows), _last_version(current)
    changed = plan.anti_join(kept, ["loan_id", "number", *_PLAN]).select("loan_id")
    dropped = kept.anti_join(plan, ["loan_id", "number", *_PLAN]).select("loan_id")
    changed = ibis.union(changed.semi_join(kept, "loan_id"), dropped.semi_join(plan, "loan_id"), distinct=True)
    dates = changed_on(changed.to_pyarrow()["loan_id"].to_pylist())
    known = ibis.memtable(
        pa.table([pa.array(dates, pa.string()), pa.array(dates.values(), pa.date32())], ["loan_id", "changed_on"])
    )
    before = kept.group_by("loan_id").agg(last_version=kept.version.max(), last_on=kept.effective_on.max())
    new = plan.inner_join(known, "loan_id").inner_join(before, "loan_id")
    new = new.mutate(
        version=new.last_version + 1,
        effective_on=ibis.greatest(new.changed_on, new.last_on),
        posted_at=_literal(moment.now),
    )
    return ibis.union(added, new.select(*rows.columns))


def _last_version(installments: ir.Table) -> ir.Table:
    """The installments of the last version of each loan's schedule."""
    # A window would keep all rows in memory.
    last = installments.group_by("loan_id").agg(version=installments.version.max())
    return installments.semi_join(last, ["loan_id", "version"])


def events(rows: ir.Table, current: ir.Table, moment: Moment) -> ir.Table:
    """New transactions, and a reversal or a new row for each one that differs between the source and the lake."""
    offered, undone = _in_force(rows), rows.filter(rows.type == "reversal")
    kept = _in_force(current)
    bases = current.select(base=_base(current.transaction_id)).distinct()
    generations = current.filter(current.type != "reversal")
    generations = generations.group_by(base=_base(generations.transaction_id)).agg(generations=generations.count())

    added = rows.mutate(base=_base(rows.transaction_id)).anti_join(bases, "base")
    added = added.mutate(posted_at=_seen(added, moment)).drop("base")
    same = ["base", *_MONEY]
    ended = kept.anti_join(offered, same)
    begun = offered.anti_join(kept, same).inner_join(generations, "base")
    replaced = begun.mutate(
        transaction_id=begun.base + _CHANGED + (begun.generations + 1).cast("string"),
        posted_at=_literal(moment.now),
    )
    undone = undone.mutate(base=_base(undone.transaction_id), posted_at=_seen(undone, moment))
    undone = undone.select("base", undone_on="effective_on", undone_at="posted_at")
    reversed_ = ended.left_join(undone, "base", rname="{name}_undone")
    reversed_ = reversed_.mutate(
        reverses_id=reversed_.transaction_id,
        transaction_id=reversed_.transaction_id + UNDONE,
        type=ibis.literal("reversal"),
        effective_on=ibis.coalesce(reversed_.undone_on, reversed_.effective_on),
        posted_at=ibis.coalesce(reversed_.undone_at, _literal(moment.now)),
    )
    return ibis.union(*(each.select(*rows.columns) for each in (added, reversed_, replaced)))


def _in_force(transactions: ir.Table) -> ir.Table:
    """The transactions that are not reversed, with `base`, the id of their first row."""
    reversed_ = transactions.filter(transactions.type == "reversal").select(transaction_id="reverses_id")
    plain = transactions.filter(transactions.type != "reversal").anti_join(reversed_, "transaction_id")
    return plain.mutate(base=_base(plain.transaction_id))


def _base(transaction_id: ir.StringColumn) -> ir.StringColumn:
    """The id of the first row of a transaction, from the id of any of its rows."""
    return transaction_id.split(_CHANGED)[0]
