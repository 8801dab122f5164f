"""Finds daily changes of a number that are far from the change expected from its history."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import MetricRows, Row, by_table
from lending_pipelines.alerts.findings import Finding, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.anomalies import (
    HISTORY_DAYS,
    LEAST_DAYS,
    TREND_DAYS,
    expected,
    with_enough_history,
)

REACH_DAYS = HISTORY_DAYS + TREND_DAYS + 1
"""The number of later days whose expected change a day can affect."""

_ONE_DAY = timedelta(days=1)


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each subject and day whose change is at least `threshold` z from the expected one, up or down.

    The change must also be at least `least_distance` away. A change is known when the day and the day before are closed
    and the number is known on both. A day is judged when enough changes can be known (see metrics/anomalies.py, also
    for what is expected); on a judged day, it is not known whether the rule holds for a subject with fewer changes. The
    threshold of a finding is the end of the expected band.
    """
    verdicts: dict[str, Verdict] = {}
    for table, own in by_table(rules).items():
        try:
            rows = MetricRows(source, table, own, _with_history(source.days(table), days))
        except LendingError as error:
            verdicts |= {rule.name: Unjudged(str(error)) for rule in own}
            continue
        made = set(rows.days)
        changes = [day for day in rows.days if day - _ONE_DAY in made]
        judged = with_enough_history(changes, days)
        if judged or made.isdisjoint(days):
            verdicts |= _judged(rows, own, judged)
        else:
            verdicts |= dict.fromkeys((rule.name for rule in own), _too_early(max(made.intersection(days)), changes))
    return verdicts


def _with_history(made: Iterable[date], days: Sequence[date]) -> list[date]:
    """The days on which the table was made, among the days and the earlier days that they depend on."""
    first, last = min(days) - timedelta(days=REACH_DAYS), max(days)
    return [day for day in made if first <= day <= last]


def _too_early(day: date, changes: Collection[date]) -> Unjudged:
    """Why none of the days can be judged."""
    if day not in changes:
        return Unjudged(f"{day - _ONE_DAY} is not closed, so the change of {day} is not known", is_expected=True)
    reason = f"fewer than {LEAST_DAYS} days before {day} have a change and a trend"
    return Unjudged(reason, is_expected=True)


def _judged(rows: MetricRows, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """The verdicts of the rules of a table. The series of all rules are judged together."""
    series: dict[tuple[int, str, str, str], dict[date, Row]] = defaultdict(dict)
    for number, rule in enumerate(rules):
        for row in rows.of(rule):
            series[number, *row.key][row.day] = row
    keys = list(series)
    moved = pd.DataFrame([_moved(series[key]) for key in keys], dtype="float64").T.sort_index()
    found: dict[str, list[Finding]] = {rule.name: [] for rule in rules}
    unknown = {(place, day) for place, key in enumerate(keys) for day in days if day in series[key]}
    for (place, day), value, usual, spread, z in expected(moved, days).itertuples():
        unknown.discard((place, day))
        rule, row = rules[keys[place][0]], series[keys[place]][day]
        if abs(z) >= float(rule.limit) and abs(value - usual) >= _least(rule, row):
            finding = _finding(rule, row, Decimal(str(value)), Decimal(str(usual)), Decimal(str(spread)), z)
            found[rule.name].append(finding)
    for place, day in sorted(unknown):
        rule = rules[keys[place][0]]
        found[rule.name].append(series[keys[place]][day].finding(rule, None))
    return {name: Judged(tuple(days), tuple(own)) for name, own in found.items()}


def _moved(by_day: Mapping[date, Row]) -> dict[date, float]:
    """The change of each day from the day before, where both are known."""
    known = {day: row.value for day, row in by_day.items() if row.value is not None}
    return {day: float(value - known[day - _ONE_DAY]) for day, value in known.items() if day - _ONE_DAY in known}


def _least(rule: AlertRule, row: Row) -> float:
    """The least distance in the metric's unit.

    A percentage for an amount is of the subject's principal outstanding. Any other is in percentage points.
    """
    assert rule.least_distance is not None
    if isinstance(rule.least_distance, Decimal):
        return float(rule.least_distance)
    if rule.measured.kind == "money":
        return float(rule.share_of(rule.least_distance) * (row.size or 0))
    return float(rule.in_unit(rule.least_distance))


def _finding(rule: AlertRule, row: Row, value: Decimal, usual: Decimal, spread: Decimal, z: float) -> Finding:
    reach = spread * rule.limit
    kind = rule.measured.kind
    moved, low, high = (words.change(number, kind, row.currency) for number in (value, usual - reach, usual + reach))
    about = words.subject(row.kind, row.subject, row.name)
    column = words.label(rule.measured.column)
    text = f"{words.capitalized(column)} of {about} changed by {moved} in a day: {low} to {high} was expected."
    details = {
        "name": row.name,
        "advice": words.message(rule, about, moved, f"{low} to {high}", row.day),
        "expected": float(usual),
        "low": float(usual - reach),
        "high": float(usual + reach),
        # JSON has no infinity: a number that never moved has no finite z.
        "z": z if abs(z) != float("inf") else None,
    }
    bound = usual + reach if value > usual else usual - reach
    return replace(row.finding(rule, value, text, **details), threshold=float(bound))
