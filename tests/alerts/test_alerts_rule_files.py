"""Mistakes in rules files: what is said of thresholds, and days that are not closed."""

from datetime import date

import pytest
from made_tables import MadeTables, rule

from lending_pipelines.alerts.evaluate import evaluate_range
from lending_pipelines.alerts.rule_faults import AlertRuleError
from lending_pipelines.alerts.rule_files import parse_rules

PAR = {"name": "r", "metric": "portfolio_snapshots.par_30", "operator": ">"}
SCORE = {"name": "r", "metric": "manager_snapshots.health_score", "scope": "manager", "operator": "<"}
CHANGE = {**PAR, "detector": "change", "window_days": 7}


@pytest.mark.parametrize("threshold", ["1.2.3 %", ". %", "- %", "1..5 %", "5 % %", "%"])
def test_a_percentage_that_is_none(threshold):
    with pytest.raises(AlertRuleError, match="write a number, or a percentage like '15 %'"):
        parse_rules([{**PAR, "threshold": threshold}], "rules.toml")


@pytest.mark.parametrize(("threshold", "limit"), [("15 %", "0.15"), (".5%", "0.005"), ("5. %", "0.05"), ("0 %", "0")])
def test_a_percentage_is_a_fraction(threshold, limit):
    (made,) = parse_rules([{**PAR, "threshold": threshold}], "rules.toml")
    assert str(made.limit.normalize()) == limit


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({**PAR, "threshold": 15}, r"threshold is 15: portfolio_snapshots.par_30 is between 0 and 1; write a fraction"),
        ({**PAR, "threshold": "-1 %"}, "is between 0 and 1"),
        ({**SCORE, "threshold": 150}, "is between 0 and 100; write a number from 0 to 100"),
        ({**CHANGE, "threshold": 3}, "is between 0 and 1"),
    ],
)
def test_a_threshold_that_the_number_never_reaches(given, expected):
    with pytest.raises(AlertRuleError, match=expected):
        parse_rules([given], "rules.toml")


@pytest.mark.parametrize(
    "given",
    [
        {**PAR, "threshold": "100 %"}, {**SCORE, "threshold": 100}, {**CHANGE, "threshold": "-3 %", "operator": "<"},
        {**CHANGE, "threshold": 300, "unit": "percent"},
    ],
)  # fmt: skip
def test_a_threshold_within_the_range(given):
    assert parse_rules([given], "rules.toml")


def test_rules_are_not_judged_on_days_that_are_not_closed():
    rules = [rule(**{**PAR, "threshold": "5 %"}), rule(detector="data_received")]
    rules.append(rule(detector="anomaly", metric="portfolio_snapshots.par_30", least_distance="1 %"))
    rules = [each.model_copy(update={"name": str(number)}) for number, each in enumerate(rules)]
    evaluation, days = evaluate_range(MadeTables({}), rules, date(2025, 3, 1), date(2025, 3, 2), [date(2025, 2, 1)])
    assert days == []
    assert evaluation.failed == dict.fromkeys("012", "none of the days is closed")
