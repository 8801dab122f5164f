"""What changed when days were closed again, metric by metric: the snapshots after it compared with those before it.

printed.py prints the changes. checks/restatements.py says why closed days must be closed again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from lending_pipelines.lake import Lake
from lending_pipelines.tables import TABLES

COMPARED = ("portfolio_snapshots", "manager_snapshots")
"""The tables whose metrics are compared."""

_NOT_COMPARED = ("bucket_breakdown", "name")


@dataclass(frozen=True)
class MetricChange:
    """A metric of a scope or manager that differs on some of the days.

    `days` is the number of days on which it differs, and `last` is the last of them. `before` and `after` are the
    values on `last`; None if the metric had no value.
    """

    table: str
    subject: str
    metric: str
    days: int
    last: date
    before: Any
    after: Any


def snapshot_versions(lake: Lake) -> dict[str, int]:
    """The current version of each table that can be compared later."""
    return {name: lake.version(name) for name in COMPARED if lake.has(name)}


def changed_metrics(
    lake: Lake, versions: Mapping[str, int], first: date, last: date, manager: str | None = None
) -> list[MetricChange]:
    """The metrics of the days first..last that differ from those in the earlier versions.

    Args:
        lake: The lake.
        versions: The result of `snapshot_versions` before the days were closed again.
        first: The first day.
        last: The last day.
        manager: Compare only this manager.

    Returns:
        The changes: all loans first, then managers and scopes by name. A row that is new or gone has a change for every
        metric with a value.
    """
    found: dict[tuple[str, str, str], MetricChange] = {}
    tables = COMPARED if manager is None else ("manager_snapshots",)
    for name in tables:
        if name in versions:
            for change in _changes(lake, name, versions[name], first, last, manager):
                earlier = found.get((change.table, change.subject, change.metric))
                days = 1 + (earlier.days if earlier else 0)
                found[change.table, change.subject, change.metric] = replace(change, days=days)
    return sorted(found.values(), key=lambda each: (not each.subject.startswith("all *"), each.table, each.subject))


def _changes(
    lake: Lake, name: str, version: int, first: date, last: date, manager: str | None
) -> Iterator[MetricChange]:
    """The changes of a table: one for each day and metric, in order of days."""
    table = TABLES[name]
    metrics = [each for each in table.names if each not in (*table.key, *_NOT_COMPARED)]
    columns = [*table.key, *metrics]
    before, after = (lake.table(name, first, last, version=each).select(columns) for each in (version, None))
    if manager is not None:
        before, after = (rows.filter(rows.manager_id == manager) for rows in (before, after))
    # Rows that are the same in both versions have no change, so only the others are fetched.
    sides = [
        _by_key(rows.to_pyarrow().to_pylist(), table.key)
        for rows in (before.difference(after), after.difference(before))
    ]
    for key in sorted({*sides[0], *sides[1]}):
        old, new = sides[0].get(key, {}), sides[1].get(key, {})
        subject = " ".join(str(part) for part in key[1:])
        for metric in metrics:
            if old.get(metric) != new.get(metric):
                yield MetricChange(name, subject, metric, 1, key[0], old.get(metric), new.get(metric))


def _by_key(rows: list[dict[str, Any]], key: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in key): row for row in rows}
