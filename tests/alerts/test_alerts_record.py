"""Alerts in the register: the same however days are judged, and steps by people kept through restatements."""

import random as random_module
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from lending_pipelines.alerts.evaluate import DAILY
from lending_pipelines.alerts.findings import Evaluation, Finding, Judged
from lending_pipelines.alerts.record import record
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.alerts.saved_rules import save_rules, saved_rules
from lending_pipelines.register import Alerts, Register, RegisterError
from lending_pipelines.register.alert_models import Alert, AlertDay, AlertEvent, AlertFinding

DAYS = [date(2025, 3, 1) + timedelta(days=n) for n in range(31)]

RULES = [
    AlertRule(
        name=name,
        metric="portfolio_snapshots.par_30",
        scope="branch",
        operator=">",
        threshold=limit,
        severity=severity,
        cool_down_days=2,
    )
    for name, limit, severity in (("high", "10 %", "warning"), ("critical", "15 %", "critical"))
]

# PAR 30 by day: branch B1 rises, falls and returns after the cool-down; B2 flaps; B3 is never high.
PAR = {
    "B1": [0.05, 0.08, 0.11, 0.12, 0.16, 0.16, 0.13, 0.09, 0.09, 0.09, 0.09, 0.12] + [0.05] * 19,
    "B2": [0.11, 0.09] * 15 + [0.11],
    "B3": [0.10] * 31,
}


@pytest.fixture
def register(tmp_path):
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        save_rules(session, RULES)
    yield register
    register.dispose()


def judged(days: Sequence[date], par=PAR) -> Evaluation:
    """What the rules find on the days, compared by hand."""
    verdicts = {}
    for rule in RULES:
        findings = [
            Finding(
                rule.name, day, "branch", branch, rule.topic, rule.severity, values[DAYS.index(day)],
                float(rule.limit), "USD", f"PAR 30 of {branch} on {day}",
            )
            for branch, values in par.items()
            for day in days
            if values[DAYS.index(day)] > float(rule.limit)
        ]  # fmt: skip
        verdicts[rule.name] = Judged(tuple(days), tuple(findings))
    return Evaluation(verdicts)


def run(register, *batches, par=PAR):
    for days in batches:
        with register.session() as session:
            record(session, saved_rules(session), judged(days, par), days, DAILY)


def kept(register):
    """Everything that the register has of alerts, without the times at which it was saved."""
    with register.session() as session:
        rules = {rule_id: rule.name for rule_id, rule in saved_rules(session).items()}
        alerts = session.scalars(sa.select(Alert).order_by(Alert.subject_id, Alert.opened_on))
        return [
            (
                alert.alert_id, rules[alert.rule_id], alert.subject_id, alert.opened_on.day, alert.last_on.day,
                alert.resolved_on and alert.resolved_on.day, alert.severity, alert.value, alert.state, alert.text,
                [(each.business_date.day, each.step, each.severity) for each in Alerts(session).events(alert.alert_id)],
            )
            for alert in alerts
        ]  # fmt: skip


def test_the_life_of_alerts_over_a_month(register):
    run(register, DAYS)
    # B1: above 10 % on days 3 to 7, above 15 % on 5 and 6, resolved on 8, again on 12: after the cool-down of 2 days.
    # B2: above on every odd day, so that it is reopened each time, and open at the end.
    assert [row[1:4] + row[5:7] + (row[8], row[10]) for row in kept(register)[:2]] == [
        (
            "high", "B1", 3, 8, "warning", "resolved",
            [
                (3, "opened", "warning"), (5, "escalated", "critical"),
                (7, "eased", "warning"), (8, "resolved", "warning"),
            ],
        ),
        ("high", "B1", 12, 13, "warning", "resolved", [(12, "opened", "warning"), (13, "resolved", "warning")]),
    ]  # fmt: skip
    (flapping,) = kept(register)[2:]
    assert flapping[2:4] == ("B2", 1)
    assert (flapping[5], flapping[8], len(flapping[10])) == (None, "open", 31)


def test_days_in_order_shuffled_twice_and_as_one_backfill_end_in_the_same_alerts(tmp_path):
    found = []
    shuffled = random_module.Random(5).sample(DAYS, len(DAYS))
    ways = [[DAYS], [[day] for day in DAYS], [[day] for day in shuffled], [[day] for day in DAYS for _ in (1, 2)]]
    for number, batches in enumerate(ways):
        register = Register(f"sqlite:///{tmp_path / f'{number}.db'}")
        register.upgrade()
        with register.session() as session:
            save_rules(session, RULES)
        run(register, *batches)
        found.append(kept(register))
        register.dispose()
    assert found[0]
    assert found[1:] == found[:1] * 3


def made_up(random):
    """What two rules find of three subjects on 12 days: nothing, something, or that it is not known; and the days on
    which they were judged."""
    found = {}
    for subject in ("B1", "B2", "B3"):
        for day in DAYS[:12]:
            value = random.choice([0.05, 0.05, 0.12, 0.12, 0.2, None])
            found[subject, day] = value
    return found, [day for day in DAYS[:12] if random.random() < 0.9]


def evaluated(found, days):
    verdicts = {}
    for rule in RULES:
        findings = [
            Finding(
                rule.name, day, "branch", subject, rule.topic, rule.severity if value else None, value,
                float(rule.limit), "USD", f"{value} on {day}",
            )
            for (subject, day), value in found.items()
            if day in days and (value is None or value > float(rule.limit))
        ]  # fmt: skip
        verdicts[rule.name] = Judged(tuple(days), tuple(findings))
    return Evaluation(verdicts)


def batches(random, days):
    """The days in any order, some of them together, some twice."""
    days = random.sample([*days, *random.sample(days, 2)], len(days) + 2)
    while days:
        size = random.choice([1, 1, 1, 2, 4])
        yield sorted(set(days[:size]))
        days = days[size:]


def test_alerts_are_continued_as_if_all_days_were_judged_at_once(register):
    for number in range(20):
        random = random_module.Random(number)
        before, _ = made_up(random)
        after, days = made_up(random)
        ways = [[(after, days)], [(found, batch) for found in (before, after) for batch in batches(random, days)]]
        ends = []
        for way in ways:
            with register.session() as session:
                for table in (AlertEvent, Alert, AlertFinding, AlertDay):
                    session.execute(sa.delete(table))
            for found, batch in way:
                with register.session() as session:
                    record(session, saved_rules(session), evaluated(found, batch), batch, DAILY)
            ends.append(kept(register))
        assert ends[0], number
        assert ends[1] == ends[0], number


def test_a_night_reads_only_the_findings_of_the_night(register):
    run(register, *([day] for day in DAYS[:20]))
    read = []
    with register.session() as session:
        rules = saved_rules(session)
        loading = sa.event.listens_for(register.engine, "before_cursor_execute")
        loading(lambda connection, cursor, statement, parameters, context, many: read.append((statement, parameters)))
        record(session, rules, judged([DAYS[20]]), [DAYS[20]], DAILY)
    of_findings = [parameters for statement, parameters in read if "FROM alert_findings" in statement]
    assert of_findings
    assert all(DAYS[20].isoformat() in map(str, parameters) for parameters in of_findings)


def test_a_restatement_moves_an_alert_with_the_steps_that_people_took(register):
    run(register, DAYS[4:6])
    with register.session() as session:
        (first,) = Alerts(session).listed(subject="B1")
        Alerts(session).acknowledge(first.alert_id, "ann", "calling the branch")
    run(register, DAYS[:6])
    with register.session() as session:
        (alert,) = Alerts(session).listed(subject="B1")
        assert (alert.opened_on, alert.state, alert.acknowledged_by) == (DAYS[2], "acknowledged", "ann")
        steps = [event.step for event in Alerts(session).events(alert.alert_id)]
        assert steps == ["opened", "escalated", "acknowledged"]


def test_an_alert_that_never_was_is_withdrawn_if_somebody_worked_on_it(register):
    run(register, DAYS[:3])
    with register.session() as session:
        (alert,) = Alerts(session).listed(subject="B1")
        Alerts(session).acknowledge(alert.alert_id, "ann", "seen")
    run(register, DAYS[:3], par={branch: [0.0] * 31 for branch in PAR})
    with register.session() as session:
        (alert,) = session.scalars(sa.select(Alert))
        assert (alert.subject_id, alert.state) == ("B1", "resolved")
        (withdrawn,) = session.scalars(sa.select(AlertEvent).where(AlertEvent.step == "withdrawn"))
        assert "restated" in withdrawn.reason


def test_an_empty_id_is_no_alert_also_if_there_is_one_alone(register):
    run(register, DAYS[:3])
    with register.session() as session:
        alert = session.scalars(sa.select(Alert)).first()
        for table in (AlertEvent, AlertFinding):
            session.execute(sa.delete(table))
        session.execute(sa.delete(Alert).where(Alert.alert_id != alert.alert_id))
        assert Alerts(session).get(alert.alert_id[:8]) is alert
        with pytest.raises(RegisterError, match="there is no alert ''"):
            Alerts(session).acknowledge("", "ann", "seen")


def test_a_snooze_ends_and_needs_a_reason(register):
    run(register, DAYS[:3])
    with register.session() as session:
        (alert,) = Alerts(session).listed(subject="B1")
        with pytest.raises(RegisterError, match="by and reason must not be empty"):
            Alerts(session).snooze(alert.alert_id, " ", "", DAYS[4])
        with pytest.raises(RegisterError, match="alerts are already judged up to 2025-03-03; write a later date"):
            Alerts(session).snooze(alert.alert_id, "ann", "known", DAYS[2])
        Alerts(session).snooze(alert.alert_id, "ann", "known", DAYS[4])
    states = []
    for day in DAYS[3:6]:
        run(register, [day])
        with register.session() as session:
            states.append(Alerts(session).listed(subject="B1")[0].state)
    assert states == ["snoozed", "snoozed", "open"]


@pytest.mark.parametrize("step", ["acknowledge", "snooze"])
def test_a_step_is_undone_and_stays_in_the_record(register, step):
    run(register, DAYS[:3])
    until = {"until": DAYS[20]} if step == "snooze" else {}
    with register.session() as session:
        (alert,) = Alerts(session).listed(subject="B1")
        with pytest.raises(RegisterError, match="is open: it is neither acknowledged nor snoozed"):
            Alerts(session).reopen(alert.alert_id, "bob", "wrong branch")
        getattr(Alerts(session), step)(alert.alert_id, "ann", "known", **until)
        with pytest.raises(RegisterError, match="reason must not be empty"):
            Alerts(session).reopen(alert.alert_id, "bob", " ")
        reopened = Alerts(session).reopen(alert.alert_id, "bob", "wrong branch")
        assert (reopened.state, reopened.acknowledged_by, reopened.reason, reopened.snoozed_until) == (
            "open",
            *[None] * 3,
        )
    run(register, [DAYS[3]])
    with register.session() as session:
        (alert,) = Alerts(session).listed(subject="B1")
        assert (alert.state, alert.acknowledged_by, alert.snoozed_until) == ("open", None, None)
        people = [(each.step, each.by, each.reason) for each in Alerts(session).events(alert.alert_id) if each.by]
        past = {"acknowledge": "acknowledged", "snooze": "snoozed"}[step]
        assert people == [(past, "ann", "known"), ("reopened", "bob", "wrong branch")]
    run(register, *([day] for day in DAYS[4:8]))
    with register.session() as session, pytest.raises(RegisterError, match="was resolved on 2025-03-08"):
        Alerts(session).reopen(alert.alert_id, "bob", "wrong branch")


def test_alerts_of_a_rule_that_is_not_active_any_more_are_resolved(register):
    run(register, DAYS[:5])
    with register.session() as session:
        save_rules(session, [rule.model_copy(update={"active": False}) for rule in RULES])
    with register.session() as session:
        record(session, saved_rules(session), Evaluation({}), [DAYS[5]], DAILY)
        assert {alert.resolved_on for alert in Alerts(session).listed(subject="B1")} == {DAYS[5]}
