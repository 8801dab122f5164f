"""Finds numbers of a close summary that are beyond a threshold."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import exact, holds
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule

TABLE = pa.schema(
    {
        "business_date": pa.date32(),
        "number": pa.string(),
        "value": pa.int64(),
        "behind": pa.list_(pa.string()),
    }
)
"""A row per number of a summary: its value, null if it is not known, and in words the things that it counts."""

NAMED = 3
"""The number of counted things that a finding names."""


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each day whose number is beyond the threshold; a null number is not known."""
    rows = source.table("close_summary")
    found = rows.filter(rows.business_date.isin(days)).to_pyarrow().to_pylist()
    return {
        rule.name: Judged(
            tuple(days),
            tuple(
                finding for row in found if row["number"] == rule.measured.column and (finding := _finding(rule, row))
            ),
        )
        for rule in rules
    }


def _finding(rule: AlertRule, row: dict[str, Any]) -> Finding | None:
    value = exact(row["value"])
    if value is not None and not holds(value, rule.operator, rule.limit):
        return None
    shown, limit = (words.number(each, rule.measured.kind) for each in (value, rule.limit))
    named = row["behind"][:NAMED]
    more = [f"and {len(row['behind']) - NAMED} more"] if len(row["behind"]) > NAMED else []
    behind = f" {'; '.join([*named, *more])}" if named else ""
    text = (
        f"{words.capitalized(words.label(rule.measured.column))} in the close of {row['business_date']}: {shown},"
        f" {words.compared(rule.operator)} {limit}.{behind}"
    )
    return Finding(
        rule=rule.name,
        business_date=row["business_date"],
        kind="close",
        subject="daily_close",
        topic=rule.topic,
        severity=None if value is None else rule.severity,
        value=None if value is None else float(value),
        threshold=float(rule.limit),
        text="" if value is None else text,
        details={"advice": words.message(rule, "the close", shown, limit, row["business_date"])},
    )
