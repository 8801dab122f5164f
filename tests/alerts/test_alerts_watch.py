"""Closes and tapes that are late: raised while they are, and kept in the record when they are not any more."""

from datetime import date

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.alerts.close import Outcome, TooManyUnjudged, watch
from lending_pipelines.alerts.detectors import close_late, tape_late
from lending_pipelines.alerts.rule_files import parse_rules
from lending_pipelines.alerts.saved_rules import save_rules
from lending_pipelines.errors import LendingError
from lending_pipelines.register import Alerts, Register
from lending_pipelines.sensors.alert_watch import _CLOSES, _TAPES
from lending_pipelines.settings import Settings

DAY = date(2025, 3, 10)
RULES = parse_rules(
    [
        {"name": "close", "detector": "close_late", "threshold": 12, "severity": "critical"},
        {"name": "tape", "detector": "tape_late"},
    ],
    "test",
)


class Watched:
    def __init__(self, closes=(), tapes=()):
        self.tables = {
            close_late.TABLE: pa.Table.from_pylist(list(closes), schema=_CLOSES),
            tape_late.TABLE: pa.Table.from_pylist(list(tapes), schema=_TAPES),
        }

    def table(self, name):
        if name not in self.tables:
            raise LendingError(f"{name} is not watched")
        return ibis.memtable(self.tables[name])

    def days(self, name):
        return []


def late_close(hours, failure=None, days_open=1):
    return {"business_date": DAY, "first_open": DAY, "days_open": days_open, "hours": hours, "failure": failure}


def late_tape(hours, failed=False):
    return {
        "business_date": DAY, "tape": "Fund monthly", "tape_date": DAY, "hours": hours, "late_after_hours": 6,
        "failed": failed, "reason": None,
    }  # fmt: skip


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Watches once, and returns the alerts as (subject, state, steps)."""
    monkeypatch.setenv("LENDING_HOME", str(tmp_path))
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        save_rules(session, RULES)

    def look(**rows):
        watch(Watched(**rows), register, DAY, Settings.from_environment())
        with register.session() as session:
            return [
                (alert.subject_id, alert.state, [event.step for event in Alerts(session).events(alert.alert_id)])
                for alert in Alerts(session).listed()
            ]

    yield look
    register.dispose()


def test_a_close_is_late_after_its_hours_and_not_at_them(watched):
    assert watched(closes=[late_close(12.0)]) == []
    assert watched(closes=[late_close(12.1)]) == [("daily_close", "open", ["opened"])]


def test_a_close_that_came_late_was_late(watched):
    watched(closes=[late_close(13)])
    assert watched() == [("daily_close", "resolved", ["opened", "resolved"])]
    assert watched() == [("daily_close", "resolved", ["opened", "resolved"])]


def test_a_close_that_failed_does_not_wait_for_its_hours(watched):
    assert watched(closes=[late_close(1, failure="positions are not complete")]) == [
        ("daily_close", "open", ["opened"])
    ]


def test_a_tape_is_late_after_its_own_hours_or_when_it_failed(watched):
    assert watched(tapes=[late_tape(6)]) == []
    assert watched(tapes=[late_tape(1, failed=True)]) == [("Fund monthly", "open", ["opened"])]


def test_a_run_that_could_not_judge_more_than_a_tenth_of_the_rules_fails():
    early = {"c": "too early", "d": "too early"}
    Outcome((), (), 10, {"a": "why", **early}, {"a": "why"}).require_judged()
    with pytest.raises(TooManyUnjudged, match="2 of 10 alert rules could not be judged: a: why; b: why"):
        Outcome((), (), 10, {"a": "why", "b": "why", **early}, {"a": "why", "b": "why"}).require_judged()
