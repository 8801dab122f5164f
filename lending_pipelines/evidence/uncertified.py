"""Finds closes without a certificate: days that were closed after the last certificate of the day was made."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime

import ibis

from lending_pipelines.evidence.chain import Certificate, certificates
from lending_pipelines.lake import Lake

_POSITIONS = "loan_positions"


def has_certificate(lake: Lake, day: date) -> bool:
    """Whether the last close of a day has a certificate."""
    made = [each.content["made_at"] for each in certificates(lake, day)]
    closed = _closed_at(lake, day, day)
    return bool(made) and (day not in closed or max(made) >= closed[day])


def closes_without(lake: Lake, chain: Sequence[Certificate], first: date | None, last: date | None) -> Iterator[str]:
    """A sentence for each close of a day of first..last that should have a certificate, and has none.

    A close should have one if the chain began before it, or if its day is in a run that certified other days.
    """
    said = [each.content for each in chain]
    closes = [each for each in said if each["kind"] == "close"]
    made = {each["business_date"]: each["made_at"] for each in closes}
    runs = {tuple(each["run"]["days"]) for each in closes}
    since = min((each["made_at"] for each in said), default="")
    for day, closed_at in _closed_at(lake, first, last).items() if said else ():
        certified = made.get(day.isoformat(), "")
        in_run = any(begin <= day.isoformat() <= end for begin, end in runs)
        if certified < closed_at and (closed_at > since or (in_run and not certified)):
            yield f"The close of {day} at {closed_at} has no certificate: close the day again to make one."


def _closed_at(lake: Lake, first: date | None, last: date | None) -> dict[date, str]:
    """When the positions of each day were made, in the format of made_at in statements; without thinned days."""
    closed = lake.table("closed_days")
    closed = closed.filter(closed.table_name == _POSITIONS, closed.thinned_at.isnull())
    if first is not None:
        closed = closed.filter(closed.business_date >= ibis.literal(first))
    if last is not None:
        closed = closed.filter(closed.business_date <= ibis.literal(last))
    rows = closed.select("business_date", "closed_at").order_by("business_date").to_pyarrow().to_pylist()
    return {row["business_date"]: _as_made_at(row["closed_at"]) for row in rows}


def _as_made_at(at: datetime) -> str:
    return f"{at.isoformat(timespec='seconds')}+00:00"
