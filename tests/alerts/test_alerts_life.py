"""The life of an alert, by hand, and that it does not depend on the order in which days are judged."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.alerts.findings import Finding
from lending_pipelines.alerts.life import episodes

FIRST = date(2025, 3, 1)


def day(number):
    return FIRST + timedelta(days=number - 1)


def found(number, severity="warning", rule="r", **changes):
    finding = Finding(rule, day(number), "branch", "B1", "topic", severity, 10.0 + number, 10.0)
    return replace(finding, **changes)


def life(findings, judged, cool_down=2):
    """The alerts as (opened, resolved, [(day, step, severity)]), days as numbers."""

    def number(on):
        return on and (on - FIRST).days + 1

    return [
        (
            number(each.opened_on),
            number(each.resolved_on),
            [(number(step.business_date), step.step, step.severity) for step in each.steps],
        )
        for each in episodes(findings, {day(n): {"r"} for n in judged}, {"r": cool_down})
    ]


def test_an_alert_opens_once_escalates_eases_and_resolves():
    findings = [found(3), found(4), found(5, "critical"), found(6, "critical"), found(7)]
    assert life(findings, range(1, 9)) == [
        (
            3,
            8,
            [
                (3, "opened", "warning"),
                (5, "escalated", "critical"),
                (7, "eased", "warning"),
                (8, "resolved", "warning"),
            ],
        )
    ]


def test_the_worst_rule_of_a_day_is_the_alert():
    findings = [found(1, "warning", "a"), found(1, "critical", "b")]
    (alert,) = episodes(findings, {}, {})
    assert (alert.severity, alert.last.rule) == ("critical", "b")


def test_it_is_reopened_within_the_cool_down_and_new_after_it():
    # Resolved on day 2. With a cool-down of 2 days, day 4 is the last that reopens it.
    assert [alert[:2] for alert in life([found(1), found(4)], range(1, 5))] == [(1, None)]
    assert [alert[:2] for alert in life([found(1), found(5)], range(1, 6))] == [(1, 2), (5, None)]


def test_a_flapping_alert_is_one():
    (alert,) = life([found(n) for n in (1, 3, 5, 7)], range(1, 9))
    assert alert[:2] == (1, 8)
    assert [step for _, step, _ in alert[2]] == ["opened", *["resolved", "reopened"] * 3, "resolved"]


def test_days_that_were_not_judged_or_are_not_known_change_nothing():
    unknown = found(3, None, value=None)
    assert [alert[:2] for alert in life([found(1), unknown, found(5)], [1, 3, 5])] == [(1, None)]
    assert [alert[:2] for alert in life([unknown], [1, 3])] == []


def test_what_ended_on_its_day_is_resolved_on_it():
    assert [alert[:2] for alert in life([found(2, ended=True)], [1, 2])] == [(2, 2)]


@given(
    st.lists(st.tuples(st.integers(1, 31), st.sampled_from(["warning", "critical", None])), unique_by=lambda t: t[0]),
    st.integers(0, 5),
    st.randoms(),
)
def test_the_order_of_days_does_not_matter_and_alerts_are_apart(days, cool_down, random):
    findings = [found(number, severity) for number, severity in days]
    judged = [(day(number), {"r"}) for number in range(1, 32)]
    once = episodes(findings, dict(judged), {"r": cool_down})
    random.shuffle(findings)
    random.shuffle(judged)
    assert episodes(findings, dict(judged), {"r": cool_down}) == once
    for before, after in pairwise(once):
        assert before.resolved_on is not None
        assert (after.opened_on - before.resolved_on).days > cool_down
    opened = sum(each.severity is not None for each in findings)
    assert len(once) <= opened
