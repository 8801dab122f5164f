"""Finds servicing tables that have received no rows for longer than their usual gap."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from lending_pipelines.alerts import words
from lending_pipelines.alerts.findings import Finding, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rule_faults import TIME_COLUMNS
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError

WINDOW_DAYS = 90
"""The default window: the days up to the last day with rows from which the usual gap is computed."""

FEWEST_GAPS = 5
"""The minimum number of gaps in the window. With fewer gaps, a table has no usual gap and is not judged."""

_USUAL = 0.95
"""The percentile of the gaps that is the usual gap."""
_QUARTER = 900
"""The seconds of a quarter of an hour."""


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each table and day if more days have passed since the last row than its usual gap.

    The usual gap is the 95th percentile of the gaps between days with rows, within the window up to the last day with
    rows. A table without enough gaps is left out. A table that was never synced is left out too, unless a rule names
    it: that rule cannot be judged.
    """
    row_days: dict[str, list[date]] = {}
    missing: dict[str, str] = {}
    for table in dict.fromkeys(name for rule in rules for name in rule.tables or TIME_COLUMNS):
        try:
            rows = source.table(table)
        except LendingError as error:
            missing[table] = str(error)
            continue
        row_days[table] = _days_with_rows(rows[TIME_COLUMNS[table]], ZoneInfo(source.conventions.timezone))
    verdicts: dict[str, Verdict] = {}
    for rule in rules:
        absent = [missing[table] for table in rule.tables if table in missing]
        if absent or not row_days:
            verdicts[rule.name] = Unjudged("; ".join(absent) or "no servicing table is synced")
            continue
        watched = [table for table in rule.tables or TIME_COLUMNS if table in row_days]
        found = [
            finding for table in watched for day in days if (finding := _finding(rule, table, row_days[table], day))
        ]
        verdicts[rule.name] = Judged(tuple(days), tuple(found))
    return verdicts


def _days_with_rows(times: ir.TimestampColumn, zone: ZoneInfo) -> list[date]:
    """The days in the time zone on which there are rows, in order. `times` are the times of the rows."""
    # The offset of every time zone from UTC is a multiple of a quarter of an hour.
    quarters = (times.epoch_seconds() // _QUARTER).name("quarter").as_table().distinct()
    found = quarters.filter(quarters.quarter.notnull()).to_pyarrow()["quarter"].to_pylist()
    return sorted({datetime.fromtimestamp(quarter * _QUARTER, zone).date() for quarter in found})


def usual_gap(row_days: Sequence[date], window_days: int) -> int | None:
    """The 95th percentile of the gaps between days with rows, in days, within the window up to the last of them.

    None when there are fewer than FEWEST_GAPS. `row_days` are the days with rows, in order; there is at least one.
    """
    begins = row_days[-1] - timedelta(days=window_days)
    recent = [day for day in row_days if day >= begins]
    gaps = sorted((after - before).days for before, after in pairwise(recent))
    if len(gaps) < FEWEST_GAPS:
        return None
    # The smallest gap that at least 95 % of the gaps do not exceed.
    return gaps[math.ceil(_USUAL * len(gaps)) - 1]


def _finding(rule: AlertRule, table: str, row_days: Sequence[date], day: date) -> Finding | None:
    until = row_days[: bisect_right(row_days, day)]
    if not until:
        return None
    usual = usual_gap(until, rule.window_days or WINDOW_DAYS)
    silent = (day - until[-1]).days
    if usual is None or silent <= usual:
        return None
    text = (
        f"Servicing table {table} has no rows after {until[-1]}: {silent} days by {day}, and its usual gap is at"
        f" most {usual} {'day' if usual == 1 else 'days'}."
    )
    about = words.subject("servicing_table", table)
    details = {"last_on": until[-1].isoformat(), "advice": words.message(rule, about, str(silent), str(usual), day)}
    return Finding(
        rule.name,
        day,
        "servicing_table",
        table,
        rule.topic,
        rule.severity,
        float(silent),
        float(usual),
        "",
        text,
        details,
    )
