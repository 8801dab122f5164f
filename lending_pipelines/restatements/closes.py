"""The closed days: when and under which conventions and version they were closed, and which of these differ from now.

detect.py finds the effect of changed events on them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines import __version__
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.restatements import compare
from lending_pipelines.tables import TABLES
from lending_pipelines.tables.records import EVERY_LOAN

POSITIONS = "loan_positions"
CLOSES = "closed_days"


@dataclass(frozen=True)
class Closed:
    """A closed day: when it was last closed, from which table versions, under which conventions and program."""

    day: date
    closed_at: datetime
    known_until: datetime | None
    made_from: Mapping[str, int] | None
    conventions: Mapping[str, str]
    program: str | None


def closed_days(lake: Lake, at: int | None = None) -> list[Closed]:
    """The closed days whose positions are in the lake, in order; `at` is an earlier version of closed_days."""
    rows = lake.table(CLOSES, version=at)
    rows = rows.filter(rows.table_name == POSITIONS, rows.thinned_at.isnull()).order_by("business_date")
    return [
        Closed(
            row["business_date"],
            row["closed_at"],
            row["known_until"],
            json.loads(row["made_from"]) if row["made_from"] else None,
            json.loads(row["conventions"]),
            row["program_version"],
        )
        for row in rows.to_pyarrow().to_pylist()
    ]


def instants(closed: Sequence[Closed], name: str) -> ir.Table:
    """The closed days as a table: business_date, and a column `name` with the time in the field of Closed."""
    days = pa.array([each.day for each in closed], pa.date32())
    times = pa.array([getattr(each, name) for each in closed], pa.timestamp("us"))
    return ibis.memtable(pa.table({"business_date": days, name: times}))


def cause_of_day(days: ir.DateValue, closed: Sequence[Closed], conventions: Conventions) -> ir.StringValue:
    """Why values of a closed day differ from now if no event changed."""
    causes = {each.day: _cause(each, conventions) for each in closed}
    by_cause = {cause: [day for day, each in causes.items() if each == cause] for cause in sorted(set(causes.values()))}
    branches = [(days.isin(found), cause) for cause, found in by_cause.items()]
    return ibis.cases(*branches, else_=ibis.null("string")) if branches else ibis.null("string")


def _cause(closed: Closed, conventions: Conventions) -> str:
    if changed := changed_conventions(closed, conventions):
        return f"conventions: {', '.join(sorted(changed))}"
    if closed.program != __version__:
        return f"program version {__version__} instead of {closed.program or 'an earlier one'}"
    return "unknown: the source changed rows without a new posted_at"


def under_other_conventions(closed: Sequence[Closed], conventions: Conventions, in_force: ir.Table) -> ir.Table:
    """A row for each day closed under conventions that differ from the current ones, unless it is in force already."""
    rows = []
    known = in_force.filter(in_force.loan_id == EVERY_LOAN).select("business_date", "restated").to_pyarrow().to_pylist()
    latest = {row["business_date"]: row["restated"] for row in known}
    for each in closed:
        changed = changed_conventions(each, conventions)
        reported, restated = (_text({name: pair[n] for name, pair in changed.items()}) for n in (0, 1))
        if latest.get(each.day, reported) != restated:
            rows.append({"business_date": each.day, "reported": reported, "restated": restated})
    own = {"loan_id": EVERY_LOAN, "column": "conventions", "caused_by": "conventions"}
    schema = TABLES["restatements"].arrow_schema
    schema = pa.schema([schema.field(name) for name in compare.RESTATED])
    return ibis.memtable(pa.Table.from_pylist([row | own for row in rows], schema))


def changed_conventions(closed: Closed, conventions: Conventions) -> dict[str, tuple[Any, Any]]:
    """The settings under which a day was closed that differ from the current ones: as closed, and now."""
    if not closed.conventions:
        return {}
    then, now = Conventions.recorded(dict(closed.conventions)), conventions.stamp()
    names = sorted(then.keys() | now.keys())
    return {name: (then.get(name), now.get(name)) for name in names if then.get(name) != now.get(name)}


def _text(settings: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}={value}" for name, value in settings.items())
