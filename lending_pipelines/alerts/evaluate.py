"""Evaluates rules: each detector once, for all its rules and all days. A new kind of rule is one entry here."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from lending_pipelines.alerts.detectors import (
    anomaly,
    change,
    close_late,
    close_summary,
    concentration,
    covenant,
    data_received,
    missed_installments,
    tape_late,
    threshold,
)
from lending_pipelines.alerts.findings import Detector, Evaluation, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rule_faults import where_faults
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

LOOKING_BACK: tuple[DetectorName, ...] = ("change", "anomaly", "covenant")
"""The detectors whose findings of a day depend on earlier days."""

WATCHING: dict[DetectorName, Detector] = {"close_late": close_late.detect, "tape_late": tape_late.detect}
"""The detectors of events that did not happen in time. A sensor evaluates them regularly, not the close."""

SUMMARIZED: dict[DetectorName, Detector] = {"close_summary": close_summary.detect}
"""The detectors of the numbers of a close summary. They are evaluated when the summary is made, after the close."""

MOST_UNJUDGED = 0.1
"""The maximum share of rules that may fail to be judged. With more of them, the run fails."""


def evaluate(
    source: Source, rules: Sequence[AlertRule], days: Sequence[date], detectors: dict[DetectorName, Detector] = DAILY
) -> Evaluation:
    """The verdicts of the active rules of these detectors on the days. A rule that cannot be judged has the reason."""
    verdicts: dict[str, Verdict] = {}
    for kind, detect in detectors.items():
        active = [rule for rule in rules if rule.active and rule.detector == kind]
        # The conventions may have changed since a rule was saved.
        faults = {rule.name: where_faults(rule, source.conventions) for rule in active if rule.where}
        verdicts |= {name: Unjudged("; ".join(own)) for name, own in faults.items() if own}
        judged = [rule for rule in active if rule.name not in verdicts]
        if not judged:
            continue
        try:
            if not days:
                raise LendingError("none of the days is closed")
            found = detect(source, judged, days)
        except LendingError as error:
            found = {rule.name: Unjudged(str(error)) for rule in judged}
        verdicts |= {name: _of_days(verdict, days) for name, verdict in found.items()}
    return Evaluation(verdicts)


def evaluate_range(
    source: Source, rules: Sequence[AlertRule], first: date, last: date, closed: Sequence[date]
) -> tuple[Evaluation, list[date]]:
    """What the daily rules find on the closed days first..last, and on later days that depend on them.

    Returns:
        The evaluation, and all days that any rule was evaluated on.
    """
    own = [day for day in closed if first <= day <= last]
    later = affected(rules, first, last, closed)
    without_history = {kind: detect for kind, detect in DAILY.items() if kind not in LOOKING_BACK}
    looking_back = {kind: DAILY[kind] for kind in LOOKING_BACK}
    verdicts = {
        **evaluate(source, rules, own, without_history).verdicts,
        **evaluate(source, rules, later, looking_back).verdicts,
    }
    return Evaluation(verdicts), later


def affected(rules: Sequence[AlertRule], first: date, last: date, closed: Sequence[date]) -> list[date]:
    """The closed days whose findings depend on the days first..last.

    Changes, anomalies and charge-off rates look back, so a day that is closed again can change the findings of later
    days.
    """
    windows = [rule.window_days or 0 for rule in rules if rule.active and rule.detector == "change"]
    months = any(rule.active and rule.detector == "covenant" and covenant.looks_back(rule) for rule in rules)
    if any(rule.active and rule.detector == "anomaly" for rule in rules):
        windows.append(anomaly.REACH_DAYS)
    reach = max([*windows, covenant.LONGEST_DAYS if months else 0], default=0)
    return [day for day in closed if first <= day <= last + timedelta(days=reach)]


def too_many_unjudged(rules: int, unjudged: Collection[str]) -> bool:
    """Whether the share of rules that could not be judged is more than MOST_UNJUDGED."""
    return len(unjudged) > MOST_UNJUDGED * rules


def _of_days(verdict: Verdict, days: Sequence[date]) -> Verdict:
    """The verdict, or Unjudged if it covers none of the days."""
    if isinstance(verdict, Judged) and not verdict.days and days:
        return Unjudged(f"its table is not made for {days[-1]}")
    return verdict
