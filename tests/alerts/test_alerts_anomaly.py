"""Anomaly rules: what they find in made series, at their thresholds, and what they say."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from made_tables import MadeTables, rule

from lending_pipelines.alerts.detectors import anomaly
from lending_pipelines.alerts.evaluate import affected, evaluate
from lending_pipelines.alerts.findings import Judged, Unjudged
from lending_pipelines.alerts.rule_faults import AlertRuleError
from lending_pipelines.alerts.rule_files import parse_rules

FIRST = date(2024, 1, 1)
LAST = date(2024, 5, 20)
"""A Monday. The changes of the days before are 100.00 on working days and 20.00 at weekends."""


def usual(day: date) -> int:
    # Every second week 104 instead of 100: a spread above zero.
    return 20 if day.weekday() > 4 else 100 + 4 * ((day - FIRST).days // 7 % 2)


def source(change_of_last, column="total_collected", size=10_000, missing=()):
    rows, total = [], Decimal(0)
    for n in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=n)
        total += Decimal(str(change_of_last if day == LAST else usual(day)))
        if day not in missing:
            row = {"business_date": day, "scope": "branch", "scope_id": "B1", "currency": "USD", "name": "North"}
            rows.append(row | {column: total, "total_balance": Decimal(size)})
    return MadeTables({"portfolio_snapshots": rows})


def collected(least="1 %", **values):
    return rule(
        detector="anomaly",
        metric="portfolio_snapshots.total_collected",
        scope="branch",
        least_distance=least,
        **values,
    )


def found(made, given, days=(LAST,)):
    verdict = anomaly.detect(made, [given], list(days))[given.name]
    assert isinstance(verdict, Judged), verdict
    return verdict.findings


@pytest.mark.parametrize("change", [400, -200])
def test_a_change_far_from_the_usual_is_found_up_and_down(change):
    (finding,) = found(source(change), collected())
    assert (finding.kind, finding.subject, finding.currency) == ("branch", "B1", "USD")
    assert (finding.value, finding.severity) == (change, "warning")
    assert finding.threshold == finding.details["high" if change > 0 else "low"]
    # Mondays were 100 and 104 in turn.
    assert 100 <= finding.details["expected"] <= 104
    assert finding.details["low"] < 100
    assert finding.details["high"] > 104
    sign = "+" if change > 0 else ""
    text = f"Total collected of branch North (B1) changed by {sign}{change:.2f} USD in a day: +"
    assert finding.text.startswith(text)
    assert finding.text.endswith(" USD was expected.")


@pytest.mark.parametrize("change", [100, 104, 98])
def test_a_usual_change_is_not_found(change):
    assert found(source(change), collected()) == ()


def test_a_change_closer_than_the_least_distance_is_not_found():
    # 1 % of 30,001.00 is 300.01, and the change is at most 300.00 from what is expected (100 to 104).
    assert found(source(400), collected(), [LAST])
    assert found(source(400, size=30_001), collected()) == ()
    assert found(source(400), collected(least=301)) == ()
    assert found(source(400), collected(least=295))


def test_small_subjects_and_a_higher_threshold_leave_it_out():
    assert found(source(400), collected(minimum=10_001)) == ()
    assert found(source(400), collected(threshold=1000)) == ()


def test_only_days_with_enough_history_and_a_day_before_are_judged():
    verdict = anomaly.detect(source(400), [collected()], [FIRST + timedelta(days=n) for n in range(141)])["r"]
    assert isinstance(verdict, Judged)
    # The first change is that of 2 January; 60 changes are known before that of 2 March.
    assert verdict.days[0] == date(2024, 3, 2)
    gap = source(400, missing=(LAST - timedelta(days=1),))
    assert isinstance(anomaly.detect(gap, [collected()], [LAST])["r"], Unjudged)
    early = anomaly.detect(source(400), [collected()], [date(2024, 2, 1)])["r"]
    assert isinstance(early, Unjudged)
    assert early.reason == "fewer than 60 changes from one day to the next are known before 2024-02-01"


def test_a_day_in_the_past_that_is_closed_again_judges_later_days_again():
    days = [FIRST + timedelta(days=n) for n in range(300)]
    again = affected([collected()], FIRST, FIRST, days)
    assert again == days[: 180 + 28 + 1 + 1]


def test_days_alone_and_in_a_range_find_the_same():
    made = source(400)
    days = [LAST - timedelta(days=n) for n in range(30)]
    together = evaluate(made, [collected()], sorted(days)).findings
    alone = [finding for day in sorted(days) for finding in evaluate(made, [collected()], [day]).findings]
    assert together == alone
    assert [finding.business_date for finding in together] == [LAST]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"least_distance": None}, "least_distance is missing: a rule with detector 'anomaly' needs it"),
        ({"threshold": "15 %"}, "threshold is 15 %: write how many z are unusual, 1 or more, like 4"),
        ({"threshold": 0}, "threshold is 0: write how many z are unusual, 1 or more, like 4"),
        ({"least_distance": -1}, "least_distance is -1: write a number from 0 on"),
        (
            {"metric": "portfolio_snapshots.loan_count", "least_distance": "1 %"},
            "least_distance is '1 %': portfolio_snapshots.loan_count is not a percentage or an amount; write a number",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(values, fault):
    given = {"name": "r", "detector": "anomaly", "metric": "portfolio_snapshots.total_collected"}
    given |= {"least_distance": "1 %"} | values
    if given["least_distance"] is None:
        del given["least_distance"]
    with pytest.raises(AlertRuleError) as error:
        parse_rules([given], "test")
    assert error.value.faults == (f"test: rules[0] 'r': {fault}",)
