"""Checks that a closed day is current for a tape.

A change of portfolio membership, ownership, conventions or servicing data after the close makes the day outdated for
tapes with the loans concerned. If anything that the day was made from has changed, the tape's loans are recomputed and
compared with the stored ones. metrics/ defines the numbers.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines import __version__
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics import positions
from lending_pipelines.metrics.ownership import loan_ownership
from lending_pipelines.register import PeriodLocks, Register, membership, ownership
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.resources import LakeReportSource
from lending_pipelines.restatements.closes import changed_conventions, closed_days
from lending_pipelines.tapes.parts import POSITIONS

_ASSIGNMENTS = {"portfolio_id": "portfolio membership", "investor_id": "ownership"}
_DATA = "servicing data or conventions"


class OutdatedDay(LendingError):
    """The loans of a tape's day have changed since the day was closed."""


def require_current(config: LoanTapeConfig, day: date, source: LakeReportSource, register: Register) -> None:
    """Raise OutdatedDay when a loan of the tape would differ if the day were closed again now.

    The compared loans are those in the tape and those that would be in it now, with the register's current membership
    and ownership and the lake's current servicing data. A locked day cannot be closed again, so it counts as current.
    """
    with register.session() as session:
        locked_until = PeriodLocks(session).locked_until()
    if locked_until is not None and day <= locked_until:
        return
    assigned = {
        "portfolio_membership": ibis.memtable(membership(register)),
        "loan_ownership": loan_ownership(ibis.memtable(ownership(register)), source.table("loan_owners")),
    }
    if _is_as_closed(day, source, assigned):
        return
    stored = source.table(POSITIONS)
    stored = stored.filter(stored.business_date == day)
    loan_ids = _loan_ids(config, day, stored, assigned["portfolio_membership"], source)
    if not len(loan_ids):
        return
    chosen = ibis.memtable(pa.table({"loan_id": loan_ids}))

    def read(name: str) -> ir.Table:
        rows = assigned[name] if name in assigned else source.table(name)
        return rows.semi_join(chosen, "loan_id") if "loan_id" in rows.columns else rows

    anew = positions.loan_positions(read, day, day, source.conventions)
    changes = _changes(config, stored.semi_join(chosen, "loan_id"), anew, source)
    if changes:
        raise OutdatedDay(
            f"tape {config.name!r} of {day}: data changed after the day was closed"
            f" ({', '.join(f'{what} of {_loans(count)}' for what, count in changes.items())}): close it again with"
            f" `lending close --from {day} --to {day} --force`"
        )


def _is_as_closed(day: date, source: LakeReportSource, assigned: Mapping[str, ir.Table]) -> bool:
    """Whether closing the day now would use the same versions of tables, assignments, conventions and program."""
    closed = next((each for each in closed_days(source.lake) if each.day == day), None)
    if closed is None or closed.made_from is None or closed.program != __version__:
        return False
    if changed_conventions(closed, source.conventions):
        return False
    if source.identity(POSITIONS).version != source.lake.version(POSITIONS):
        # Another run may have closed the day again after this run began to read.
        return False
    for name in positions.sources(source.conventions):
        if not source.lake.has(name) or closed.made_from.get(name) != source.identity(name).version:
            return False
    return all(_same_rows(source, source.table(name), rows) for name, rows in assigned.items())


def _same_rows(source: LakeReportSource, these: ir.Table, those: ir.Table) -> bool:
    those = those.select(*these.columns)
    differing = ibis.union(these.difference(those, distinct=False), those.difference(these, distinct=False))
    return not source.batches(differing.limit(1)).read_all().num_rows


def _loan_ids(
    config: LoanTapeConfig, day: date, stored: ir.Table, members: ir.Table, source: LakeReportSource
) -> pa.ChunkedArray:
    """The loans that were in the tape's portfolio when the day was closed, or that the register has in it now."""
    until = members.removed_on.isnull() | (members.removed_on > day)
    now = members.filter(members.portfolio_id == config.portfolio_id, members.assigned_on <= day, until)
    then = stored.filter(stored.portfolio_id == config.portfolio_id)
    both = ibis.union(now.select("loan_id"), then.select("loan_id"), distinct=True)
    return source.batches(both).read_all()["loan_id"]


def _changes(config: LoanTapeConfig, stored: ir.Table, anew: ir.Table, source: LakeReportSource) -> dict[str, int]:
    """The number of the tape's loans that differ, by reason; reasons without loans are left out."""
    columns = [name for name in stored.columns if name not in ("business_date", "loan_id")]
    both = stored.outer_join(anew.select(*stored.columns), "loan_id", rname="{name}_anew")
    both = both.filter(_in_tape(config, both, "") | _in_tape(config, both, "_anew"))
    differs = {name: ~both[name].identical_to(both[f"{name}_anew"]) for name in columns}
    counted = _count_true(differs[name] for name in columns if name not in _ASSIGNMENTS)
    totals = both.agg(
        **{what: differs[column].cast("int64").sum() for column, what in _ASSIGNMENTS.items()},
        **{_DATA: (counted > 0).cast("int64").sum()},
    )
    counts = source.batches(totals).read_all().to_pylist()[0]
    return {what: count for what, count in counts.items() if count}


def _in_tape(config: LoanTapeConfig, both: ir.Table, suffix: str) -> ir.BooleanValue:
    here = both[f"portfolio_id{suffix}"].identical_to(ibis.literal(config.portfolio_id))
    if config.investor_id is None:
        return here
    return here & both[f"investor_id{suffix}"].identical_to(ibis.literal(config.investor_id))


def _count_true(conditions: Iterable[ir.BooleanValue]) -> ir.IntegerValue:
    """The number of conditions that hold, per row."""
    return sum((condition.cast("int64") for condition in conditions), ibis.literal(0, "int64"))


def _loans(count: int) -> str:
    return f"{count:,} loan{'s' * (count > 1)}"
