"""manager_snapshots against the positions: L1 of officer O, whom T leads, L2 of T; one thing wrong in each test."""

from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, JAN_31, evaluate, find, row, whole_world

L1 = {"total_disbursed": "1000", "total_outstanding": "900", "total_collected": "110"}
L2 = {"total_disbursed": "500", "total_outstanding": "500", "total_collected": "0"}
BOTH = {"total_disbursed": "1500", "total_outstanding": "1400", "total_collected": "110"}


@pytest.fixture
def world():
    world = whole_world()
    world["staff"] = [row("staff", staff_id="O", team_leader_id="T"), row("staff", staff_id="T", team_leader_id="T")]
    for position in world["loan_positions"]:
        position["officer_id"] = {"L1": "O", "L2": "T"}[position["loan_id"]]
    pars = {"par_30": 0.0, "par_60": 0.0, "par_90": 0.0}
    world["manager_snapshots"] = [
        row("manager_snapshots", business_date=day, manager_id=manager, currency="USD", role=role, **sums, **pars)
        | {"active_loans": loans, "total_loans": loans}
        for day in (JAN_31, FEB_1, FEB_2)
        for manager, role, loans, sums in (("O", "loan_officer", 1, L1), ("T", "team_leader", 2, BOTH))
    ]
    return world


def found(world, check):
    return evaluate(world, "manager_snapshots", check).sample


def test_a_team_leader_has_the_team_and_the_own_loans(world):
    assert found(world, "managers_equal_positions") == ()
    assert found(world, "managers_add_up") == ()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("active_loans", 0),
        ("total_loans", 2),
        ("defaulted_loans", 1),
        ("total_disbursed", Decimal("999.99")),
        ("total_outstanding", Decimal("900.01")),
        ("total_collected", Decimal("0.00")),
        ("par_30", 0.1),
        ("par_90", 0.1),
    ],
)
def test_a_manager_unlike_the_positions(world, column, value):
    find(world["manager_snapshots"], manager_id="O", business_date=FEB_2)[column] = value
    (wrong,) = found(world, "managers_equal_positions")
    assert (wrong["business_date"], wrong["manager_id"]) == ("2025-02-02", "O")


@pytest.mark.parametrize(
    ("values", "defaulted"),
    [
        ({"status": "charged_off"}, 1),
        ({"days_past_due": 90}, 1),
        ({"days_past_due": 89}, 0),
        ({"status": "closed", "days_past_due": 90}, 0),
    ],
)
def test_a_defaulted_loan_is_charged_off_or_90_days_past_due(world, values, defaulted):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2).update(values)
    wrong = found(world, "managers_equal_positions")
    assert {row["manager_id"]: row["expected_defaulted_loans"] for row in wrong} == dict.fromkeys("OT", defaulted)


@pytest.mark.parametrize("days", [30, 60, 90])
@pytest.mark.parametrize(("operator", "first"), [(">=", 0), (">", 1)])
def test_par_counts_from_its_day_on_or_from_the_day_after(world, days, operator, first):
    conventions = CONVENTIONS.model_copy(update={"par_operator": operator})
    position = find(world["loan_positions"], loan_id="L2", business_date=FEB_2)
    # 500.00 of T's 1,400.00.
    for late, share in ((days + first - 1, 0), (days + first, 500 / 1400)):
        position["days_past_due"] = late
        wrong = evaluate(world, "manager_snapshots", "managers_equal_positions", conventions=conventions).sample
        assert sum(row[f"expected_par_{days}"] for row in wrong) == pytest.approx(share)


def test_a_manager_without_principal_has_no_par(world):
    paid_out_later = find(world["loan_positions"], loan_id="L1", business_date=FEB_2) | {
        "loan_id": "L3",
        "officer_id": "N",
        "status": "pending",
        **dict.fromkeys(("principal_disbursed", "principal_outstanding", "total_collected"), Decimal(0)),
    }
    world["loan_positions"].append(paid_out_later)
    keys = {"business_date": FEB_2, "manager_id": "N", "currency": "USD"}
    world["manager_snapshots"].append(row("manager_snapshots", **keys, role="loan_officer", total_loans=1))
    assert found(world, "managers_equal_positions") == ()


def test_a_manager_who_is_missing(world):
    world["manager_snapshots"].remove(find(world["manager_snapshots"], manager_id="O", business_date=FEB_1))
    (wrong,) = found(world, "managers_equal_positions")
    assert (wrong["manager_id"], wrong["expected_total_outstanding"], wrong["stored_total_outstanding"]) == (
        "O",
        "900.00",
        None,
    )
    (wrong,) = found(world, "managers_add_up")
    assert (wrong["business_date"], wrong["expected_total_outstanding"], wrong["stored_total_outstanding"]) == (
        "2025-02-01",
        "1400.00",
        "500.00",
    )


def test_loans_that_lost_their_officer_are_not_in_the_sum(world):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["officer_id"] = None
    assert {
        (wrong["manager_id"], wrong["stored_total_loans"]) for wrong in found(world, "managers_equal_positions")
    } == {
        ("O", 1),
        ("T", 2),
        ("unassigned", None),
    }


@pytest.mark.parametrize("column", ["health_score", "collection_score", "default_score", "growth_score", "yield_score"])
@pytest.mark.parametrize("value", [-0.1, 100.1])
def test_a_score_outside_of_0_to_100(world, column, value):
    find(world["manager_snapshots"], manager_id="O", business_date=FEB_2)[column] = value
    outcome = evaluate(world, "manager_snapshots", "great_expectations")
    assert (outcome.passed, outcome.blocking, outcome.failed_rows) == (False, True, 1)
