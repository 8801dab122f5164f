"""What is behind an alert: the history of its number, and the loans that weigh most.

It is computed for all open alerts at once, as of their last day, from tables that the close made.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.alerts.catalogue import METRICS, Metric
from lending_pipelines.alerts.findings import Source
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.watched import SCOPE_COLUMNS, loan_changes
from lending_pipelines.register.alert_models import Alert

HISTORY_DAYS = 60
"""The days of a history, up to the last day of the alert."""

LOANS_SHOWN = 5
"""The number of loans that an alert names."""

_LOAN_COLUMNS = ("loan_id", "currency", "principal_outstanding", "past_due_amount", "days_past_due", "status")
_GROUPS = tuple(dict.fromkeys(column for column in (*SCOPE_COLUMNS.values(), "borrower_id") if column))
_WITHOUT_LOANS = ("data_received", "close_late", "tape_late")

History = list[list[Any]]


def histories(source: Source, alerts: Sequence[Alert], rules: Mapping[str, AlertRule]) -> dict[str, History]:
    """The number of each alert by day, as [ISO date, value]; alerts whose number no table has are left out."""
    by_metric: dict[Metric, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if metric := _metric(alert, rules[alert.rule_id]):
            by_metric[metric].append(alert)
    found: dict[str, History] = {}
    for metric, own in by_metric.items():
        found |= _history(source, metric, own, rules)
    return found


def top_loans(
    source: Source, alerts: Sequence[Alert], rules: Mapping[str, AlertRule], team: Callable[[str], Sequence[str]]
) -> dict[str, list[dict[str, Any]]]:
    """The loans behind each alert, at most LOANS_SHOWN, the largest principal outstanding first.

    Of an alert on PAR n they are n days past due or more, of a concentration those of the group, of missed installments
    those that missed most, and of others those past due. Of an anomaly they are those that changed its number most,
    with `change`. `team` gives the officers whose loans a manager has.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    by_day: dict[date, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if rules[alert.rule_id].detector not in _WITHOUT_LOANS:
            by_day[alert.last_on].append(alert)
    try:
        positions = source.table("loan_positions")
    except LendingError:
        return {}
    for day, own in by_day.items():
        detectors = {alert.alert_id: rules[alert.rule_id].detector for alert in own}
        rows = positions.filter(positions.business_date == day)
        due = rows.filter(rows.status == "active")
        if "concentration" not in detectors.values():
            due = due.filter(due.days_past_due > 0)
        loans = due.select(*_LOAN_COLUMNS, *_GROUPS).to_pandas()
        for alert in own:
            rule = rules[alert.rule_id]
            if detectors[alert.alert_id] == "anomaly":
                changes = loan_changes(positions, rule.measured.column, day, source.conventions)
                found[alert.alert_id] = [] if changes is None else _most_changed(rows, changes, alert, team)
            else:
                found[alert.alert_id] = _largest(loans, alert, rule, team)
    return found


def _metric(alert: Alert, rule: AlertRule) -> Metric | None:
    if rule.metric is not None:
        return rule.measured
    if rule.detector == "covenant":
        return METRICS.get(f"portfolio_snapshots.{alert.topic.split()[-1]}")
    return None


def _history(
    source: Source, metric: Metric, alerts: Sequence[Alert], rules: Mapping[str, AlertRule]
) -> dict[str, History]:
    last = max(alert.last_on for alert in alerts)
    try:
        rows = source.table(metric.table)
    except LendingError:
        return {}
    rows = rows.filter(rows.business_date.between(last - timedelta(days=HISTORY_DAYS), last))
    identity = "manager_id" if metric.per_manager else "scope_id" if "scope_id" in rows.columns else None
    if identity:
        rows = rows.filter(rows[identity].isin(sorted({alert.subject_id for alert in alerts})))
    names = dict.fromkeys(("business_date", "scope", identity, "currency", metric.column, *metric.keys))
    frame = rows.select([name for name in names if name in rows.columns]).to_pandas()
    found = {}
    for alert in alerts:
        mask = frame["currency"] == alert.currency
        if identity:
            mask &= frame[identity] == alert.subject_id
        if "scope" in frame:
            mask &= frame["scope"] == alert.subject_kind
        for name, value in rules[alert.rule_id].where.items():
            mask &= frame[name] == value
        own = frame[mask].sort_values("business_date")
        days = pd.to_datetime(own["business_date"]).dt.strftime("%Y-%m-%d")
        values = own[metric.column]
        found[alert.alert_id] = [
            [day, float(value)] for day, value in zip(days, values, strict=True) if not pd.isna(value)
        ]
    return found


def _most_changed(
    rows: ir.Table, changes: ir.Table, alert: Alert, team: Callable[[str], Sequence[str]]
) -> list[dict[str, Any]]:
    """The subject's loans with the largest changes, whatever their sign."""
    loans = rows.inner_join(changes, "loan_id").select(*_LOAN_COLUMNS, *_GROUPS, "change").to_pandas()
    own = _of_subject(loans[loans["currency"] == alert.currency], alert, team)
    size = own["change"].abs()
    own = own.assign(size=size).sort_values(["size", "loan_id"], ascending=[False, True]).head(LOANS_SHOWN)
    return [{**_shown(row), "change": f"{row['change']:+,}"} for row in own.to_dict("records")]


def _of_subject(loans: pd.DataFrame, alert: Alert, team: Callable[[str], Sequence[str]]) -> pd.DataFrame:
    column = SCOPE_COLUMNS[alert.subject_kind]
    if column is None:
        return loans
    ids = team(alert.subject_id) if alert.subject_kind == "manager" else [alert.subject_id]
    return loans[loans[column].isin(ids)]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loan_id": row["loan_id"],
        "principal_outstanding": f"{row['principal_outstanding']:,.2f}",
        "past_due_amount": f"{row['past_due_amount']:,.2f}",
        "days_past_due": int(row["days_past_due"]),
    }


def _largest(
    loans: pd.DataFrame, alert: Alert, rule: AlertRule, team: Callable[[str], Sequence[str]]
) -> list[dict[str, Any]]:
    own = loans[loans["currency"] == alert.currency]
    details = alert.details or {}
    if rule.detector == "missed_installments":
        own = own[own["loan_id"].isin(details.get("loan_ids", []))]
    elif rule.detector == "concentration":
        own = own[own[details["column"]] == details["group"]]
        if scope := SCOPE_COLUMNS[details["scope"]]:
            own = own[own[scope] == details["scope_id"]]
    else:
        own = _of_subject(own, alert, team)
        metric = _metric(alert, rule)
        least = int(metric.column.split("_")[1]) if metric and metric.column.startswith("par_") else 1
        own = own[own["days_past_due"] >= least]
    largest = own.sort_values(["principal_outstanding", "loan_id"], ascending=[False, True]).head(LOANS_SHOWN)
    return [_shown(row) for row in largest.to_dict("records")]
