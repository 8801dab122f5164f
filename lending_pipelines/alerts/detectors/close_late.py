"""Finds a close that is late or failed."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from lending_pipelines.alerts import words
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule

TABLE = "late_closes"
"""At most one row, while days are not closed or the last close failed.

It has business_date (the last day that has ended), first_open (the first day that is not closed, or else the last
closed day), days_open, hours since the end of first_open (0 if no day is open), and failure, why the last close failed
(null: it did not).
"""


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding while a close failed, or is more hours after the end of its day than the threshold."""
    rows = source.table(TABLE)
    found = rows.filter(rows.business_date.isin(days)).to_pyarrow().to_pylist()
    return {
        rule.name: Judged(tuple(days), tuple(finding for row in found if (finding := _finding(rule, row))))
        for rule in rules
    }


def _finding(rule: AlertRule, row: dict[str, Any]) -> Finding | None:
    hours, failure, first = row["hours"], row["failure"], row["first_open"]
    if failure is None and hours <= rule.limit:
        return None
    days = "1 day is" if row["days_open"] == 1 else f"{row['days_open']} days are"
    still_open = f" {words.capitalized(days)} not closed, from {first}." if row["days_open"] else ""
    text = (
        f"The close is late.{still_open} {hours:,.0f} hours have passed since the end of {first}, and"
        f" {rule.limit:,.0f} are allowed."
        if failure is None
        else f"The last close failed.{still_open} {failure}"
    )
    details = {"advice": words.message(rule, "daily_close", f"{hours:,.0f}", f"{rule.limit:,.0f}", first)}
    return Finding(
        rule.name,
        row["business_date"],
        "close",
        "daily_close",
        rule.topic,
        rule.severity,
        float(hours),
        float(rule.limit),
        "",
        text,
        details,
    )
