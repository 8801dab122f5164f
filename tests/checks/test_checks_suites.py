"""Great Expectations says which rule fails and what it observed; the evidence names the rows."""

from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, evaluate, find, reader, row, whole_world

from lending_pipelines.checks import Days, suite_check
from lending_pipelines.tables import TABLES


def suite(world, table):
    return evaluate(world, table, "great_expectations")


@pytest.mark.parametrize(
    ("values", "failed"),
    [
        ({"status": None}, "nulls in status"),
        ({"status": "late"}, "status outside its values"),
        ({"bucket": "1-30"}, "bucket outside its values"),
        ({"days_past_due": -1}, "least days_past_due"),
        ({"past_due_amount": Decimal("-0.01")}, "least past_due_amount"),
        ({"currency": None}, "nulls in currency"),
    ],
)
def test_a_bad_value_on_one_day(values, failed):
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_1).update(values)
    outcome = suite(world, "loan_positions")
    assert not outcome.passed
    assert outcome.failing_days == (FEB_1,)
    assert [r["loan_id"] for r in outcome.sample] == ["L2"]
    assert [f["expectation"] for f in outcome.metadata["failed"]] == [failed]
    statistics = outcome.metadata
    assert statistics["unsuccessful_expectations"] == 1
    assert statistics["successful_expectations"] == statistics["evaluated_expectations"] - 1
    assert failed in outcome.message


def test_a_duplicate_key():
    world = whole_world()
    world["loan_positions"].append(dict(find(world["loan_positions"], loan_id="L1", business_date=FEB_2)))
    outcome = suite(world, "loan_positions")
    assert outcome.failing_days == (FEB_2,)
    assert outcome.metadata["failed"] == [{"expectation": "duplicate keys", "observed": [1]}]
    assert {r["loan_id"] for r in outcome.sample} == {"L1"}


def test_amounts_that_may_be_negative():
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_1)["principal_outstanding"] = Decimal(-5)
    assert suite(world, "loan_positions").passed


@pytest.mark.parametrize(("value", "rule"), [(1.1, "greatest balance_share"), (-0.1, "least balance_share")])
def test_a_ratio_out_of_range(value, rule):
    world = whole_world()
    find(world["aging_buckets"], scope="all", bucket="current", business_date=FEB_1)["balance_share"] = value
    outcome = suite(world, "aging_buckets")
    assert outcome.failing_days == (FEB_1,)
    assert outcome.metadata["failed"] == [{"expectation": rule, "observed": [value]}]


def test_a_table_that_is_not_daily():
    world = whole_world()
    world["fees"] = [row("fees", fee_id="F1", fee_type="processing"), row("fees", fee_id="F2", fee_type="bribe")]
    outcome = suite(world, "fees")
    assert outcome.failing_days == ()
    assert outcome.failed_rows == 1
    assert outcome.sample[0]["fee_id"] == "F2"
    assert outcome.sample[0]["why"] == "fee_type outside its values; "


def test_an_empty_table_has_nothing_wrong_and_says_that_it_is_empty():
    outcome = suite(whole_world(), "fees")
    assert outcome.passed
    assert outcome.metadata["rows"] == 0


def test_other_buckets_are_other_values():
    edges = CONVENTIONS.model_copy(update={"bucket_edges": (1, 15)})
    outcome = suite_check(TABLES["aging_buckets"], edges).evaluate(reader(whole_world()), Days((FEB_2,)))
    assert outcome.metadata["failed"] == [{"expectation": "bucket outside its values", "observed": [5]}]


def test_rules_are_silent(capfd):
    suite(whole_world(), "loan_positions")
    assert capfd.readouterr() == ("", "")
