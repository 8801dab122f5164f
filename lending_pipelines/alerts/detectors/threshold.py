"""Finds numbers that are beyond a threshold."""

from collections.abc import Sequence
from datetime import date

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import MetricRows, Row, by_table, holds
from lending_pipelines.alerts.findings import Finding, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each subject and day whose number is beyond the threshold; a null number is not known."""
    verdicts: dict[str, Verdict] = {}
    for table, own in by_table(rules).items():
        try:
            rows = MetricRows(source, table, own, days)
        except LendingError as error:
            verdicts |= {rule.name: Unjudged(str(error)) for rule in own}
            continue
        for rule in own:
            found = [finding for row in rows.of(rule) if (finding := _finding(rule, row))]
            verdicts[rule.name] = Judged(tuple(rows.days), tuple(found))
    return verdicts


def _finding(rule: AlertRule, row: Row) -> Finding | None:
    kind = rule.measured.kind
    about = words.subject(row.kind, row.subject, row.name)
    limit = words.number(rule.limit, kind, row.currency)
    if row.value is None:
        return row.finding(rule, None)
    if not holds(row.value, rule.operator, rule.limit):
        return None
    value = words.number(row.value, kind, row.currency)
    what = words.capitalized(words.label(rule.measured.column))
    where = "".join(f", {words.label(name)} {given}" for name, given in rule.where.items())
    text = f"{what} of {about}{where} is {value}, {words.compared(rule.operator)} {limit}."
    advice = words.message(rule, about, value, limit, row.day)
    return row.finding(rule, row.value, text, name=row.name, advice=advice)
