"""The loans that contribute most to an alert's number.

They are found for all open alerts at once, as of their last day, in the positions of the close.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lending_pipelines.alerts.findings import Source
from lending_pipelines.alerts.histories import metric_of
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.delinquency import least_days_in_par
from lending_pipelines.metrics.watched import SCOPE_COLUMNS, loan_changes
from lending_pipelines.register.alert_models import Alert

LOANS_SHOWN = 5
"""The maximum number of loans that an alert names."""

_LOAN_COLUMNS = ("loan_id", "currency", "principal_outstanding", "past_due_amount", "days_past_due", "status")
_GROUPS = tuple(dict.fromkeys(column for column in (*SCOPE_COLUMNS.values(), "borrower_id") if column))
_WITHOUT_LOANS = ("data_received", "close_late", "tape_late", "close_summary")

Team = Callable[[str], Sequence[str]]
"""Returns the officers whose loans a manager has."""


def top_loans(
    source: Source, alerts: Sequence[Alert], rules: Mapping[str, AlertRule], team: Team
) -> dict[str, list[dict[str, Any]]]:
    """The loans that contribute most to each alert, at most LOANS_SHOWN, the largest principal outstanding first.

    - PAR n: loans at least n days past due, or more than n by the convention par_operator
    - concentration: loans of the group
    - missed installments: the loans that missed most
    - anomaly: the loans that changed the number most, with `change`
    - other alerts: loans past due
    """
    try:
        positions = source.table("loan_positions")
    except LendingError:
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for (day, changed), own in _grouped(alerts, rules).items():
        rows = positions.filter(positions.business_date == day)
        if changed is None:
            loans = _Loans(_due(rows, {rules[alert.rule_id].detector for alert in own}), "principal_outstanding")
            found |= {
                alert.alert_id: _largest(loans, alert, rules[alert.rule_id], team, source.conventions) for alert in own
            }
            continue
        changes = loan_changes(positions, changed, day, source.conventions)
        if changes is None:
            found |= {alert.alert_id: [] for alert in own}
            continue
        joined = rows.inner_join(changes, "loan_id").select(*_LOAN_COLUMNS, *_GROUPS, "change").to_pandas()
        loans = _Loans(joined.assign(size=joined["change"].abs()), "size")
        found |= {alert.alert_id: _most_changed(loans, alert, team) for alert in own}
    return found


def _grouped(alerts: Iterable[Alert], rules: Mapping[str, AlertRule]) -> dict[tuple[date, str | None], list[Alert]]:
    """The alerts about loans by their last day and, for anomalies, the column that changed."""
    groups: dict[tuple[date, str | None], list[Alert]] = defaultdict(list)
    for alert in alerts:
        rule = rules[alert.rule_id]
        if rule.detector not in _WITHOUT_LOANS:
            groups[alert.last_on, rule.measured.column if rule.detector == "anomaly" else None].append(alert)
    return groups


def _due(positions: ir.Table, detectors: set[str]) -> pd.DataFrame:
    """The active loans that are past due. If one of the detectors is concentration, all active loans."""
    due = positions.filter(positions.status == "active")
    if "concentration" not in detectors:
        due = due.filter(due.days_past_due > 0)
    return due.select(*_LOAN_COLUMNS, *_GROUPS).to_pandas()


class _Loans:
    """The loans of a day, the largest first."""

    def __init__(self, loans: pd.DataFrame, size: str) -> None:
        self._loans = loans.sort_values([size, "loan_id"], ascending=[False, True], ignore_index=True)
        self._columns = {str(name): column.to_numpy() for name, column in self._loans.items()}
        self._places: dict[str, dict[Any, np.ndarray]] = {}

    def largest(self, currency: str, among: Mapping[str, Iterable[str]], least_days: int = 0) -> list[dict[str, Any]]:
        """The largest loans in the currency that are at least `least_days` days past due.

        For each column in `among`, a loan must have one of the values.
        """
        chosen = self._columns["days_past_due"] >= least_days
        for column, values in {"currency": [currency], **among}.items():
            chosen &= self._having(column, values)
        first = np.flatnonzero(chosen)[:LOANS_SHOWN]
        return [{name: values[place] for name, values in self._columns.items()} for place in first]

    def _having(self, column: str, values: Iterable[str]) -> np.ndarray:
        """For each loan, whether the column has one of the values. Texts are compared once, not for each alert."""
        if column not in self._places:
            self._places[column] = self._loans.groupby(column).indices
        having = np.zeros(len(self._loans), dtype=bool)
        for value in values:
            having[self._places[column].get(value, [])] = True
        return having


def _most_changed(loans: _Loans, alert: Alert, team: Team) -> list[dict[str, Any]]:
    """The subject's loans with the largest changes, whatever their sign."""
    found = loans.largest(alert.currency, _of_subject(alert, team))
    return [{**_shown(loan), "change": f"{loan['change']:+,}"} for loan in found]


def _largest(
    loans: _Loans, alert: Alert, rule: AlertRule, team: Team, conventions: Conventions
) -> list[dict[str, Any]]:
    details = alert.details or {}
    least = 0
    if rule.detector == "missed_installments":
        among = {"loan_id": details.get("loan_ids", [])}
    elif rule.detector == "concentration":
        among = {details["column"]: [details["group"]]}
        if scope := SCOPE_COLUMNS[details["scope"]]:
            among[scope] = [details["scope_id"]]
    else:
        among = _of_subject(alert, team)
        metric = metric_of(alert, rule)
        least = 1
        if metric and metric.column.startswith("par_"):
            least = least_days_in_par(int(metric.column.split("_")[1]), conventions)
    return [_shown(loan) for loan in loans.largest(alert.currency, among, least)]


def _of_subject(alert: Alert, team: Team) -> dict[str, Sequence[str]]:
    column = SCOPE_COLUMNS[alert.subject_kind]
    if column is None:
        return {}
    return {column: team(alert.subject_id) if alert.subject_kind == "manager" else [alert.subject_id]}


def _shown(loan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loan_id": loan["loan_id"],
        "principal_outstanding": f"{loan['principal_outstanding']:,.2f}",
        "past_due_amount": f"{loan['past_due_amount']:,.2f}",
        "days_past_due": int(loan["days_past_due"]),
    }
