"""Finds numbers that changed by more than a threshold within some days, such as PAR 30 by 3 points in 7 days."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import MetricRows, Row, by_table, holds
from lending_pipelines.alerts.findings import Finding, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each subject and day whose number moved beyond the threshold since the day `window_days` before.

    A day is judged when the day before the window is closed too. A number that is null or absent on either day, or a
    percentage of zero, is not known.
    """
    verdicts: dict[str, Verdict] = {}
    for table, own in by_table(rules).items():
        windows = {timedelta(days=rule.window_days or 0) for rule in own}
        try:
            rows = MetricRows(source, table, own, [*days, *(day - window for day in days for window in windows)])
        except LendingError as error:
            verdicts |= {rule.name: Unjudged(str(error)) for rule in own}
            continue
        for rule in own:
            verdicts[rule.name] = _judge(rule, rows, set(days))
    return verdicts


def _judge(rule: AlertRule, rows: MetricRows, wanted: set[date]) -> Verdict:
    window = timedelta(days=rule.window_days or 0)
    made = set(rows.days)
    judged = [day for day in rows.days if day in wanted and day - window in made]
    closed = wanted.intersection(rows.days)
    if closed and not judged:
        before = max(closed) - window
        return Unjudged(f"{before}, {rule.window_days} days before, is not closed", is_expected=True)
    known = {(row.day, *row.key): row for row in rows.of(rule)}
    found = [
        finding
        for row in known.values()
        if row.day in judged and (finding := _finding(rule, row, known.get((row.day - window, *row.key))))
    ]
    return Judged(tuple(judged), tuple(found))


def _finding(rule: AlertRule, row: Row, before: Row | None) -> Finding | None:
    change = _change(rule, row.value, before.value if before else None)
    if change is None or before is None:
        return row.finding(rule, None)
    if not holds(change, rule.operator, rule.limit):
        return None
    kind = rule.measured.kind
    now, then = words.number(row.value, kind, row.currency), words.number(before.value, kind, row.currency)
    about = words.subject(row.kind, row.subject, row.name)
    moved, limit = (words.measured(rule, each, row.currency) for each in (change, rule.limit))
    text = (
        f"{words.capitalized(words.label(rule.measured.column))} of {about} changed by {moved} in {rule.window_days}"
        f" days, from {then} to {now}: {words.compared(rule.operator)} {limit}."
    )
    advice = words.message(rule, about, moved, limit, row.day)
    ends = {"before": float(before.value or 0), "now": float(row.value or 0)}
    return row.finding(rule, change, text, name=row.name, advice=advice, **ends)


def _change(rule: AlertRule, now: Decimal | None, before: Decimal | None) -> Decimal | None:
    if now is None or before is None:
        return None
    if rule.unit == "points":
        return now - before
    return round(100 * (now - before) / abs(before), 9) if before else None
