"""Evaluates rules: each detector once, for all its rules and all days. A new kind of rule is one entry here."""

from collections.abc import Sequence
from datetime import date, timedelta

from lending_pipelines.alerts.detectors import (
    anomaly,
    change,
    close_late,
    concentration,
    covenant,
    data_received,
    missed_installments,
    tape_late,
    threshold,
)
from lending_pipelines.alerts.findings import Detector, Evaluation, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rules import AlertRule, DetectorName
from lending_pipelines.errors import LendingError

DAILY: dict[DetectorName, Detector] = {
    "threshold": threshold.detect,
    "change": change.detect,
    "anomaly": anomaly.detect,
    "missed_installments": missed_installments.detect,
    "concentration": concentration.detect,
    "data_received": data_received.detect,
    "covenant": covenant.detect,
}
"""The detectors that read tables of the lake, by day."""

WATCHING: dict[DetectorName, Detector] = {"close_late": close_late.detect, "tape_late": tape_late.detect}
"""The detectors of what does not happen in time: they are evaluated by the clock, not by the close."""

MOST_UNJUDGED = 0.1
"""The share of rules that may be left unjudged. A run with more of them fails."""


def evaluate(
    source: Source, rules: Sequence[AlertRule], days: Sequence[date], detectors: dict[DetectorName, Detector] = DAILY
) -> Evaluation:
    """What the active rules of these detectors find on the days; a rule that cannot be judged says why."""
    verdicts: dict[str, Verdict] = {}
    for kind, detect in detectors.items():
        own = [rule for rule in rules if rule.active and rule.detector == kind]
        if not own:
            continue
        try:
            found = detect(source, own, days)
        except LendingError as error:
            found = {rule.name: Unjudged(str(error)) for rule in own}
        verdicts |= {name: _of_days(verdict, days) for name, verdict in found.items()}
    return Evaluation(verdicts)


def affected(rules: Sequence[AlertRule], first: date, last: date, closed: Sequence[date]) -> list[date]:
    """The closed days whose findings depend on the days first..last.

    Changes and anomalies look back, so that a day that is closed again changes what is found on later days.
    """
    windows = [rule.window_days or 0 for rule in rules if rule.active and rule.detector == "change"]
    months = any(rule.active and rule.detector == "covenant" and covenant.looks_back(rule) for rule in rules)
    if any(rule.active and rule.detector == "anomaly" for rule in rules):
        windows.append(anomaly.REACH_DAYS)
    reach = max([*windows, covenant.LONGEST_DAYS if months else 0], default=0)
    return [day for day in closed if first <= day <= last + timedelta(days=reach)]


def too_many_unjudged(evaluation: Evaluation) -> bool:
    """Whether more than MOST_UNJUDGED of the rules could not be judged."""
    return len(evaluation.unjudged) > MOST_UNJUDGED * len(evaluation.verdicts)


def _of_days(verdict: Verdict, days: Sequence[date]) -> Verdict:
    """A verdict on no day at all is none."""
    if isinstance(verdict, Judged) and not verdict.days and days:
        return Unjudged(f"its table is not made for {days[-1]}")
    return verdict
