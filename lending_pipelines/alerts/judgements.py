"""The findings of the register, and the days on which rules were judged.

life.py computes alerts from them; record.py saves both.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from lending_pipelines.alerts.findings import Finding
from lending_pipelines.alerts.life import worst_of
from lending_pipelines.alerts.rules import DetectorName
from lending_pipelines.register.alert_models import Alert, AlertDay, AlertFinding, AlertRuleRow

Key = tuple[str, str, str, str]
"""Topic, kind of subject, subject and currency, as in Finding.key."""

_SUBJECT = (AlertFinding.topic, AlertFinding.subject_kind, AlertFinding.subject_id, AlertFinding.currency)
_COLUMNS = (
    *_SUBJECT,
    AlertFinding.rule_id,
    AlertFinding.business_date,
    AlertFinding.severity,
    AlertFinding.value,
    AlertFinding.threshold,
    AlertFinding.text,
    AlertFinding.ended,
)


class Judgements:
    """The findings and judged days of some kinds of rules, within one session."""

    def __init__(self, session: Session, detectors: Collection[DetectorName]) -> None:
        self._session = session
        self._detectors = detectors

    def of_these(self, topic: Any) -> sa.ColumnElement[bool]:
        """The condition that a topic is of one of these kinds: a topic begins with its kind."""
        return sa.or_(*(topic.startswith(detector, autoescape=True) for detector in sorted(self._detectors)))

    def replace(
        self,
        judged: Mapping[str, Sequence[date]],
        found: Sequence[tuple[str, Finding]],
        *,
        keep_ended: bool,
    ) -> set[Key]:
        """Replace the findings of the rules on the days on which each was judged.

        Args:
            judged: The days by rule_id.
            found: The rule_id and the finding of each.
            keep_ended: Keep findings that are no longer found, marked as ended, instead of deleting them.

        Returns:
            The keys that had a finding of these rules and days before, or have one now.
        """
        concerned = {finding.key for _, finding in found}
        for days, rule_ids in _grouped(judged).items():
            here = sa.and_(AlertFinding.rule_id.in_(rule_ids), AlertFinding.business_date.in_(days))
            had = sa.select(*_SUBJECT).where(here, self.of_these(AlertFinding.topic)).distinct()
            concerned.update(
                (topic, kind, subject, currency) for topic, kind, subject, currency in self._session.execute(had)
            )
            if keep_ended:
                same = [(finding.topic, finding.kind, finding.subject, finding.currency) for _, finding in found]
                key = sa.tuple_(*_SUBJECT)
                gone = sa.and_(here, key.not_in(same)) if same else here
                self._session.execute(sa.update(AlertFinding).where(gone).values(ended=True))
                here = sa.and_(here, key.in_(same)) if same else sa.false()
            self._session.execute(sa.delete(AlertFinding).where(here))
        if found:
            self._session.execute(sa.insert(AlertFinding), [_row(*each) for each in found])
        return concerned

    def remember(self, judged: Mapping[str, Sequence[date]]) -> None:
        """Record the days on which each rule, by rule_id, was judged."""
        by_day: dict[date, set[str]] = defaultdict(set)
        for rule_id, days in judged.items():
            for day in days:
                by_day[day].add(rule_id)
        for day, rule_ids in by_day.items():
            row = self._session.get(AlertDay, day)
            if row is None:
                self._session.add(AlertDay(business_date=day, rule_ids=sorted(rule_ids)))
            elif not rule_ids.issubset(row.rule_ids):
                row.rule_ids = sorted(rule_ids.union(row.rule_ids))
        self._session.flush()

    def judged_since(self, first: date) -> dict[date, set[str]]:
        """The rules that were judged on each day from `first`, by rule_id."""
        days = sa.select(AlertDay).where(AlertDay.business_date >= first)
        return {row.business_date: set(row.rule_ids) for row in self._session.scalars(days)}

    def last_day(self) -> date:
        """The last day on which any rule was judged; the earliest possible date if there is none."""
        return self._session.scalar(sa.select(sa.func.max(AlertDay.business_date))) or date.min

    def findings_since(self, first: date, keys: Collection[Key]) -> dict[Key, list[Finding]]:
        """The findings of these topics and subjects from `first`."""
        found: dict[Key, list[Finding]] = defaultdict(list)
        # The condition on rules lets the database use the primary key, which begins with the rule and the day.
        every_rule = AlertFinding.rule_id.in_(sa.select(AlertRuleRow.rule_id))
        here = sa.and_(every_rule, AlertFinding.business_date >= first, self.of_these(AlertFinding.topic))
        for row in self._session.execute(sa.select(*_COLUMNS).where(here)):
            key = (row.topic, row.subject_kind, row.subject_id, row.currency)
            if key in keys:
                found[key].append(_finding(row))
        return found

    def worst_before(self, day: date) -> dict[Key, Finding]:
        """For each alert with findings before and from `day`: its worst finding on its last day before `day`."""
        of_alert = sa.and_(*(column == getattr(Alert, column.key) for column in _SUBJECT))
        earlier = aliased(AlertFinding)
        last = (
            sa.select(sa.func.max(earlier.business_date))
            .where(
                *(getattr(earlier, column.key) == getattr(Alert, column.key) for column in _SUBJECT),
                earlier.business_date < day,
                earlier.severity.is_not(None),
            )
            .scalar_subquery()
        )
        on_both_sides = sa.and_(self.of_these(Alert.topic), Alert.opened_on < day, Alert.last_on >= day)
        query = sa.select(*_COLUMNS).join(Alert, sa.and_(of_alert, AlertFinding.business_date == last))
        by_key: dict[Key, list[Finding]] = defaultdict(list)
        for row in self._session.execute(query.where(on_both_sides)):
            finding = _finding(row)
            by_key[finding.key].append(finding)
        return {key: found for key, own in by_key.items() if (found := worst_of(own))}


def _grouped(judged: Mapping[str, Sequence[date]]) -> dict[tuple[date, ...], list[str]]:
    """The rules grouped by their judged days. Most rules have the same days, so there are few groups."""
    groups: dict[tuple[date, ...], list[str]] = defaultdict(list)
    for rule_id, days in judged.items():
        groups[tuple(days)].append(rule_id)
    return groups


def _row(rule_id: str, finding: Finding) -> dict[str, Any]:
    return {
        "rule_id": rule_id,
        "business_date": finding.business_date,
        "topic": finding.topic,
        "subject_kind": finding.kind,
        "subject_id": finding.subject,
        "currency": finding.currency,
        "severity": finding.severity,
        "value": finding.value,
        "threshold": finding.threshold,
        "text": finding.text,
        "details": dict(finding.details) or None,
        "ended": finding.ended,
    }


def _finding(row: Any) -> Finding:
    return Finding(
        rule=row.rule_id,
        business_date=row.business_date,
        kind=row.subject_kind,
        subject=row.subject_id,
        topic=row.topic,
        severity=row.severity,
        value=row.value,
        threshold=row.threshold,
        currency=row.currency,
        text=row.text,
        ended=row.ended,
    )
