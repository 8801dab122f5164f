"""The interface of checks: Check, Outcome, and the two kinds of checks that list offending rows.

A check returns findings and does not assert. A table that cannot be read raises an error. The other modules of this
package define the checks; assets/ makes asset checks of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

import ibis.expr.types as ir

from lending_pipelines.checks.days import Days
from lending_pipelines.tables import TABLES

Severity = Literal["error", "warn"]
Read = Callable[[str], ir.Table]
"""Returns the table of that name. Raises an error when it cannot be read."""

Tables = Mapping[str, ir.Table]
"""The tables that a check reads, by name."""

SAMPLE_ROWS = 10
"""The number of offending rows stored as evidence."""
ROWS_NAMED = 5
"""The number of offending rows that a message names."""
_TEXT_LIMIT = 500
_WHAT_IS_WRONG = ("column", "missing_id", "problem", "broken")
"""Columns of offending rows that describe the problem."""


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    `failed_rows` counts the offending rows. `sample` has at most SAMPLE_ROWS of them, with their ids, as plain JSON
    values. `failing_days` are the business dates of the offending rows; empty for tables that are not daily.
    """

    check: str
    table: str
    severity: Severity
    blocking: bool
    passed: bool
    failed_rows: int
    failing_days: tuple[date, ...]
    sample: tuple[dict[str, Any], ...]
    message: str
    metadata: dict[str, Any] = field(default_factory=dict)
    page: str | None = None
    """The path of the page in Great Expectations' Data Docs; None for own rules."""


class Check(Protocol):
    """A rule about one table, evaluated over many business dates at once.

    `table` is the table of the rule; `reads` are all tables that it needs. `blocking`: a failure stops downstream
    assets and exports. Checks of tables that are not daily cover the complete table, whatever the dates.
    """

    @property
    def name(self) -> str:
        """The name, unique among the checks of its table."""

    @property
    def table(self) -> str:
        """The table of the rule."""

    @property
    def description(self) -> str:
        """The rule in a sentence."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Every table that `evaluate` reads."""

    @property
    def severity(self) -> Severity:
        """The severity of a failure."""

    @property
    def blocking(self) -> bool:
        """Whether a failure stops downstream assets and exports."""

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """Evaluate the check on the days."""


class Memory(Protocol):
    """Stores which checks passed, so that a check runs once on the same data."""

    def unchecked(self, check: Check, days: Days) -> Days | None:
        """The days without a stored pass of the check; None if it passed on all of them."""

    def remember(self, check: Check, days: Days, outcome: Outcome) -> None:
        """Store the days on which the check passed."""


@dataclass(frozen=True)
class DailyCheck:
    """A rule on daily tables; `offending` returns the rows of the days that break it, with business_date."""

    name: str
    table: str
    description: str
    reads: tuple[str, ...]
    offending: Callable[[Tables, Days], ir.Table]
    severity: Severity = "error"
    blocking: bool = False

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """Evaluate the rule on the days."""
        return conclude(self, self.offending({name: read(name) for name in self.reads}, days))


@dataclass(frozen=True)
class WholeTableCheck:
    """A rule on tables that are not daily; `offending` returns the rows that break it."""

    name: str
    table: str
    description: str
    reads: tuple[str, ...]
    offending: Callable[[Tables], ir.Table]
    severity: Severity = "error"
    blocking: bool = False

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """Evaluate the rule on the complete table."""
        return conclude(self, self.offending({name: read(name) for name in self.reads}))


def conclude(check: Check, rows: ir.Table) -> Outcome:
    """The outcome for offending `rows`: counts them, then fetches a sample if there are any."""
    failed, days = _counted(rows)
    return outcome(check, failed, days, _sample(rows) if failed else ())


def outcome(
    check: Check,
    failed_rows: int = 0,
    failing_days: tuple[date, ...] = (),
    sample: tuple[dict[str, Any], ...] = (),
) -> Outcome:
    """The outcome of a check with these findings; passed without any."""
    return Outcome(
        check=check.name,
        table=check.table,
        severity=check.severity,
        blocking=check.blocking,
        passed=failed_rows == 0,
        failed_rows=failed_rows,
        failing_days=failing_days,
        sample=sample,
        message=_summary(check, failed_rows, failing_days, sample),
    )


def rows_named(table: str, sample: Sequence[Mapping[str, Any]]) -> str:
    """The first offending rows by key, each with its problem: `loan_id=L1; loan_id=L2`.

    Days are left out, so that a row that fails on several days is named once.
    """
    keys = [name for name in TABLES[table].key if name != "business_date"]
    rows = [
        ", ".join(
            f"{name}={_printable(row[name])}"
            for name in dict.fromkeys((*keys, "loan_id", *_WHAT_IS_WRONG))
            if name in row
        )
        for row in sample
    ]
    distinct = list(dict.fromkeys(row for row in rows if row))
    return "; ".join(distinct[:ROWS_NAMED]) + "; and more" * (len(distinct) > ROWS_NAMED)


def plain(value: object) -> Any:
    """A value for JSON: decimals and dates as text, long text cut."""
    match value:
        case Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case str() if len(value) > _TEXT_LIMIT:
            return value[:_TEXT_LIMIT] + "…"
        case _:
            return value


def _summary(check: Check, failed: int, days: tuple[date, ...], sample: Sequence[Mapping[str, Any]]) -> str:
    if not failed:
        return f"{check.table}: {check.name} passes"
    when = f" on {_span(days)}" if days else ""
    rows = f" ({named})" if (named := rows_named(check.table, sample)) else ""
    return f"{check.table}: {check.name} fails for {failed:,} row{'s' * (failed > 1)}{when}{rows}: {check.description}"


def _printable(value: Any) -> str:
    text = str(value).rstrip("; ")
    return text if text.isprintable() else repr(text)


def _counted(rows: ir.Table) -> tuple[int, tuple[date, ...]]:
    """The number of rows, and their business dates in order."""
    if "business_date" not in rows.columns:
        return int(rows.count().to_pyarrow().as_py()), ()
    per_day = rows.group_by("business_date").agg(rows=rows.count()).order_by("business_date").to_pyarrow()
    return sum(per_day["rows"].to_pylist()), tuple(per_day["business_date"].to_pylist())


def _sample(rows: ir.Table) -> tuple[dict[str, Any], ...]:
    first_rows = rows.order_by(list(rows.columns)).limit(SAMPLE_ROWS).to_pyarrow().to_pylist()
    return tuple({name: plain(value) for name, value in row.items()} for row in first_rows)


def _span(days: tuple[date, ...]) -> str:
    if len(days) == 1:
        return days[0].isoformat()
    return f"{len(days):,} days from {days[0].isoformat()} to {days[-1].isoformat()}"
