"""The register's assignments of loans compared with their certified copy in the lake, as of the last certified day."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.evidence.chain import Certificate
from lending_pipelines.evidence.inventory import Places
from lending_pipelines.metrics.ownership import loan_ownership
from lending_pipelines.register import Register, membership, ownership
from lending_pipelines.tables import TABLES

_SHOWN = 20

_COPIES: dict[str, Callable[[Register], pa.Table]] = {
    "portfolio_membership": membership,
    "loan_ownership": ownership,
}
"""The tables of the lake that copy the register's assignments, and how each is read from the register."""


def assignment_differences(places: Places, chain: Sequence[Certificate]) -> Iterator[str]:
    """A sentence for each assignment on a certified day that differs now; the first 20 of each table.

    Assignments that begin after the last certified day, and removals after it, are not differences.
    """
    closes = [each for each in chain if each.kind == "close" and each.business_date]
    if not closes:
        return
    day = max(each.business_date for each in closes if each.business_date)
    states = closes[-1].content["source"]["tables"]
    for name, read in _COPIES.items():
        if name not in states:
            continue
        certified = _as_of(places.lake.table(name, version=states[name]["delta_version"]), day)
        assigned = ibis.memtable(read(places.register))
        if name == "loan_ownership" and "loan_owners" in states:
            owners = places.lake.table("loan_owners", version=states["loan_owners"]["delta_version"])
            assigned = loan_ownership(assigned, owners)
        now = _as_of(assigned, day)
        key = list(TABLES[name].key)
        different = ibis.union(certified.difference(now), now.difference(certified)).select(key).distinct()
        rows = different.order_by(key).to_pyarrow().to_pylist()
        for row in rows[:_SHOWN]:
            named = ", ".join(f"{column} {value}" for column, value in row.items())
            yield f"The register's assignments were changed for days up to {day}: {name} {named}."
        if len(rows) > _SHOWN:
            yield f"The register's assignments were changed for days up to {day}: {name} {len(rows) - _SHOWN:,} more."


def _as_of(rows: ir.Table, day: date) -> ir.Table:
    """The assignments as of the end of a day: those that began by then, without an end if they end later."""
    next_day = ibis.literal(day + timedelta(days=1))
    ended = ibis.ifelse(rows.removed_on > ibis.literal(day), ibis.null("date"), rows.removed_on)
    return rows.mutate(removed_on=ended).filter(rows.assigned_on < next_day)
