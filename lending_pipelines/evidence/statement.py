"""The statements of the chain: a close's certificate for each of its days, and the steps between closes.

Everything is read from what the close wrote. Control totals are sums over the day's Parquet files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lending_pipelines.evidence.chain import CERTIFICATES, Statement
from lending_pipelines.evidence.inventory import HashedFile, Inventory, Places, new_files, other_new_files
from lending_pipelines.evidence.program import program
from lending_pipelines.evidence.register_rows import new_rows
from lending_pipelines.evidence.roll_forward import roll_forward
from lending_pipelines.evidence.totals import DayTotals, day_totals, table_states, tieouts
from lending_pipelines.tables import TABLES

FORMAT = 1
"""The format of the statements."""

POSITIONS = "loan_positions"

CERTIFIED_TABLES = tuple(name for name in TABLES if name != CERTIFICATES)
"""The tables whose files are listed in statements: all but the table of the statements themselves."""


@dataclass(frozen=True)
class CloseFacts:
    """What the statement of a close needs besides its data: source, run, conventions, and results of checks.

    `days` are those of the run, in order; `before` is the closed day before them, None for the first. `checks` has the
    names of those that passed, and the message of each that failed.
    """

    lender: str
    source: str
    run_id: str
    days: Sequence[date]
    before: date | None
    conventions: Mapping[str, str]
    checks: Mapping[str, Any]


def close_statements(places: Places, facts: CloseFacts, inventory: Inventory) -> list[Statement]:
    """The statement of each day of a close.

    A file with the rows of one day is listed in the statement of that day. Every other new file is listed in the last
    one.
    """
    added = _added(places, inventory)
    rows = new_rows(places.register, inventory.rows)
    known = inventory.files | added
    totals = day_totals(places.lake, known, [*([facts.before] if facts.before else []), *facts.days])
    balanced = tieouts(places.lake, facts.days)
    common = {
        "format": FORMAT,
        "lender": facts.lender,
        "run": {"id": facts.run_id, "days": [facts.days[0].isoformat(), facts.days[-1].isoformat()]},
        "source": {"name": facts.source, "tables": table_states(places.lake, known)},
        "conventions": dict(facts.conventions),
        "checks": dict(facts.checks),
        "program": program(),
    }
    made = []
    before = facts.before
    for day in facts.days:
        mine = {path: added.pop(path) for path in list(added) if f"/business_date={day}/" in path}
        is_last = day == facts.days[-1]
        content = common | {
            "tables": {name: each.as_json() for name, each in totals[day].items()},
            "roll_forward": roll_forward(_position_totals(totals, before), _position_totals(totals, day)),
            "previous_day": before.isoformat() if before else None,
            "tieouts": balanced[day],
            "files": _listed(mine | added if is_last else mine),
            "register": rows if is_last else {},
        }
        made.append(Statement("close", day, content))
        before = day
    return made


def step_statement(
    places: Places, kind: str, about: Mapping[str, Any], inventory: Inventory, removed: Sequence[str] = ()
) -> list[Statement]:
    """The statement of a run other than a close, with the files that it added and removed; none without a change.

    Args:
        places: The home.
        kind: What made the statement.
        about: What else it says.
        inventory: What is certified before it.
        removed: The certified files that it removed.
    """
    files = _listed(_added(places, inventory)) | ({"removed": list(removed)} if removed else {})
    rows = new_rows(places.register, inventory.rows)
    if not (files["added"] or removed or rows):
        return []
    content = {"format": FORMAT, **about, "files": files, "register": rows, "program": program()}
    return [Statement(kind, None, content)]


def _position_totals(totals: Mapping[date, Mapping[str, DayTotals]], day: date | None) -> DayTotals | None:
    """The totals of loan_positions on a day; None without a day."""
    return totals[day].get(POSITIONS) if day else None


def _added(places: Places, inventory: Inventory) -> dict[str, HashedFile]:
    return new_files(places, inventory.files, CERTIFIED_TABLES) | other_new_files(places, inventory.files)


def _listed(added: Mapping[str, HashedFile]) -> dict[str, Any]:
    return {"added": {path: file.as_json() for path, file in added.items()}}
