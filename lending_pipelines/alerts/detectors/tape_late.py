"""Finds loan tapes that are late or were not delivered."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from lending_pipelines.alerts import words
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule

TABLE = "late_tapes"
"""A row per delivery that waits, is under way or failed.

It has business_date (the last day that has ended), tape, tape_date, hours since the end of tape_date, late_after_hours
of the tape, failed, and reason (null if none is known).
"""


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each tape that failed, or is more hours after the end of its day than allowed.

    The allowed hours are the rule's threshold, or the tape's late_after_hours. If several days of a tape are late, only
    the oldest one has a finding.
    """
    rows = source.table(TABLE)
    found = rows.filter(rows.business_date.isin(days)).order_by("tape", "tape_date").to_pyarrow().to_pylist()
    return {rule.name: Judged(tuple(days), tuple(_findings(rule, found))) for rule in rules}


def _findings(rule: AlertRule, rows: Sequence[dict[str, Any]]) -> list[Finding]:
    oldest: dict[str, Finding] = {}
    for row in rows:
        allowed = float(row["late_after_hours"] if rule.threshold is None else rule.limit)
        late = row["failed"] or row["hours"] > allowed
        if late and row["tape"] not in oldest and (not rule.subjects or row["tape"] in rule.subjects):
            oldest[row["tape"]] = _finding(rule, row, allowed)
    return list(oldest.values())


def _finding(rule: AlertRule, row: dict[str, Any], allowed: float) -> Finding:
    what = "was not delivered" if row["failed"] else "is late"
    reason = f" {words.capitalized(row['reason'])}." if row["reason"] else ""
    text = (
        f"Tape {row['tape']} of {row['tape_date']} {what}: {row['hours']:,.0f} hours after the end of its day, and"
        f" {allowed:,.0f} are allowed.{reason}"
    )
    about = words.subject("tape", row["tape"])
    details = {"advice": words.message(rule, about, f"{row['hours']:,.0f}", f"{allowed:,.0f}", row["tape_date"])}
    return Finding(
        rule.name,
        row["business_date"],
        "tape",
        row["tape"],
        rule.topic,
        rule.severity,
        float(row["hours"]),
        allowed,
        "",
        text,
        details,
    )
