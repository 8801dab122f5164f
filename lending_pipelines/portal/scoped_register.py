"""The register as one person sees it: which of its rows the grants of a person cover.

Like table_rules.py for the lake: a kind of row without a rule here is for roles without restrictions only.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from lending_pipelines.portal.scope import Grant
from lending_pipelines.register.alert_models import Alert, AlertState
from lending_pipelines.register.alerts import Alerts

_SUBJECTS = {
    "manager": "officers",
    "officer": "officers",
    "branch": "branches",
    "portfolio": "portfolios",
    "investor": "investors",
}
"""The dimension of a scope that the subject of an alert belongs to, by its kind. Others concern the whole lender."""


def alert_is_covered(alert: Alert, grants: Sequence[Grant]) -> bool:
    """Whether the subject of an alert is within the scope of a grant, as with sums of loans in the lake."""
    return _is_covered(alert.subject_kind, alert.subject_id, grants)


def covered_alerts(
    session: Session,
    grants: Sequence[Grant],
    states: Sequence[AlertState] = (),
    severity: str | None = None,
    subject: str | None = None,
) -> list[Alert]:
    """The alerts of these states that the grants cover, critical ones first, the latest opening first."""
    found = Alerts(session).listed(states=states, severity=severity, subject=subject, limit=10_000)
    return [alert for alert in found if alert_is_covered(alert, grants)]


def unresolved_of_managers(
    session: Session, grants: Sequence[Grant], manager_ids: Sequence[str]
) -> Mapping[tuple[str, str], int]:
    """The number of alerts on these managers that are not resolved and that the grants cover, by id and currency."""
    covered = [manager_id for manager_id in manager_ids if _is_covered("manager", manager_id, grants)]
    return Alerts(session).unresolved("manager", covered)


def _is_covered(kind: str, subject_id: str, grants: Sequence[Grant]) -> bool:
    """Whether a grant is unrestricted, or is restricted in the subject's dimension only and covers its id."""
    dimension = _SUBJECTS.get(kind)
    return any(
        not grant.scope.restricted
        or (grant.scope.restricted == (dimension,) and subject_id in getattr(grant.scope, str(dimension)))
        for grant in grants
    )
