"""The content of a close summary, and its verdict. This module reads no data."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from lending_pipelines.close_summary.book import BookSummary

Verdict = Literal["good", "warnings", "failed"]
Severity = Literal["error", "warning"]
RunStatus = Literal["running", "succeeded", "failed"]


@dataclass(frozen=True)
class Finding:
    """A problem. An error means that numbers are missing or must not be used.

    `number` is the name of the close number that counts the finding, other than `errors` and `warnings`; empty if none
    does.
    """

    severity: Severity
    subject: str
    text: str
    number: str = ""


@dataclass(frozen=True)
class LastRun:
    """The latest run that closes days.

    `started_at` is UTC. `seconds` counts until now while the run is active. Both are None before it starts.
    """

    run_id: str
    status: RunStatus
    started_at: datetime | None
    seconds: float | None
    message: str = ""


@dataclass(frozen=True)
class CloseSummary:
    """The state of the closes: `day` is the last closed day, None before the first close.

    `days_missing` is the number of days that should be closed and are not. `rows_rejected` is the number of servicing
    rows that the last sync rejected; None if that is not known.
    """

    lender: str
    day: date | None
    book: BookSummary | None
    findings: tuple[Finding, ...]
    tapes_delivered: int = 0
    last_run: LastRun | None = None
    days_missing: int = 0
    rows_rejected: int | None = None

    @property
    def verdict(self) -> Verdict:
        """`failed` with any error, `warnings` with any warning, `good` otherwise."""
        severities = {finding.severity for finding in self.findings}
        return "failed" if "error" in severities else "warnings" if "warning" in severities else "good"


def expected_days(closed: Collection[date], last: date) -> list[date]:
    """The days from the first closed day to `last` that should be closed.

    If all closed days are month ends, only month ends are expected; otherwise, every day.
    """
    days = [min(closed) + timedelta(days=n) for n in range((last - min(closed)).days + 1)]
    if len(closed) > 1 and all(_ends_month(day) for day in closed):
        return [day for day in days if _ends_month(day)]
    return days


def not_closed(closed: Collection[date], last: date) -> list[date]:
    """The days up to `last` that should be closed and are not; none before the first close."""
    return [day for day in expected_days(closed, last) if day not in closed] if closed else []


def missing_days(closed: Collection[date], last: date) -> list[Finding]:
    """A warning for days between closed days that are not closed, and an error for those after the last closed day.

    Before the first close, an error that says so.
    """
    if not closed:
        return [Finding("error", "closed days", "no day is closed yet: run `lending close`")]
    missing = not_closed(closed, last)
    after = [day for day in missing if day > max(closed)]
    between = [day for day in missing if day < max(closed)]
    findings = []
    if after:
        findings.append(Finding("error", "closed days", _described(after), "days_missing"))
    if between:
        findings.append(Finding("warning", "closed days", _described(between), "days_missing"))
    return findings


def _described(days: list[date]) -> str:
    first, last = days[0], days[-1]
    which = f"{first} is" if len(days) == 1 else f"{len(days)} days from {first} to {last} are"
    return f"{which} not closed: run `lending close --from {first} --to {last}`"


def _ends_month(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without duplicates, errors first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "error"))
