"""What detectors return: findings of days, the days that could be judged, and rules that could not be judged.

A finding is the result of a rule for one subject on one day. life.py turns the findings of several days into alerts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import ibis.expr.types as ir

from lending_pipelines.alerts.rules import AlertRule, Severity
from lending_pipelines.conventions import Conventions

SEVERITIES: tuple[Severity, ...] = ("warning", "critical")
"""From the least to the most severe."""


class Source(Protocol):
    """The tables that detectors read."""

    @property
    def conventions(self) -> Conventions:
        """The conventions of the run."""

    def table(self, name: str) -> ir.Table:
        """A table, lazy. Raises LendingError when it was never written."""

    def days(self, name: str) -> Collection[date]:
        """The business dates for which a daily table was made."""


@dataclass(frozen=True)
class Finding:
    """A rule holds for a subject on a day; or, without a severity, it is not known whether it does.

    `kind` and `subject` name the subject: a scope and its id, a servicing table, a tape. `currency` is empty where the
    number has none. `value` and `threshold` are in the metric's unit. `text` says in one sentence what is found.
    `details` are JSON values: loans, names and the earlier value. `ended`: the rule held on the day, but not until its
    end.
    """

    rule: str
    business_date: date
    kind: str
    subject: str
    topic: str
    severity: Severity | None
    value: float | None
    threshold: float | None
    currency: str = ""
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    ended: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The topic and subject: findings with the same key belong to the same alert."""
        return (self.topic, self.kind, self.subject, self.currency)


@dataclass(frozen=True)
class Judged:
    """The days for which a rule was judged, and what it found on them."""

    days: tuple[date, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Unjudged:
    """Why a rule could not be judged on any of the days.

    `is_expected`: the earlier days that it compares with are not closed. This is not a failure.
    """

    reason: str
    is_expected: bool = False


Verdict = Judged | Unjudged


class Detector(Protocol):
    """One kind of rule, for a range of days at once."""

    def __call__(self, source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
        """The verdict of each rule by its name. Raises LendingError when no rule of the kind can be judged."""


@dataclass(frozen=True)
class Evaluation:
    """The verdict of every evaluated rule, by the rule's name."""

    verdicts: Mapping[str, Verdict]

    @property
    def findings(self) -> list[Finding]:
        """All findings."""
        return [
            found for verdict in self.verdicts.values() if isinstance(verdict, Judged) for found in verdict.findings
        ]

    @property
    def judged(self) -> dict[str, tuple[date, ...]]:
        """The judged days of each rule that could be judged."""
        return {name: verdict.days for name, verdict in self.verdicts.items() if isinstance(verdict, Judged)}

    @property
    def unjudged(self) -> dict[str, str]:
        """Why the other rules could not be judged."""
        return {name: verdict.reason for name, verdict in self.verdicts.items() if isinstance(verdict, Unjudged)}

    @property
    def failed(self) -> dict[str, str]:
        """Why rules could not be judged although they should have been."""
        expected = {name for name, each in self.verdicts.items() if isinstance(each, Unjudged) and each.is_expected}
        return {name: reason for name, reason in self.unjudged.items() if name not in expected}
