"""The life of an alert: when it opens, escalates, eases, is resolved and is reopened. Only this module decides that.

The alerts of a topic and subject are a pure function of the findings of all its days: the days may have been judged in
any order, several times, or as one backfill. Steps that people take are stored separately, in the register.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import Literal

from lending_pipelines.alerts.findings import SEVERITIES, Finding
from lending_pipelines.alerts.rules import Severity

StepName = Literal["opened", "escalated", "eased", "resolved", "reopened"]


@dataclass(frozen=True)
class Step:
    """What happened to an alert on a business date."""

    business_date: date
    step: StepName
    severity: Severity
    value: float | None


@dataclass
class Episode:
    """An alert from the day on which it opened.

    `last` is the latest finding, whose rule, value and severity are the alert's. `resolved_on` is the first judged day
    without a finding; None while the alert is open.
    """

    opened_on: date
    last: Finding
    resolved_on: date | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def alert_id(self) -> str:
        """The same id for the same topic, subject and opening day, however often it is computed."""
        return sha256("\n".join([*self.last.key, self.opened_on.isoformat()]).encode()).hexdigest()[:16]

    @property
    def severity(self) -> Severity:
        """The severity of the latest finding."""
        return self.last.severity or "warning"

    @property
    def rank(self) -> int:
        """The severity as a number; a higher one is more severe."""
        return rank(self.severity)


def rank(severity: str) -> int:
    """A severity as a number; a higher one is more severe."""
    return SEVERITIES.index(severity)


def episodes(
    findings: Iterable[Finding],
    judged: Mapping[date, Collection[str]],
    cool_down_days: Mapping[str, int],
    before: Episode | None = None,
) -> list[Episode]:
    """The alerts of one topic and subject.

    Args:
        findings: The findings of all rules of the topic about the subject, on any days. Those without a severity say
            that it is not known whether the rule holds.
        judged: The rules that were judged on each day.
        cool_down_days: By rule: an alert whose latest finding is of the rule is reopened if the subject has a finding
            within this number of days after the alert was resolved.
        before: The latest alert as it was at the end of an earlier day; findings and judged days are then those of
            later days. This function updates it.

    Returns:
        The alerts in order, with `before` as the first. An open alert is resolved on a day on which the rule of its
        latest finding was judged and no rule has a finding. Other days without a known finding change nothing.
    """
    by_day: dict[date, list[Finding]] = {day: [] for day in judged}
    for found in findings:
        by_day.setdefault(found.business_date, []).append(found)
    found_episodes = [before] if before else []
    for day in sorted(by_day):
        current = found_episodes[-1] if found_episodes else None
        worst = worst_of(by_day[day])
        if worst is not None:
            if current is None or _is_over(current, day, cool_down_days):
                current = Episode(day, worst)
                found_episodes.append(current)
                _step(current, day, "opened")
            else:
                _continue(current, day, worst)
            if worst.ended:
                _resolve(current, day)
        elif current is not None and current.resolved_on is None and not by_day[day] and _rule(current) in judged[day]:
            _resolve(current, day)
    return found_episodes


def _rule(current: Episode) -> str:
    return current.last.rule


def _is_over(current: Episode, day: date, cool_down_days: Mapping[str, int]) -> bool:
    """Whether a finding of the day opens another alert."""
    cool_down = timedelta(days=cool_down_days[_rule(current)])
    return current.resolved_on is not None and day - current.resolved_on > cool_down


def worst_of(findings: Sequence[Finding]) -> Finding | None:
    """The most severe finding of a day. Among equal ones, one that has not ended, and then the first rule by name."""
    known = [found for found in findings if found.severity is not None]
    return min(known, key=lambda found: (-rank(str(found.severity)), found.ended, found.rule), default=None)


def _continue(current: Episode, day: date, worst: Finding) -> None:
    """Make the finding the latest one of the alert, and add a step if the alert is reopened or its severity changes."""
    before = current.rank
    current.last = worst
    if current.resolved_on is not None:
        current.resolved_on = None
        _step(current, day, "reopened")
    elif current.rank != before:
        _step(current, day, "escalated" if current.rank > before else "eased")


def _resolve(current: Episode, day: date) -> None:
    current.resolved_on = day
    current.steps.append(Step(day, "resolved", current.severity, None))


def _step(current: Episode, day: date, step: StepName) -> None:
    current.steps.append(Step(day, step, current.severity, current.last.value))
