"""Alert rules as rows, by name. What a rule means and whether it is valid is in alerts/rules.py and rule_faults.py."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.alert_models import AlertRuleRow
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.types import utc_now


class AlertRules:
    """The alert rules, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[AlertRuleRow]:
        """Every rule, by name."""
        return list(self._session.scalars(sa.select(AlertRuleRow).order_by(AlertRuleRow.name)))

    def by_name(self, name: str) -> AlertRuleRow:
        """The rule with that name. Raises RegisterError with near names when there is none."""
        rules = {rule.name: rule for rule in self.all()}
        if name not in rules:
            raise RegisterError(f"there is no alert rule {name!r}; {did_you_mean(name, rules)}")
        return rules[name]

    def save(self, rules: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> tuple[int, int]:
        """Save valid rules; one whose name exists is replaced. Returns how many were added and how many changed.

        Args:
            rules: The columns of each rule, and its settings as JSON values.
        """
        existing = {rule.name: rule for rule in self.all()}
        added = changed = 0
        for columns, settings in rules:
            row = existing.get(columns["name"])
            if row is None:
                self._session.add(AlertRuleRow(**columns, settings=dict(settings)))
                added += 1
            elif row.settings != settings:
                for name, value in columns.items():
                    setattr(row, name, value)
                row.settings, row.saved_at = dict(settings), utc_now()
                changed += 1
        self._session.flush()
        return added, changed
