"""A rule is validated to its last node, and every invalid rule is a LendingError."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.criteria import (
    FIELDS,
    MAX_DEPTH,
    MAX_NODES,
    MAX_VALUES,
    Condition,
    CriteriaError,
    Group,
    parse_criteria,
    read_criteria,
)


def on(field="principal", op="gt", value=1000):
    return {"field": field, "op": op, "value": value}


def refusal(rule):
    with pytest.raises(CriteriaError) as refused:
        parse_criteria(rule)
    message = str(refused.value)
    assert "\n" not in message
    return message


def nested(depth, innermost):
    for _ in range(depth):
        innermost = {"all": [innermost]}
    return innermost


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (None, 'criteria: write an object with "all", "any" or "field", not null'),
        ({}, 'criteria: "field" is missing; write {"field": …, "op": …, "value": …}'),
        ({"all": []}, "criteria.all: write a list of one or more rules, not an empty list"),
        ({"all": [on()], "any": [on()]}, "criteria: 'any' is not allowed here, only all"),
        (on() | {"sql": "1=1"}, "criteria: 'sql' is not allowed here, only field and op and value"),
        (on("princpal"), "criteria.field: there is no field 'princpal'; did you mean 'principal'?"),
        ({"all": [on(), on("id")]}, "criteria.all[1].field: there is no field 'id'; "),
        (on(op="=="), "criteria.op: there is no operator '=='; use one of 'between', 'eq', 'ge', 'gt', 'in', "),
        (on(op="betwen"), "criteria.op: there is no operator 'betwen'; did you mean 'between'?"),
        (on("region", "lt", "N"), "criteria.op: region is text and cannot be ordered; use eq or ne or in or not_in"),
        (
            {"all": [on(), {"any": [on(value="cheap")]}]},
            "criteria.all[1].any[0].value: principal is money: write an amount with at most two decimals like 1000.50,"
            " not 'cheap'",
        ),
        (
            on(value=1.001),
            "criteria.value: principal is money: write an amount with at most two decimals like 1000.50, not 1.001",
        ),
        (
            on(value=True),
            "criteria.value: principal is money: write an amount with at most two decimals like 1000.50, not true",
        ),
        (on(value=float("nan")), "criteria.value: principal is money: "),
        (on(value=10**5000), "criteria.value: principal is money: "),
        (on(value="1e999999999"), "criteria.value: principal is money: "),
        (on("annual_rate", "lt", 0.123456789), "criteria.value: annual_rate is a rate: write an annual fraction "),
        (on("term_count", "eq", 12.0), "criteria.value: term_count is a whole number: write a whole number like 36"),
        (
            on("approved_on", "ge", "2025-02-30"),
            'criteria.value: approved_on is a date: write a date like "2025-01-31"',
        ),
        (on("approved_on", "ge", 20250101), "criteria.value: approved_on is a date: "),
        (on("purpose", "eq", "a\x00b"), "criteria.value: purpose is text: write printable text "),
        (on("day_count", "eq", "30/36"), "criteria.value: '30/36' is not a value of day_count; did you mean '30/360'?"),
        (on(op="between", value=[1]), "criteria.value: between takes two values, the lowest and the highest, not 1"),
        (on(op="between", value=[2, 1]), "criteria.value: 2.00 is greater than 1.00; write the lower value first"),
        (on(op="in", value=7), "criteria.value: in takes a list, not 7"),
        (on(op="in", value=[]), "criteria.value: in takes 1 to 1,000 values, not 0"),
        (on(op="in", value=[1] * (MAX_VALUES + 1)), "criteria.value: in takes 1 to 1,000 values, not 1,001"),
        (on("product_id", "not_in", ["P1", 2]), "criteria.value[1]: product_id is text: "),
        (nested(MAX_DEPTH, on()), f"a rule is at most {MAX_DEPTH} nodes deep"),
        (nested(100_000, on()), f"a rule is at most {MAX_DEPTH} nodes deep"),
        ({"any": [on()] * MAX_NODES}, f"a rule has at most {MAX_NODES} nodes"),
    ],
)
def test_what_is_no_rule_is_refused_at_the_node_that_is_wrong(rule, message):
    assert message in refusal(rule)


def test_a_rule_at_its_bounds_is_one():
    parse_criteria(nested(MAX_DEPTH - 1, on()))
    parse_criteria({"any": [on()] * (MAX_NODES - 1)})
    parse_criteria(on(op="in", value=[1] * MAX_VALUES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "criteria: not valid JSON: "),
        ('{"field": "principal", "field": "region"}', "criteria: not valid JSON: an object has 'field' twice"),
        ("[" * 100_000, "criteria: not valid JSON: "),
        ("NaN", 'criteria: write an object with "all", "any" or "field", not nan'),
    ],
)
def test_what_is_no_json_is_refused(text, message):
    with pytest.raises(CriteriaError) as refused:
        read_criteria(text)
    assert message in str(refused.value)


def test_a_rule_comes_back_from_its_text_as_it_was():
    rule = {"all": [on(), {"any": [on("product_id", "in", ["P1"])]}]}
    assert read_criteria(json.dumps(rule)) == rule


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [*FIELDS, "2025-01-31", "' OR 1=1; --", "in", "between", "eq", "all", "1e9999", "30/360", "\ud800"]
    )
)
names = st.sampled_from(["all", "any", "field", "op", "value"]) | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)
# Nearly right, so that what lies behind the first checks is reached too.
nearly = st.recursive(
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(sorted(FIELDS)) | scalars,
            "op": st.sampled_from(["eq", "ne", "lt", "between", "in", "not_in"]),
            "value": scalars | st.lists(scalars, min_size=2, max_size=2) | anything,
        }
    ),
    lambda inner: st.dictionaries(st.sampled_from(["all", "any"]), st.lists(inner, max_size=3), max_size=1),
    max_leaves=6,
)


@settings(max_examples=300)
@given(anything | nearly)
def test_anything_is_a_rule_or_is_refused_with_a_path(given):
    message = None
    try:
        rule = parse_criteria(given)
    except CriteriaError as refused:
        message = str(refused)
    if message is None:
        assert isinstance(rule, Group | Condition)
    else:
        assert message.startswith("criteria")
        assert "\n" not in message
        # Ten faults of fewer than 500 bytes each.
        assert len(message.encode()) < 5000


def test_of_many_faults_the_first_ten_are_named_and_the_rest_counted():
    message = refusal({"all": [on("princpal"), {"any": [on(op="==")] * 15}, on(value="cheap")]})
    assert message.startswith("criteria.all[0].field: ")
    assert message.count("criteria.") == 10
    assert "criteria.all[1].any[8].op: " in message
    assert message.endswith("; and 7 more")


def test_a_message_is_short_however_much_is_wrong():
    # The deepest paths and the longest values: ten faults of fewer than 500 bytes each.
    deep = {"any": [on("x" * 10_000, "y" * 10_000, "\U0001f4a9" * 10_000)] * (MAX_NODES - MAX_DEPTH)}
    assert len(refusal(nested(MAX_DEPTH - 2, deep)).encode()) < 5000
    names = on("product_id", "in", ["\u200b" * 300] * MAX_VALUES)
    assert len(refusal(names).encode()) < 500
