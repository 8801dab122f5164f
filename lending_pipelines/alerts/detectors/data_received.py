"""A servicing table had no news for longer than its usual rhythm."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from lending_pipelines.alerts import words
from lending_pipelines.alerts.findings import Finding, Judged, Source, Unjudged, Verdict
from lending_pipelines.alerts.rule_faults import NEWS
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError

WINDOW_DAYS = 90
"""The days before the last news whose gaps are the usual rhythm, when a rule does not say."""

FEWEST_GAPS = 5
"""A table with fewer gaps in the window has no rhythm yet."""

_USUAL = 0.95
_QUARTER = 900


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each table and day whose last news is longer ago than its usual gap between days with news.

    The usual gap is the 95th percentile of the gaps, in days, within the window up to the last news. A table that was
    never synced, or that has no rhythm yet, is left out; a table that a rule names must be there.
    """
    news: dict[str, list[date]] = {}
    missing: dict[str, str] = {}
    for table in dict.fromkeys(name for rule in rules for name in rule.tables or NEWS):
        try:
            rows = source.table(table)
        except LendingError as error:
            missing[table] = str(error)
            continue
        news[table] = _days_with_news(rows[NEWS[table]], ZoneInfo(source.conventions.timezone))
    verdicts: dict[str, Verdict] = {}
    for rule in rules:
        absent = [missing[table] for table in rule.tables if table in missing]
        if absent or not news:
            verdicts[rule.name] = Unjudged("; ".join(absent) or "no servicing table is synced")
            continue
        watched = [table for table in rule.tables or NEWS if table in news]
        found = [finding for table in watched for day in days if (finding := _finding(rule, table, news[table], day))]
        verdicts[rule.name] = Judged(tuple(days), tuple(found))
    return verdicts


def _days_with_news(times: ir.TimestampColumn, zone: ZoneInfo) -> list[date]:
    """The days of the zone on which there are rows, in order; `times` are the times of the rows."""
    # Every time zone is some quarters of an hour from UTC.
    quarters = (times.epoch_seconds() // _QUARTER).name("quarter").as_table().distinct()
    found = quarters.filter(quarters.quarter.notnull()).to_pyarrow()["quarter"].to_pylist()
    return sorted({datetime.fromtimestamp(quarter * _QUARTER, zone).date() for quarter in found})


def usual_gap(news: Sequence[date], window_days: int) -> int | None:
    """The 95th percentile of the gaps between days with news, in days, in the window up to the last one.

    None when there are fewer than FEWEST_GAPS. `news` is in order and not empty.
    """
    begins = news[-1] - timedelta(days=window_days)
    recent = [day for day in news if day >= begins]
    gaps = sorted((after - before).days for before, after in pairwise(recent))
    if len(gaps) < FEWEST_GAPS:
        return None
    # The smallest gap that at least 95 % of the gaps do not exceed.
    return gaps[math.ceil(_USUAL * len(gaps)) - 1]


def _finding(rule: AlertRule, table: str, news: Sequence[date], day: date) -> Finding | None:
    until = news[: bisect_right(news, day)]
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
