"""Great Expectations says which expectation fails and what it observed; the evidence names the rows."""

from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, evaluate, find, reader, row, whole_world

from lending_pipelines.checks import SUITE, Days, checks_for, representatives


@pytest.fixture(params=["whole", "representatives"], autouse=True)
def size(request, monkeypatch):
    """Each rule is tested on the whole table, and as on a table that is too large for that."""
    if request.param == "representatives":
        monkeypatch.setattr(representatives, "MAX_ROWS", 0)


def suite(world, table, conventions=CONVENTIONS):
    return evaluate(world, table, SUITE, conventions=conventions)


@pytest.mark.parametrize(
    ("values", "failed"),
    [
        ({"status": None}, "ExpectColumnValuesToNotBeNull(column='status')"),
        (
            {"status": "late"},
            "ExpectColumnValuesToBeInSet(column='status', value_set=['pending', 'active', 'closed', 'charged_off'])",
        ),
        ({"days_past_due": -1}, "ExpectColumnValuesToBeBetween(column='days_past_due', min_value=0)"),
        ({"past_due_amount": Decimal("-0.01")}, "ExpectColumnValuesToBeBetween(column='past_due_amount', min_value=0)"),
        ({"currency": None}, "ExpectColumnValuesToNotBeNull(column='currency')"),
    ],
)
def test_a_bad_value_on_one_day(values, failed):
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_1).update(values)
    outcome = suite(world, "loan_positions")
    assert not outcome.passed
    assert outcome.severity == "error"
    assert outcome.blocking
    assert outcome.failing_days == (FEB_1,)
    assert [r["loan_id"] for r in outcome.sample] == ["L2"]
    assert outcome.sample[0]["why"] == f"{failed}; "
    assert [f["expectation"] for f in outcome.metadata["failed"]] == [failed]
    assert outcome.message == f"loan_positions: 1 rows fail {failed} (loan_id=L2)"


def test_a_wrong_code_in_a_row_that_has_no_other_value_of_its_own():
    """Neither the least nor the greatest value of its column, on a day and of a manager that other rows have too."""
    world = whole_world()
    codes = [("M1", FEB_1, "Critical"), ("M1", FEB_2, "Warning"), ("M2", FEB_1, "Critical"), ("M2", FEB_2, "Fair")]
    world["manager_snapshots"] = [
        row("manager_snapshots", manager_id=manager_id, business_date=on, health_category=code)
        for manager_id, on, code in codes
    ]
    outcome = suite(world, "manager_snapshots")
    assert [(r["manager_id"], r["business_date"]) for r in outcome.sample] == [("M2", "2025-02-02")]


def test_a_row_without_a_key():
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_1)["loan_id"] = None
    outcome = suite(world, "loan_positions")
    assert [f["expectation"] for f in outcome.metadata["failed"]] == ["ExpectColumnValuesToNotBeNull(column='loan_id')"]
    assert (outcome.failed_rows, outcome.failing_days) == (1, (FEB_1,))


def test_a_duplicate_key():
    world = whole_world()
    world["loan_positions"].append(dict(find(world["loan_positions"], loan_id="L1", business_date=FEB_2)))
    outcome = suite(world, "loan_positions")
    assert outcome.failing_days == (FEB_2,)
    unique = "ExpectCompoundColumnsToBeUnique(column_list=['business_date', 'loan_id'])"
    assert [f["expectation"] for f in outcome.metadata["failed"]] == [unique]
    assert outcome.failed_rows == 2
    assert {r["loan_id"] for r in outcome.sample} == {"L1"}


def test_amounts_that_may_be_negative():
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_1)["principal_outstanding"] = Decimal(-5)
    assert suite(world, "loan_positions").passed


@pytest.mark.parametrize("value", [1.1, -0.1])
def test_a_ratio_out_of_range(value):
    world = whole_world()
    find(world["aging_buckets"], scope="all", bucket="current", business_date=FEB_1)["balance_share"] = value
    outcome = suite(world, "aging_buckets")
    assert outcome.failing_days == (FEB_1,)
    (failed,) = outcome.metadata["failed"]
    assert failed["observed"] == [value]
    assert failed["expectation"].startswith("ExpectColumnValuesToBeBetween(column='balance_share'")


def test_a_servicing_table_blocks_nothing_and_a_negative_amount_in_it_is_a_warning():
    world = whole_world()
    world["fees"] = [row("fees", fee_id="F1", fee_type="processing", amount=-1)]
    outcome = suite(world, "fees")
    assert (outcome.passed, outcome.severity, outcome.blocking) == (False, "warn", False)
    world["fees"].append(row("fees", fee_id="F2", fee_type="bribe"))
    outcome = suite(world, "fees")
    assert (outcome.severity, outcome.failed_rows, outcome.failing_days) == ("error", 2, ())
    assert [r["fee_id"] for r in outcome.sample] == ["F1", "F2"]


def test_an_empty_table_has_nothing_wrong_and_no_page():
    outcome = suite(whole_world(), "fees")
    assert (outcome.passed, outcome.metadata, outcome.page) == (True, {"expectations": 0, "failed": []}, None)


def test_other_buckets_are_other_values():
    edges = CONVENTIONS.model_copy(update={"bucket_edges": (1, 15)})
    (failed,) = suite(whole_world(), "aging_buckets", edges).metadata["failed"]
    assert failed["expectation"].startswith("ExpectColumnValuesToBeInSet(column='bucket'")


def test_nothing_is_printed(capfd):
    suite(whole_world(), "loan_positions")
    assert capfd.readouterr() == ("", "")


def test_the_page_of_a_validation_is_named():
    (check,) = (check for check in checks_for("loans", CONVENTIONS) if check.name == SUITE)
    page = check.evaluate(reader(whole_world()), Days.between(FEB_1, FEB_2)).page
    assert page.startswith("validations/loans/")
    assert page.endswith(".html")
