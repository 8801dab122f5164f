"""Finds closed days that differ from what is known now, and adds them to the table restatements.

A detection does not compute the full history again. It examines only the events that changed since the previous
detection: the note of that commit has the Delta versions of the tables that it compared. Only the loans and days of
these events are compared.

Reported positions come from one of two places. If the previous detection compared the day, they are computed from the
versions that it compared, because computing a few loans is faster than reading all days, and the result is equal. For
other days, they are read from loan_positions.

programs.py compares days that another version of the program closed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines import __version__
from lending_pipelines.checks.restatements import loans_that_can_differ
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake, LakeError
from lending_pipelines.metrics import positions
from lending_pipelines.metrics.timeline import MIN_DATE
from lending_pipelines.restatements import changes, compare, programs
from lending_pipelines.restatements.closes import (
    CLOSES,
    POSITIONS,
    Closed,
    cause_of_day,
    closed_days,
    instants,
    under_other_conventions,
)
from lending_pipelines.restatements.note import Note
from lending_pipelines.tables import TABLES


@dataclass(frozen=True)
class Detected:
    """One detection: when, how many values were added, and how many days of other program versions are left.

    Later detections compare the days that are left.
    """

    at: datetime
    rows: int
    days_left: int

    def left_as_text(self) -> str:
        """One line about the days that are left."""
        days = "1 closed day" if self.days_left == 1 else f"{self.days_left:,} closed days"
        return (
            f"{days} of other program versions are not yet compared with version {__version__}: each close and each"
            " `lending restate` compares more of them, the latest first"
        )


@dataclass(frozen=True)
class _Scope:
    """The closed days to compare, by where their reported positions come from.

    `computed` are days that the previous detection compared. Their positions are computed from its versions, `before`.
    `stored` are the other days. Their positions are read from loan_positions. `since` are the earliest versions that
    any of these days was made from, None if unknown.
    """

    computed: list[date]
    stored: list[date]
    before: Mapping[str, int]
    since: Mapping[str, int] | None

    @property
    def days(self) -> list[date]:
        return sorted([*self.computed, *self.stored])

    def from_the_lake(self) -> "_Scope":
        """The same days, all read from loan_positions. The earliest versions are unknown."""
        return _Scope([], self.days, {}, None)


def detect(lake: Lake, conventions: Conventions, locked: Sequence[date] = ()) -> Detected:
    """Compare what changed since the previous detection, and add the differences to restatements in one commit.

    Args:
        lake: The lake.
        conventions: The current conventions.
        locked: The ends of the locked periods.
    """
    at = datetime.now(UTC).replace(tzinfo=None)
    versions = {name: lake.version(name) for name in (CLOSES, *positions.sources(conventions))}
    closed = closed_days(lake, versions[CLOSES])
    before = Note.of_latest(lake)
    in_force = restatements_in_force(lake, closed)
    not_compared = programs.days_not_compared(closed, before, conventions)

    def read(name: str) -> ir.Table:
        return lake.table(name, version=versions.get(name))

    with ExitStack() as stack:
        rows = [under_other_conventions(closed, conventions, in_force)]
        scope = _scope(lake, closed, versions, before.versions, conventions)
        if scope.days:
            rows += _of_loans(lake, scope, versions, closed, conventions, in_force, stack)
        compared = programs.days_of_one_detection(not_compared, read)
        if compared:
            of_programs = programs.restated(lake, compared, read, closed, conventions, in_force, stack)
            rows.append(of_programs.anti_join(ibis.union(*rows), list(compare.VALUE_KEY)))
        found = ibis.union(*rows)
        table = TABLES["restatements"]
        found = found.mutate(detected_at=ibis.literal(at, "timestamp(6)"), locked_until=_locked_until(found, locked))
        compared_from = min(compared) if compared else before.compared_by_this_version(conventions)
        note = Note.of_detection(versions, compared_from, conventions)
        written = lake.add("restatements", table.shape(found), note=note.as_text())
    return Detected(at, written.rows, len(not_compared) - len(compared))


def is_outdated(lake: Lake, conventions: Conventions) -> bool:
    """Whether a detection can find more: tables changed since the last one, or days of other programs are left."""
    before = Note.of_latest(lake)
    # A table that this release added is not in the lake before the next sync.
    names = [name for name in positions.sources(conventions) if lake.has(name)]
    if any(lake.version(name) != before.versions.get(name) for name in names):
        return True
    return bool(programs.days_not_compared(closed_days(lake), before, conventions))


def restatements_in_force(lake: Lake, closed: Sequence[Closed]) -> ir.Table:
    """The latest restatement of each value that was found after its day was last closed."""
    rows = lake.table("restatements").join(instants(closed, "closed_at"), "business_date")
    rows = rows.filter(rows.detected_at > rows.closed_at)
    newest = ibis.window(group_by=compare.VALUE_KEY, order_by=rows.detected_at.desc())
    rows = rows.mutate(place=ibis.row_number().over(newest))
    return rows.filter(rows.place == 0).drop("place", "closed_at")


def _scope(
    lake: Lake,
    closed: Sequence[Closed],
    versions: Mapping[str, int],
    before: Mapping[str, int],
    conventions: Conventions,
) -> _Scope:
    """The closed days that can differ."""
    # A detection of an earlier release, or under other conventions, may not have compared all of these tables.
    names = positions.sources(conventions)
    then = _closes_at(lake, before) if before.keys() >= set(names) else {}
    stamp, program = conventions.stamp(), __version__
    sources = {name: versions[name] for name in names}
    computed: list[date] = []
    stored: list[date] = []
    made_from: list[Mapping[str, int] | None] = []
    for each in closed:
        compared = then.get(each.day) == each.closed_at
        base = {name: before[name] for name in names} if compared else each.made_from
        if base is not None and all(base.get(name) == number for name, number in sources.items()):
            continue
        made_from.append(base)
        same = (each.conventions, each.program) == (stamp, program)
        (computed if compared and same else stored).append(each.day)
    known = [base for base in made_from if base is not None and sources.keys() <= base.keys()]
    since = {name: min(base[name] for base in known) for name in sources} if known else None
    return _Scope(computed, stored, before, since if len(known) == len(made_from) else None)


def _closes_at(lake: Lake, before: Mapping[str, int]) -> dict[date, datetime]:
    """When each day was closed, as the previous detection read it; empty if that is no longer readable."""
    if before.get(CLOSES, -1) < 0:
        return {}
    try:
        return {each.day: each.closed_at for each in closed_days(lake, before[CLOSES])}
    except LakeError:
        return {}


def _of_loans(
    lake: Lake,
    scope: _Scope,
    versions: Mapping[str, int],
    closed: Sequence[Closed],
    conventions: Conventions,
    in_force: ir.Table,
    stack: ExitStack,
) -> list[ir.Table]:
    """The restated values of loans with their causes; an empty list if no loan changed."""

    def read(name: str) -> ir.Table:
        return lake.table(name, version=versions.get(name))

    last = scope.days[-1]
    try:
        if scope.since is None:
            raise LakeError("the versions that the days were made from are unknown")
        events = changes.changed_events(lake, scope.since, versions)
        events = stack.enter_context(lake.staged(events.filter(events.from_on <= last)))
        if scope.computed:
            _read_at(lake, scope.before, conventions)
    except LakeError:
        # The days are of an earlier release, or housekeeping removed files of their versions. Sums over the stored
        # positions find the loans.
        scope = scope.from_the_lake()
        loan_ids = loans_that_can_differ(read, scope.days, conventions)
        loans = ibis.memtable(pa.table({"loan_id": pa.array(loan_ids, pa.string())}))
        loans = loans.mutate(from_on=ibis.literal(MIN_DATE))
        closes = instants(closed, "known_until")
        events = stack.enter_context(
            lake.staged(changes.events_posted_later(read, positions.sources(conventions), loans, closes))
        )
        begins = MIN_DATE if loan_ids else None
    else:
        loans = events.group_by("loan_id").agg(from_on=events.from_on.min())
        begins = events.from_on.min().to_pyarrow().as_py()
    if begins is None:
        return []
    first = max(scope.days[0], begins)
    loans = stack.enter_context(lake.staged(loans))
    days = [day for day in scope.days if day >= first]
    in_force = in_force.semi_join(loans, "loan_id")

    now = _positions(lake, read, loans, days, conventions, stack)
    reported = []
    if computed := [day for day in scope.computed if day >= first]:
        reported.append(
            _positions(lake, _read_at(lake, scope.before, conventions), loans, computed, conventions, stack)
        )
    if stored := [day for day in scope.stored if day >= first]:
        rows = lake.table(POSITIONS, stored[0], stored[-1])
        reported.append(_from_the_change(rows.filter(rows.business_date.isin(stored)), loans))
    in_force = stack.enter_context(lake.staged(in_force.filter(in_force.business_date.isin(days))))
    sides = compare.sides(ibis.union(*reported), now, in_force.select(*compare.KEY))
    sides = stack.enter_context(lake.staged(_with_causes(sides, events, closed, conventions)))
    return [compare.restated(compare.values(sides), in_force)]


def _read_at(lake: Lake, versions: Mapping[str, int], conventions: Conventions) -> Callable[[str], ir.Table]:
    """Reads tables at versions. Raises LakeError when files of a version are gone."""
    tables = {name: lake.table(name, version=versions[name]) for name in positions.sources(conventions)}
    return tables.__getitem__


def _positions(
    lake: Lake,
    read: Callable[[str], ir.Table],
    loans: ir.Table,
    days: Sequence[date],
    conventions: Conventions,
    stack: ExitStack,
) -> ir.Table:
    """The recomputed positions of some loans on the days from their first change on.

    Large tables are read once. `loans` has loan_id and from_on, the first day that can differ.
    """
    tables = {}
    for name in positions.sources(conventions):
        rows = read(name)
        if "loan_id" in rows.columns:
            rows = stack.enter_context(lake.staged(rows.semi_join(loans, "loan_id")))
        tables[name] = rows
    rows = positions.loan_positions(tables.__getitem__, days[0], days[-1], conventions)
    full = len(days) == (days[-1] - days[0]).days + 1
    # One query may contain the expression only once, because its parts have names.
    rows = rows if full else rows.filter(rows.business_date.isin(days))
    return stack.enter_context(lake.staged(_from_the_change(rows, loans)))


def _from_the_change(rows: ir.Table, loans: ir.Table) -> ir.Table:
    """The positions of the loans on the days from `from_on` on."""
    changed = loans.rename(of_loan="loan_id")
    rows = rows.join(changed, [rows.loan_id == changed.of_loan, rows.business_date >= changed.from_on])
    return rows.select(*TABLES[POSITIONS].names)


def _with_causes(rows: ir.Table, events: ir.Table, closed: Sequence[Closed], conventions: Conventions) -> ir.Table:
    """Add caused_by and posted_at.

    Without a changed event, the cause is what else differs from the close: the conventions, the program version, or
    something unknown.
    """
    spans = changes.causes(events)
    spans = spans.rename(of_loan="loan_id")
    rows = rows.left_join(
        spans,
        [rows.loan_id == spans.of_loan, rows.business_date >= spans.on, rows.business_date < spans.until],
    )
    other = cause_of_day(rows.business_date, closed, conventions)
    return rows.mutate(caused_by=ibis.coalesce(rows.caused_by, other)).drop("of_loan", "on", "until")


def _locked_until(rows: ir.Table, locked: Sequence[date]) -> ir.DateValue:
    """The end of the locked period that the day is in; null if none."""
    branches = [(rows.business_date <= ibis.literal(end), ibis.literal(end)) for end in sorted(locked)]
    return ibis.cases(*branches, else_=ibis.null("date")) if branches else ibis.null("date")
