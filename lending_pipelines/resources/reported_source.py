"""The lake as first reported: each day of a daily table as it was first closed, before any restatement.

The rows of a day that was closed again are in an earlier Delta version, which the table reported_days names and
housekeeping keeps.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import CHOSEN, Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.resources.report_source import LakeReportSource
from lending_pipelines.tables import DERIVED, TABLES

_POSITIONS = "loan_positions"


class ReportedSource:
    """A ReportSource like `source` with the days of daily tables as they were first closed.

    Servicing tables with posted_at are as known when the last of `days` was first closed.
    """

    def __init__(self, source: LakeReportSource, days: Sequence[date]):
        """Raises LendingError if the days were first closed under different conventions.

        It is also raised if a day was thinned before it was closed again, because its reported rows are then gone.
        """
        self._source = source
        rows = source.table("reported_days").to_pyarrow().to_pylist()
        self._replaced: dict[str, dict[date, int | None]] = defaultdict(dict)
        for row in rows:
            self._replaced[row["table_name"]][row["business_date"]] = row["delta_version"]
        gone = sorted(day for day in days if self._replaced[_POSITIONS].get(day, 0) is None)
        if gone:
            raise LendingError(
                f"{gone[0]} was thinned by housekeeping before it was closed again: its reported numbers are gone; use"
                " book=as_closed"
            )
        first_closes = {row["business_date"]: row for row in rows if row["table_name"] == _POSITIONS}
        closed = source.table("closed_days")
        closed = closed.filter(closed.table_name == _POSITIONS, closed.business_date.isin(list(days)))
        latest = {row["business_date"]: row for row in closed.to_pyarrow().to_pylist()}
        closes = [close for day in sorted(days) if (close := first_closes.get(day, latest.get(day))) is not None]
        self._conventions = _conventions(closes, source.conventions)
        self._close: dict[str, Any] | None = closes[-1] if closes else None

    @property
    def conventions(self) -> Conventions:
        """The conventions under which the days were first closed."""
        return self._conventions

    def table(self, name: str) -> ir.Table:
        """A daily table as reported, a servicing table as known when the last day was first closed, or
        another table.
        """
        if name in DERIVED and DERIVED[name].daily:
            return self._reported(name)
        if self._close is not None and self._close["known_until"] is not None and "posted_at" in TABLES[name].names:
            known_until: datetime = self._close["known_until"]
            return self._source.as_known(name, known_until, max(known_until, self._close["closed_at"]))
        return self._source.table(name)

    def days(self, name: str) -> list[date]:
        """The business dates of a daily table whose reported rows are in the lake, in order."""
        return [day for day in self._source.days(name) if self._replaced[name].get(day, 0) is not None]

    def thinned(self, name: str) -> list[date]:
        """The business dates whose rows housekeeping removed, in order."""
        return self._source.thinned(name)

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far.

        The reported rows of days that were closed again come from other versions, which reported_days names.
        """
        return self._source.versions()

    def as_reported(self, days: Sequence[date]) -> ReportSource:
        """The same source for other days."""
        return ReportedSource(self._source, days)

    def _reported(self, name: str) -> ir.Table:
        """A daily table: days that were closed again from the version of their first close, other days as they are."""
        rows = self._source.table(name)
        replaced = self._replaced[name]
        if not replaced:
            return rows
        days_by_version: dict[int, list[date]] = defaultdict(list)
        for day, version in replaced.items():
            if version is not None:
                days_by_version[version].append(day)
        parts = [rows.filter(~rows.business_date.isin(sorted(replaced)))]
        for version, days in days_by_version.items():
            then = self._source.lake.table(name, min(days), max(days), version=version)
            parts.append(then.filter(then.business_date.isin(days)))
        return ibis.union(*parts)


def _conventions(closes: Sequence[dict[str, Any]], now: Conventions) -> Conventions:
    """The conventions of the first closes. Raises LendingError if they differ."""
    stamps = {close["conventions"]: close["business_date"] for close in closes}
    if len(stamps) > 1:
        (one, first), (other, second) = sorted(stamps.items(), key=lambda each: each[1])[:2]
        left, right = (Conventions.recorded(json.loads(each)) for each in (one, other))
        names = ", ".join(sorted(name for name in left if left[name] != right.get(name)))
        if names:
            raise LendingError(
                f"{first} and {second} were first closed under other conventions ({names}): request days of one of them"
            )
    if not stamps:
        return now
    then, stamp = Conventions.recorded(json.loads(next(iter(stamps)))), now.stamp()
    text = "; ".join(f"{name}={then[name]}" for name in CHOSEN if then[name] != stamp[name])
    return now.overridden(text) if text else now
