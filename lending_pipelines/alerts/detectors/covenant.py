"""Finds covenants of a facility that are near their limit, or breached."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import exact
from lending_pipelines.alerts.findings import Finding, Judged, Severity, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.metrics import watched
from lending_pipelines.metrics.facility import Covenant, FacilityRules
from lending_pipelines.metrics.ratios import ratio

MONTHS = FacilityRules.model_fields["covenant_months"].default
"""The months over which charge-off rates are annualised."""

LONGEST_DAYS = 31 * MONTHS
"""The maximum number of days that a charge-off rate looks back."""

_LOOKING_BACK = ("charge_off_rate", "net_charge_off_rate")


def looks_back(rule: AlertRule) -> bool:
    """Whether a covenant of the rule depends on earlier days."""
    return any(covenant.metric in _LOOKING_BACK for covenant in rule.covenants)


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each covenant, subject and day within `near` of the limit: a warning, or critical when breached.

    A covenant whose number is null is not known.
    """
    judged = sorted(set(source.days("portfolio_snapshots")).intersection(days))
    if not judged:
        return {rule.name: Judged((), ()) for rule in rules}
    levels = _levels(source, rules, judged)
    rates = {scope: _rates(source, scope, judged) for scope in {rule.scope for rule in rules if looks_back(rule)}}
    verdicts: dict[str, Verdict] = {}
    for rule in rules:
        own = [row for row in levels if row["scope"] == rule.scope]
        if rule.subjects:
            own = [row for row in own if row["scope_id"] in rule.subjects]
        found = [finding for row in own for finding in _findings(rule, row, rates.get(rule.scope, {}))]
        verdicts[rule.name] = Judged(tuple(judged), tuple(found))
    return verdicts


def _levels(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> list[dict[str, Any]]:
    """The rows of portfolio_snapshots with the numbers that covenants limit."""
    rows = source.table("portfolio_snapshots")
    rows = rows.filter(rows.business_date.isin(days), rows.scope.isin(sorted({rule.scope for rule in rules})))
    return _with_losses(rows).to_pyarrow().to_pylist()


def _with_losses(rows: ir.Table) -> ir.Table:
    return rows.select(
        "business_date",
        "scope",
        "scope_id",
        "currency",
        "name",
        "par_30",
        "par_60",
        "par_90",
        cumulative_net_loss=ratio(rows.charged_off - rows.recovered, rows.total_disbursed),
        weighted_avg_rate=rows.weighted_avg_rate.cast("float64"),
    )


def _rates(source: Source, scope: str, days: Sequence[date]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The charge-off rates by day, subject and currency."""
    spans = [((pd.Timestamp(day) - pd.DateOffset(months=MONTHS)).date(), day) for day in days]
    positions = source.table("loan_positions")
    positions = positions.filter(positions.business_date.between(min(spans)[0], days[-1]))
    rows = watched.charge_off_rates(positions, scope, spans).to_pyarrow().to_pylist()
    return {(row["business_date"], row["scope_id"], row["currency"]): row for row in rows}


def _findings(rule: AlertRule, row: dict[str, Any], rates: dict[tuple[Any, ...], dict[str, Any]]) -> Iterator[Finding]:
    key = (row["business_date"], row["scope_id"], row["currency"])
    for covenant in rule.covenants:
        looked_up = rates.get(key, {}) if covenant.metric in _LOOKING_BACK else row
        if finding := _finding(rule, covenant, row, exact(looked_up.get(covenant.metric))):
            yield finding


def _finding(rule: AlertRule, covenant: Covenant, row: dict[str, Any], actual: Decimal | None) -> Finding | None:
    common = {
        "rule": rule.name,
        "business_date": row["business_date"],
        "kind": row["scope"],
        "subject": row["scope_id"],
        "topic": f"{rule.topic} {covenant.metric}",
        "currency": row["currency"],
        "threshold": covenant.limit,
    }
    if actual is None:
        return Finding(**common, severity=None, value=None)
    severity = severity_of(covenant, actual, rule.near)
    if severity is None:
        return None
    about = words.subject(row["scope"], row["scope_id"], row["name"])
    value, limit = words.number(actual, "fraction"), words.number(covenant.limit, "fraction")
    bound = "at least" if covenant.max is None else "at most"
    state = "is breached" if severity == "critical" else f"is within {float(rule.near) * 100:g} % of its limit"
    text = f"Covenant {words.label(covenant.metric)} of {about} {state}: it is {value}, and {bound} {limit} is allowed."
    details = {
        "name": row["name"],
        "metric": covenant.metric,
        "advice": words.message(rule, about, value, limit, row["business_date"]),
    }
    return Finding(**common, severity=severity, value=float(actual), text=text, details=details)


def severity_of(covenant: Covenant, actual: Decimal, near: Decimal) -> Severity | None:
    """critical if the limit is breached, warning within `near` of the limit (the edge included), else None."""
    if covenant.max is not None:
        return "critical" if actual > covenant.max else "warning" if actual >= covenant.max * (1 - near) else None
    least = covenant.min or Decimal(0)
    return "critical" if actual < least else "warning" if actual <= least * (1 + near) else None
