"""Mistakes in rules files: what is said of thresholds, and days that are not closed."""

from datetime import date
from decimal import Decimal

import pytest
from made_tables import DAY, MadeTables, rule

from lending_pipelines.alerts.evaluate import evaluate, evaluate_range
from lending_pipelines.alerts.rule_faults import AlertRuleError, where_faults
from lending_pipelines.alerts.rule_files import parse_rules, read_rules
from lending_pipelines.conventions import Conventions

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


@pytest.mark.parametrize("given", [Decimal("NaN"), Decimal("-Infinity"), "nan", "inf", float("nan"), 10**15, [1], True])
@pytest.mark.parametrize("field", ["threshold", "least_distance"])
def test_what_is_no_number_is_reported_once(field, given):
    with pytest.raises(AlertRuleError) as error:
        parse_rules([{**PAR, "threshold": "5 %", field: given}], "rules.toml")
    (fault,) = error.value.faults
    assert f"{field} is " in fault
    assert "write a" in fault


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"bucket": "31-61"}, "where: '31-61' is not a value of bucket; use one of '1-29', '120+', '30-59'"),
        ({"bucket": "closed"}, "where: 'closed' is not a value of bucket"),
        ({"from_bucket": "closed", "to_bucket": "new"}, "is not a value of from_bucket"),
        ({"from_bucket": "closed", "to_bucket": "new"}, "is not a value of to_bucket"),
        ({"control_for": "principle"}, "'principle' is not a value of control_for; did you mean 'principal'?"),
    ],
)
def test_a_value_that_the_table_never_has(given, expected):
    table = {"bucket": "aging_buckets.loan_count", "control_for": "ledger_tieouts.difference"}
    metric = table.get(next(iter(given)), "aging_transitions.loan_count")
    made = rule(metric=metric, operator=">", threshold=1, where=given)
    assert any(expected in fault for fault in where_faults(made, Conventions()))


def test_values_that_tables_have():
    given = [{"from_bucket": "new", "to_bucket": "current"}, {"from_bucket": "120+", "to_bucket": "charged_off"}]
    for where in given:
        made = rule(metric="aging_transitions.loan_count", operator=">", threshold=1, where=where)
        assert where_faults(made, Conventions()) == []


def test_a_bucket_of_other_conventions_leaves_the_rule_unjudged():
    made = rule(metric="aging_buckets.loan_count", operator=">", threshold=1, where={"bucket": "60-89"})
    row = {"business_date": DAY, "scope": "all", "scope_id": "*", "currency": "EUR", "bucket": "60+", "loan_count": 9}
    source = MadeTables({"aging_buckets": [row]}, conventions=Conventions(bucket_edges=(1, 30, 60)))
    evaluation = evaluate(source, [made], [DAY])
    assert evaluation.failed == {"r": "where: '60-89' is not a value of bucket; did you mean '30-59'?"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"where": {"scope": "branch"}},
            "where: 'scope' is not a key of the table; write scope = \"…\" as a field",
        ),
        ({"where": {"scope_id": "B1"}}, "as a field of the rule"),
        ({"scope": "vintage", "subjects": ["2025-Q1"]}, "'2025-Q1' is not a vintage; write a year and quarter"),
    ],
)
def test_whose_number_it_is(given, expected):
    with pytest.raises(AlertRuleError, match=expected):
        parse_rules([{**PAR, "threshold": "5 %", **given}], "rules.toml")


def test_rules_are_not_judged_on_days_that_are_not_closed():
    rules = [rule(**{**PAR, "threshold": "5 %"}), rule(detector="data_received")]
    rules.append(rule(detector="anomaly", metric="portfolio_snapshots.par_30", least_distance="1 %"))
    rules = [each.model_copy(update={"name": str(number)}) for number, each in enumerate(rules)]
    evaluation, days = evaluate_range(MadeTables({}), rules, date(2025, 3, 1), date(2025, 3, 2), [date(2025, 2, 1)])
    assert days == []
    assert evaluation.failed == dict.fromkeys("012", "none of the days is closed")


CLOSE = {"name": "r", "metric": "close_summary.rows_rejected", "operator": ">", "threshold": 0}


@pytest.mark.parametrize("given", [CLOSE, {**CLOSE, "detector": "threshold"}, {**CLOSE, "scope": "all"}])
def test_a_rule_on_a_number_of_the_close_needs_no_detector(given):
    (made,) = parse_rules([given], "rules.toml")
    assert made.topic == "close_summary close_summary.rows_rejected above"
    assert parse_rules([made.settings()], "the register") == [made]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metric": "close_summary.row_rejected"}, "did you mean 'close_summary.rows_rejected'"),
        ({"metric": "close_sumary.rows_rejected"}, "did you mean 'close_summary.rows_rejected'"),
        ({"detector": "change", "window_days": 7}, "detector 'change' cannot watch close_summary.rows_rejected"),
        (
            {"detector": "close_summary", "metric": "portfolio_snapshots.par_30"},
            "detector 'close_summary' cannot watch portfolio_snapshots.par_30",
        ),
        ({"scope": "branch"}, "scope is 'branch': close_summary.rows_rejected is known for all"),
        ({"minimum": 5}, "minimum does not apply to detector 'close_summary'"),
        ({"threshold": "5 %"}, "close_summary.rows_rejected is not a percentage"),
    ],
)
def test_a_rule_on_the_close_that_cannot_be_judged(changes, expected):
    with pytest.raises(AlertRuleError, match=expected):
        parse_rules([{**CLOSE, **changes}], "rules.toml")


def test_all_faults_of_a_rule_are_reported_at_once():
    wrong = {
        "name": "r", "metric": "portfolio_snapshots.par30", "operator": "=>", "threshold": "ten", "minimal": 5,
        "message": "Call $subjct.", "tables": ["loan"],
    }  # fmt: skip
    with pytest.raises(AlertRuleError) as error:
        parse_rules([wrong, {**wrong, "detector": "thresholdd"}, {**PAR, "threshold": "x"}], "rules.toml")
    of_first = [fault for fault in error.value.faults if fault.startswith("rules.toml: rules[0] 'r': ")]
    fields = ["operator", "threshold", "unknown field 'minimal'", "tables does not", "message", "metric", "tables:"]
    assert len(of_first) == len(fields)
    assert all(any(fault.startswith(f"rules.toml: rules[0] 'r': {field}") for fault in of_first) for field in fields)
    assert any("rules[1] 'r': detector is 'thresholdd'; did you mean" in fault for fault in error.value.faults)
    assert error.value.faults[-1] == "rules.toml: two rules are named 'r'"


@pytest.mark.parametrize("given", [7, [], "x", {}, {"name": 7}, {**PAR, "metric": []}, {**PAR, "scope": 1}])
def test_a_wrong_field_is_reported_once(given):
    rule = {"operator": ">", "threshold": "5 %", **given} if isinstance(given, dict) else given
    with pytest.raises(AlertRuleError) as error:
        parse_rules([rule], "rules.toml")
    fields = [fault.split("rules[0]")[1].partition(": ")[2].split(" ")[0] for fault in error.value.faults]
    assert len(fields) == len(set(fields))


def test_the_faults_of_a_covenant_name_its_fields():
    covenants = [{"metric": "par_3", "max": 0.1}, {"metric": "par_30", "maxx": 0.1}]
    given = {"name": "r", "detector": "covenant", "scope": "portfolio", "covenants": covenants}
    with pytest.raises(AlertRuleError) as error:
        parse_rules([given], "rules.toml")
    assert "covenants.0.metric is 'par_3'; did you mean 'par_30'" in str(error.value)
    assert "unknown field 'covenants.1.maxx'; did you mean 'max'?" in str(error.value)


OUT_OF_BOUNDS = """
other = nan
[[rules]]
name = "a"
metric = "portfolio_snapshots.par_31"
operator = ">"
threshold = nan
near = inf
severity = "urgent"
[[rules]]
name = "b"
detector = "covenant"
scope = "portfolio"
covenants = [{ metric = "par_3", max = -inf }]
[[rules]]
name = "c"
metric = "portfolio_snapshots.par_30"
operator = "=>"
threshold = 0.1
minimum = 1e40
window_days = nan
unknown = nan
"""


def test_numbers_out_of_bounds_hide_no_other_fault_of_the_file():
    with pytest.raises(AlertRuleError) as error:
        read_rules(OUT_OF_BOUNDS, "f")
    assert sorted(error.value.faults) == [
        "f: rules[0] 'a': metric: there is no number 'portfolio_snapshots.par_31'; did you mean"
        " 'portfolio_snapshots.par_30' or 'portfolio_snapshots.par_90' or 'portfolio_snapshots.par_60'?",
        "f: rules[0] 'a': near is Infinity: Input should be a finite number",
        "f: rules[0] 'a': severity is 'urgent'; use one of 'critical', 'warning'",
        "f: rules[0] 'a': threshold is NaN: write a finite number",
        "f: rules[1] 'b': covenants.0.max is -Infinity: Input should be a finite number",
        "f: rules[1] 'b': covenants.0.metric is 'par_3'; did you mean 'par_30' or 'par_90' or 'par_60'?",
        "f: rules[2] 'c': minimum: write a finite number with at most 30 digits",
        "f: rules[2] 'c': operator is '=>'; did you mean '>'?",
        "f: rules[2] 'c': unknown field 'unknown'; use one of 'active', 'by', 'cool_down_days', 'covenants',"
        " 'detector', 'installments', 'least_distance', 'message', 'metric', 'minimum', …",
        "f: rules[2] 'c': window_days is NaN: Input should be a finite number",
        "f: unknown 'other'; write [[rules]]",
    ]
