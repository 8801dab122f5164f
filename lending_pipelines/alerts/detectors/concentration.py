"""Finds borrowers, products, branches and other groups with more than a share of a scope's active principal."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import exact, holds, staff_of
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.metrics import watched


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each group and day whose share is above the threshold, in scopes of at least `minimum`."""
    judged = sorted(set(source.days("loan_positions")).intersection(days))
    if not judged:
        return {rule.name: Judged((), ()) for rule in rules}
    positions = source.table("loan_positions")
    positions = positions.filter(positions.business_date.isin(judged))
    staff = staff_of(source)
    read: dict[tuple[str, str], list[dict[str, Any]]] = {}
    verdicts: dict[str, Verdict] = {}
    for rule in rules:
        key = (rule.scope, str(rule.by))
        if key not in read:
            least = float(min(other.limit for other in rules if (other.scope, str(other.by)) == key))
            groups = watched.shares(positions, rule.scope, _column(rule), staff)
            # The limit is a little lower, because shares are compared to nine decimals below.
            read[key] = groups.filter(groups.share > least - 1e-6).to_pyarrow().to_pylist()
        found = [finding for row in read[key] if (finding := _finding(rule, row))]
        verdicts[rule.name] = Judged(tuple(judged), tuple(found))
    return verdicts


def _column(rule: AlertRule) -> str:
    return "vintage" if rule.by == "vintage" else f"{rule.by}_id"


def _finding(rule: AlertRule, row: dict[str, Any]) -> Finding | None:
    share = exact(row["share"])
    if share is None or not holds(share, ">", rule.limit):
        return None
    if rule.subjects and row["scope_id"] not in rule.subjects:
        return None
    if rule.minimum is not None and row["total"] < rule.minimum:
        return None
    kind, group, day, currency = str(rule.by), row["group_id"], row["business_date"], row["currency"]
    scope = words.subject(rule.scope, row["scope_id"])
    subject = group if rule.scope == "all" else f"{group} in {rule.scope} {row['scope_id']}"
    value, limit = words.number(share, "fraction"), words.number(rule.limit, "fraction")
    about = words.subject(kind, group)
    text = (
        f"{words.capitalized(about)} has {value} of the active principal of {scope}"
        f" ({row['principal']:,.2f} of {row['total']:,.2f} {currency}): above {limit}."
    )
    details = {
        "column": _column(rule),
        "group": group,
        "scope": rule.scope,
        "scope_id": row["scope_id"],
        "advice": words.message(rule, about, value, limit, day),
    }
    topic = f"{rule.topic} {rule.scope}"
    return Finding(
        rule.name, day, kind, subject, topic, rule.severity, float(share), float(rule.limit), currency, text, details
    )
