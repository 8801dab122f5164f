"""Finds subjects with loans that missed a number of full installments."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from lending_pipelines.alerts import words
from lending_pipelines.alerts.detectors.rows import staff_of
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.metrics import watched


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each subject and day with at least `threshold` loans that each missed `installments` in full.

    A loan smaller than `minimum` does not count. The threshold is at least 1.
    """
    judged = sorted(set(source.days("loan_positions")).intersection(days))
    if not judged:
        return {rule.name: Judged((), ()) for rule in rules}
    positions = source.table("loan_positions")
    positions = positions.filter(positions.business_date.isin(judged))
    missed = watched.missed_installments(positions, source.table("installments"), judged[0], judged[-1])
    least = min(rule.installments or 1 for rule in rules)
    missed = missed.filter(missed.missed >= least)
    scopes = [column for column in watched.SCOPE_COLUMNS.values() if column]
    loans = missed.select("business_date", "loan_id", "currency", "principal_outstanding", "missed", *scopes)
    rows = loans.to_pyarrow().to_pylist()
    leaders = _leaders(source) if any(rule.scope == "manager" for rule in rules) else {}
    return {rule.name: Judged(tuple(judged), tuple(_findings(rule, rows, leaders))) for rule in rules}


def _leaders(source: Source) -> dict[str, str]:
    """The team leader of each officer who has one."""
    staff = staff_of(source)
    if staff is None:
        return {}
    led = staff.filter(staff.team_leader_id != staff.staff_id).select("staff_id", "team_leader_id")
    return {row["staff_id"]: row["team_leader_id"] for row in led.to_pyarrow().to_pylist()}


def _findings(rule: AlertRule, rows: Sequence[dict[str, Any]], leaders: Mapping[str, str]) -> list[Finding]:
    column = watched.SCOPE_COLUMNS[rule.scope]
    groups: dict[tuple[date, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        own = row[column] if column else "*"
        large = rule.minimum is None or row["principal_outstanding"] >= rule.minimum
        if not large or row["missed"] < (rule.installments or 1):
            continue
        # A loan counts for its officer and for the officer's team leader.
        for subject in (own, leaders.get(own) if rule.scope == "manager" else None):
            if subject is not None and (not rule.subjects or subject in rule.subjects):
                groups[row["business_date"], subject, row["currency"]].append(row)
    limit = max(rule.limit, Decimal(1))
    return [_finding(rule, key, loans, limit) for key, loans in sorted(groups.items()) if len(loans) >= limit]


def _finding(rule: AlertRule, key: tuple[date, str, str], loans: list[dict[str, Any]], limit: Decimal) -> Finding:
    day, subject, currency = key
    about = words.subject(rule.scope, subject)
    principal = sum((loan["principal_outstanding"] for loan in loans), Decimal(0))
    one = len(loans) == 1
    text = (
        f"{len(loans)} {'loan' if one else 'loans'} of {about} missed {rule.installments} or more full installments,"
        f" with {principal:,.2f} {currency} outstanding."
    )
    worst = sorted(loans, key=lambda loan: (-loan["missed"], -loan["principal_outstanding"], loan["loan_id"]))
    details = {
        "loan_ids": [loan["loan_id"] for loan in worst[:5]],
        "advice": words.message(rule, about, str(len(loans)), str(limit), day),
    }
    return Finding(
        rule.name,
        day,
        rule.scope,
        subject,
        rule.topic,
        rule.severity,
        float(len(loans)),
        float(limit),
        currency,
        text,
        details,
    )
