"""Who is notified of an alert: the manager, the team leader, and the lender's admins."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from lending_pipelines.alerts.findings import Source
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.errors import LendingError
from lending_pipelines.register.alert_models import Alert


def has_address(recipient: str) -> bool:
    """Whether a recipient can get email."""
    return "@" in recipient


def with_admins(recipients: Iterable[str], admins: Sequence[str]) -> list[str]:
    """The recipients, each once, and the admins if there is none or one of them has no email address."""
    found = list(dict.fromkeys(recipients))
    return found if found and all(map(has_address, found)) else list(dict.fromkeys([*found, *admins]))


class Staff:
    """The rows of the servicing table staff; none when the source does not have it."""

    def __init__(self, source: Source) -> None:
        try:
            rows = source.table("staff").to_pyarrow().to_pylist()
        except LendingError:
            rows = []
        self._rows: dict[str, dict[str, Any]] = {row["staff_id"]: row for row in rows}

    def team(self, manager_id: str) -> list[str]:
        """The manager, and the officers of the team if the manager is a team leader."""
        return [manager_id, *(key for key, row in self._rows.items() if row["team_leader_id"] == manager_id)]

    def recipients(self, alert: Alert, rule: AlertRule, admins: Sequence[str]) -> list[str]:
        """The addresses of an alert's recipients, each once. Someone without an email address is `staff:ID`.

        The admins are recipients too if the rule says so, if there is no other recipient, or if one has no address.
        """
        found: list[str] = []
        for role in rule.recipients:
            found += admins if role == "admins" else map(self.address, self._in_role(role, alert))
        return with_admins(found, admins)

    def _in_role(self, role: str, alert: Alert) -> Iterable[str]:
        person = alert.subject_id if alert.subject_kind in ("manager", "officer") else None
        wanted: list[str | None] = []
        if role == "manager":
            wanted = [person]
        elif person:
            wanted = [self._rows.get(person, {}).get("team_leader_id")]
        elif alert.subject_kind == "branch":
            leaders = (key for key, row in self._rows.items() if row["role"] == "team_leader")
            wanted = [key for key in leaders if self._rows[key]["branch_id"] == alert.subject_id]
        return [each for each in wanted if each is not None and self.works(each, alert.last_on)]

    def works(self, staff_id: str, day: date) -> bool:
        """Whether a member of staff has this id and works for the lender on the day."""
        row = self._rows.get(staff_id)
        return row is not None and row["active_from"] <= day and (row["active_to"] is None or row["active_to"] >= day)

    def address(self, staff_id: str) -> str:
        """The email address of a member of staff, or `staff:ID`."""
        email = self._rows[staff_id]["email"] or ""
        return email if has_address(email) else f"staff:{staff_id}"
