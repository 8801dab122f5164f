"""Loans missed a number of full installments."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from lending_pipelines.alerts import words
from lending_pipelines.alerts.findings import Finding, Judged, Source, Verdict
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.metrics import watched


def detect(source: Source, rules: Sequence[AlertRule], days: Sequence[date]) -> dict[str, Verdict]:
    """A finding for each subject and day with so many loans that missed so many installments in full.

    A loan smaller than `minimum` does not count. The threshold is the number of loans, at least 1.
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
    return {rule.name: Judged(tuple(judged), tuple(_findings(rule, rows))) for rule in rules}


def _findings(rule: AlertRule, rows: Sequence[dict[str, Any]]) -> list[Finding]:
    column = watched.SCOPE_COLUMNS[rule.scope]
    groups: dict[tuple[date, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        subject = row[column] if column else "*"
        wanted = subject is not None and (not rule.subjects or subject in rule.subjects)
        large = rule.minimum is None or row["principal_outstanding"] >= rule.minimum
        if wanted and large and row["missed"] >= (rule.installments or 1):
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
