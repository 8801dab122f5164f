"""The history of an alert's number: what it was on the days before, from tables that the close made."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from lending_pipelines.alerts.catalogue import METRICS, Metric
from lending_pipelines.alerts.findings import Source
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError
from lending_pipelines.register.alert_models import Alert

HISTORY_DAYS = 60
"""The number of days of a history before the last day of the alert."""

History = list[list[Any]]


def histories(source: Source, alerts: Sequence[Alert], rules: Mapping[str, AlertRule]) -> dict[str, History]:
    """The number of each alert by day, as [ISO date, value]; alerts whose number no table has are left out."""
    by_table: dict[str, list[tuple[Alert, Metric]]] = defaultdict(list)
    for alert in alerts:
        if metric := metric_of(alert, rules[alert.rule_id]):
            by_table[metric.table].append((alert, metric))
    found: dict[str, History] = {}
    for table, own in by_table.items():
        found |= _histories(source, table, own, rules)
    return found


def metric_of(alert: Alert, rule: AlertRule) -> Metric | None:
    """The number that an alert is about, if a table of the lake has it."""
    if rule.detector == "close_summary":
        return None
    if rule.metric is not None:
        return rule.measured
    if rule.detector == "covenant":
        return METRICS.get(f"portfolio_snapshots.{alert.topic.split()[-1]}")
    return None


def _histories(
    source: Source, table: str, alerts: Sequence[tuple[Alert, Metric]], rules: Mapping[str, AlertRule]
) -> dict[str, History]:
    last = max(alert.last_on for alert, _ in alerts)
    try:
        rows = source.table(table)
    except LendingError:
        return {}
    rows = rows.filter(rows.business_date.between(last - timedelta(days=HISTORY_DAYS), last))
    identity = next((name for name in ("manager_id", "scope_id") if name in rows.columns), None)
    if identity:
        rows = rows.filter(rows[identity].isin(sorted({alert.subject_id for alert, _ in alerts})))
    names = {"business_date", "scope", identity, "currency"}
    names |= {name for _, metric in alerts for name in (metric.column, *metric.keys)}
    rows = rows.select([name for name in rows.columns if name in names])
    by_subject: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows.to_pyarrow().to_pylist(), key=lambda row: row["business_date"]):
        by_subject[row.get("scope"), row.get(str(identity)), row["currency"]].append(row)
    found = {}
    for alert, metric in alerts:
        scope = alert.subject_kind if "scope" in rows.columns else None
        where = rules[alert.rule_id].where.items()
        found[alert.alert_id] = [
            [row["business_date"].isoformat(), float(value)]
            for row in by_subject[scope, alert.subject_id if identity else None, alert.currency]
            if all(row[name] == given for name, given in where) and not pd.isna(value := row[metric.column])
        ]
    return found
