"""What a check is and what it hands back: Check, Outcome, and the two kinds that name offending rows.

A check returns findings; it never asserts, and it never can only pass. A table that cannot be read raises. What the
single checks say is in the modules beside this one; how they become asset checks is not decided here.
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
"""Gives the table of that name; raises when it cannot be read."""

Tables = Mapping[str, ir.Table]
"""The tables that a check reads, by name."""

SAMPLE_ROWS = 10
"""Offending rows shown as evidence."""
ROWS_NAMED = 5
"""Offending rows that a message names."""
_TEXT_LIMIT = 500
_WHAT_IS_WRONG = ("column", "missing_id", "problem", "broken")
"""Columns of offending rows that say what is wrong with a row."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    `failed_rows` counts the offending rows and `sample` shows at most SAMPLE_ROWS of them, with their ids, as plain
    JSON values. `failing_days` are the business dates of the offending rows; empty for tables that are not daily.
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
    """The page of Great Expectations' Data Docs, by its path in them; None for rules of our own."""


class Check(Protocol):
    """A rule about one table, evaluated over many business dates in one pass.

    `table` is the table that the rule is about, `reads` all tables that it needs. `blocking` is true where a wrong
    number would leave the house. Checks of tables that are not daily look at the whole table, whatever the dates.
    """

    @property
    def name(self) -> str:
        """Unique among the checks of its table."""

    @property
    def table(self) -> str:
        """The table that the rule is about."""

    @property
    def description(self) -> str:
        """The rule, in a sentence."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Every table that evaluate reads."""

    @property
    def severity(self) -> Severity:
        """How bad a finding is."""

    @property
    def blocking(self) -> bool:
        """Whether a finding stops what is downstream, exports first."""

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """What the check finds on the days."""


class Memory(Protocol):
    """Remembers which checks passed, so that the same check is not evaluated twice on the same data."""

    def unchecked(self, check: Check, days: Days) -> Days | None:
        """The days on which the check is not known to pass; None when it passes on all of them."""

    def remember(self, check: Check, days: Days, outcome: Outcome) -> None:
        """Keep the days on which the check passed."""


@dataclass(frozen=True)
class DailyCheck:
    """A rule on daily tables; `offending` gives the rows of the days that break it, business_date among them."""

    name: str
    table: str
    description: str
    reads: tuple[str, ...]
    offending: Callable[[Tables, Days], ir.Table]
    severity: Severity = "error"
    blocking: bool = False

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """The offending rows of the days."""
        return conclude(self, self.offending({name: read(name) for name in self.reads}, days))


@dataclass(frozen=True)
class StandingCheck:
    """A rule on tables that are not daily; `offending` gives the rows that break it."""

    name: str
    table: str
    description: str
    reads: tuple[str, ...]
    offending: Callable[[Tables], ir.Table]
    severity: Severity = "error"
    blocking: bool = False

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """The offending rows of the whole table."""
        return conclude(self, self.offending({name: read(name) for name in self.reads}))


def conclude(check: Check, rows: ir.Table) -> Outcome:
    """The outcome of a check whose offending rows are `rows`: counted first, fetched if any."""
    failed, days = _counted(rows)
    return outcome(check, failed, days, _sample(rows) if failed else ())


def outcome(
    check: Check,
    failed_rows: int = 0,
    failing_days: tuple[date, ...] = (),
    sample: tuple[dict[str, Any], ...] = (),
) -> Outcome:
    """The outcome of a check that found these rows; passed when it found none."""
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
    """The first offending rows by their keys, each with what is wrong with it: `loan_id=L1; loan_id=L2`.

    Days are left out: a row that offends on several days is named once.
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
    """A value as JSON can hold it: decimals and dates as text, long text cut."""
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
        return f"{check.table}: {check.name} holds"
    when = f" on {_span(days)}" if days else ""
    rows = f" ({named})" if (named := rows_named(check.table, sample)) else ""
    return f"{check.table}: {check.name} fails for {failed:,} row{'s' * (failed > 1)}{when}{rows}: {check.description}"


def _printable(value: Any) -> str:
    text = str(value).rstrip("; ")
    return text if text.isprintable() else repr(text)


def _counted(rows: ir.Table) -> tuple[int, tuple[date, ...]]:
    """How many rows, and their business dates in order."""
    if "business_date" not in rows.columns:
        return int(rows.count().to_pyarrow().as_py()), ()
    per_day = rows.group_by("business_date").agg(rows=rows.count()).order_by("business_date").to_pyarrow()
    return sum(per_day["rows"].to_pylist()), tuple(per_day["business_date"].to_pylist())


def _sample(rows: ir.Table) -> tuple[dict[str, Any], ...]:
    found = rows.order_by(list(rows.columns)).limit(SAMPLE_ROWS).to_pyarrow().to_pylist()
    return tuple({name: plain(value) for name, value in row.items()} for row in found)


def _span(days: tuple[date, ...]) -> str:
    if len(days) == 1:
        return days[0].isoformat()
    return f"{len(days):,} days from {days[0].isoformat()} to {days[-1].isoformat()}"
