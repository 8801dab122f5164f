"""What is added up from positions: a wrong, missing or doubled row is found, with its scope, day and bucket."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, JAN_31, evaluate, find, row, whole_world


def program(world, table, day, **where):
    return find(world[table], scope="program", business_date=day, **where)


def only(outcome, day, scope="program"):
    """The one scope's rows that the outcome shows, all of one day."""
    assert not outcome.passed
    assert outcome.failing_days == (day,)
    assert {row["scope"] for row in outcome.sample} == {scope}
    return outcome.sample


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("loan_count", 2),
        ("principal_outstanding", Decimal("500.01")),
        ("past_due_amount", Decimal("504.99")),
        ("balance_share", 0.3571),
    ],
)
def test_a_bucket_unlike_its_positions(column, value):
    world = whole_world()
    program(world, "aging_buckets", FEB_2, bucket="1-29")[column] = value
    outcome = evaluate(world, "aging_buckets", "aging_equals_positions")
    (row,) = only(outcome, FEB_2)
    assert (row["scope_id"], row["bucket"]) == ("G", "1-29")
    assert row[f"stored_{column}"] == (str(value) if isinstance(value, Decimal) else value)


def test_a_missing_and_a_doubled_bucket():
    world = whole_world()
    row = program(world, "aging_buckets", FEB_1)
    world["aging_buckets"].append(dict(row))
    (found,) = only(evaluate(world, "aging_buckets", "aging_equals_positions"), FEB_1)
    assert (found["expected_loan_count"], found["stored_loan_count"]) == (2, 4)
    world["aging_buckets"] = [r for r in world["aging_buckets"] if r != row]
    (found,) = only(evaluate(world, "aging_buckets", "aging_equals_positions"), FEB_1)
    assert (found["expected_loan_count"], found["stored_loan_count"]) == (2, None)


def test_a_portfolio_that_aging_left_out():
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_1)["portfolio_id"] = "F1"
    (found,) = only(evaluate(world, "aging_buckets", "aging_equals_positions"), FEB_1, "portfolio")
    assert (found["scope_id"], found["expected_principal_outstanding"]) == ("F1", "900.00")


@pytest.mark.parametrize("rate", ["count_rate", "balance_rate"])
@pytest.mark.parametrize("value", [0.4, None])
def test_rates_that_do_not_add_up(rate, value):
    world = whole_world()
    program(world, "aging_transitions", FEB_2, to_bucket="1-29")[rate] = value
    (row,) = only(evaluate(world, "aging_transitions", "transition_rates_add_up"), FEB_2)
    assert row["from_bucket"] == "current"


@pytest.mark.parametrize("rate", ["count_rate", "balance_rate"])
def test_rates_that_are_all_missing(rate):
    world = whole_world()
    program(world, "aging_transitions", FEB_1)[rate] = None
    only(evaluate(world, "aging_transitions", "transition_rates_add_up"), FEB_1)


def test_rates_within_the_tolerance_add_up():
    world = whole_world()
    program(world, "aging_transitions", FEB_2, to_bucket="1-29")["count_rate"] = 0.5 + 5e-10
    assert evaluate(world, "aging_transitions", "transition_rates_add_up").passed


def test_an_opening_unlike_the_positions_before():
    world = whole_world()
    program(world, "aging_transitions", FEB_2, to_bucket="1-29")["opening_principal"] = Decimal(505)
    (row,) = only(evaluate(world, "aging_transitions", "transitions_open_with_positions"), FEB_2)
    assert row["from_date"] == "2025-02-01"
    assert (row["expected_opening_principal"], row["stored_opening_principal"]) == ("1400.00", "1405.00")


def test_an_opening_day_that_was_thinned_is_not_compared():
    world = whole_world()
    world["loan_positions"] = [r for r in world["loan_positions"] if r["business_date"] != FEB_1]
    assert evaluate(world, "aging_transitions", "transitions_open_with_positions", FEB_2).failing_days == (FEB_2,)
    keys = {"table_name": "loan_positions", "business_date": FEB_1}
    world["closed_days"] = [row("closed_days", thinned_at=datetime(2025, 6, 1), **keys)]
    assert evaluate(world, "aging_transitions", "transitions_open_with_positions", FEB_2).passed


def test_an_opening_on_the_wrong_day():
    world = whole_world()
    program(world, "aging_transitions", FEB_1)["from_date"] = FEB_1
    rows = only(evaluate(world, "aging_transitions", "transitions_open_with_positions"), FEB_1)
    assert {row["from_date"] for row in rows} == {"2025-01-31", "2025-02-01"}


@pytest.mark.parametrize(
    ("step", "opening", "day"),
    [
        ("week", "2025-02-01", "2025-02-08"),
        ("month", "2025-01-31", "2025-02-28"),
        ("month", "2025-02-28", "2025-03-31"),
        ("month", "2025-02-28", "2025-03-30"),
        ("month", "2025-02-27", "2025-03-27"),
    ],
)
def test_transitions_open_a_week_or_a_month_before(step, opening, day):
    world = whole_world()
    opening, day = date.fromisoformat(opening), date.fromisoformat(day)
    position = find(world["loan_positions"], loan_id="L1", business_date=FEB_2)
    world["loan_positions"] = [position | {"business_date": on} for on in (opening, day)]
    world["aging_transitions"] = [
        row | {"business_date": day, "from_date": opening}
        for row in world["aging_transitions"]
        if row["business_date"] == FEB_2 and row["to_bucket"] == "current"
    ]
    conventions = CONVENTIONS.model_copy(update={"transition_step": step})
    assert evaluate(world, "aging_transitions", "transitions_open_with_positions", day, day, conventions).passed


@pytest.mark.parametrize("days", [30, 60, 90])
@pytest.mark.parametrize(("operator", "first"), [(">=", 0), (">", 1)])
def test_par_counts_from_its_day_on_or_from_the_day_after(days, operator, first):
    conventions = CONVENTIONS.model_copy(update={"par_operator": operator})
    world = whole_world()
    position = find(world["loan_positions"], loan_id="L2", business_date=FEB_2)
    # 500.00 of the scope's 1,400.00.
    for late, share in ((days + first - 1, 0), (days + first, 500 / 1400)):
        position["days_past_due"] = late
        found = evaluate(world, "portfolio_snapshots", "snapshots_equal_positions", conventions=conventions).sample
        assert sum(row[f"expected_par_{days}"] for row in found if row["scope"] == "all") == pytest.approx(share)


def test_a_scope_without_any_amount_has_no_ratios():
    world = whole_world()
    keys = {"business_date": FEB_2, "loan_id": "L3", "product_id": "Q", "status": "pending", "currency": "USD"}
    world["loan_positions"].append(row("loan_positions", **keys))
    assert evaluate(world, "portfolio_snapshots", "snapshots_equal_positions").passed


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total_balance", Decimal("1400.01")),
        ("interest_receivable", Decimal(1)),
        ("delinquent_amount", Decimal(0)),
        ("past_due_amount", Decimal(0)),
        ("loan_count", 3),
        ("total_disbursed", Decimal(1000)),
        ("total_collected", Decimal(100)),
        ("charged_off", Decimal(1)),
        ("recovered", Decimal(1)),
        ("moic", 0.08),
        ("par_30", 0.1),
        ("par_60", 0.1),
        ("par_90", 0.1),
    ],
)
def test_a_snapshot_unlike_its_positions(column, value):
    world = whole_world()
    program(world, "portfolio_snapshots", FEB_2)[column] = value
    (row,) = only(evaluate(world, "portfolio_snapshots", "snapshots_equal_positions"), FEB_2)
    assert row["scope_id"] == "G"


def test_a_missing_snapshot():
    world = whole_world()
    world["portfolio_snapshots"].remove(find(world["portfolio_snapshots"], scope="all", business_date=JAN_31))
    (row,) = only(evaluate(world, "portfolio_snapshots", "snapshots_equal_positions"), JAN_31, "all")
    assert (row["expected_total_balance"], row["stored_total_balance"]) == ("1400.00", None)
