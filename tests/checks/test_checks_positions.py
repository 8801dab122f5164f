"""Each check of loan_positions finds the loan and the day that are wrong, and only those."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, JAN_30, JAN_31, evaluate, find, reader, row, whole_world

from lending_pipelines.checks import Days, checks_for

CENT = Decimal("0.01")


def wrong(name, world, first=JAN_31, last=FEB_2):
    """The (day, loan) pairs that the check shows."""
    outcome = evaluate(world, "loan_positions", name, first, last)
    assert outcome.passed == (outcome.failed_rows == 0)
    assert outcome.failed_rows == len(outcome.sample)
    assert {day.isoformat() for day in outcome.failing_days} == {row["business_date"] for row in outcome.sample}
    return {(row["business_date"], row["loan_id"]) for row in outcome.sample}


def test_a_loan_lost_on_one_day():
    world = whole_world()
    world["loan_positions"].remove(find(world["loan_positions"], loan_id="L1", business_date=FEB_1))
    assert wrong("positions_complete", world) == {("2025-02-01", "L1")}
    assert wrong("positions_complete", world, FEB_2, FEB_2) == set()


def test_a_loan_there_twice_on_a_day_and_missing_on_the_next():
    world = whole_world()
    lost = find(world["loan_positions"], loan_id="L1", business_date=FEB_1)
    lost["business_date"] = FEB_2
    assert wrong("positions_complete", world) == {("2025-02-01", "L1"), ("2025-02-02", "L1")}


def test_a_loan_that_should_not_be_there():
    world = whole_world()
    early = dict(find(world["loan_positions"], loan_id="L2", business_date=JAN_31), business_date=JAN_30)
    stranger = dict(find(world["loan_positions"], loan_id="L2", business_date=FEB_1), loan_id="L9")
    world["loan_positions"] += [early, stranger]
    assert wrong("positions_complete", world, JAN_30, FEB_2) == {("2025-01-30", "L2"), ("2025-02-01", "L9")}


def test_all_positions_of_a_day_missing():
    world = whole_world()
    world["loan_positions"] = [r for r in world["loan_positions"] if r["business_date"] != FEB_2]
    assert wrong("positions_complete", world) == {("2025-02-02", "L1"), ("2025-02-02", "L2")}


def test_a_loan_learned_of_after_the_close_is_a_restatement_not_a_loss():
    world = whole_world()
    late = datetime(2025, 2, 2, 9)
    world["loans"].append(row("loans", loan_id="L3", product_id="P", disbursed_on=JAN_31, posted_at=late))
    paid_out = find(world["transactions"], transaction_id="T3")
    world["transactions"].append(paid_out | {"transaction_id": "T9", "loan_id": "L3", "posted_at": late})
    # Posted on 2 February at 9: after the days 31 January and 1 February ended, not after 2 February did.
    assert wrong("positions_complete", world) == {("2025-02-02", "L3")}


@pytest.mark.parametrize(("known_until", "missing"), [((8, 59), set()), ((9, 0), {("2025-02-02", "L3")})])
def test_a_loan_is_missing_if_the_close_knew_it(known_until, missing):
    world = whole_world()
    posted_at = datetime(2025, 2, 2, 9)
    world["loans"].append(row("loans", loan_id="L3", product_id="P", disbursed_on=FEB_2, posted_at=posted_at))
    keys = {"table_name": "loan_positions", "business_date": FEB_2}
    world["closed_days"] = [row("closed_days", known_until=datetime(2025, 2, 2, *known_until), **keys)]
    assert wrong("positions_complete", world) == missing


@pytest.mark.parametrize(
    "part",
    [
        "principal_disbursed",
        "principal_capitalized",
        "principal_paid",
        "principal_charged_off",
        "principal_forgiven",
        "principal_outstanding",
        "interest_paid",
        "fees_paid",
        "recovered",
        "total_collected",
    ],
)
def test_a_cent_in_one_part_breaks_the_roll_forward_on_that_day_alone(part):
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_1)[part] += CENT
    assert wrong("roll_forward", world) == {("2025-02-01", "L1")}


@pytest.mark.parametrize(("dates", "failing"), [((JAN_31, FEB_2), ()), ((JAN_31, FEB_1), (FEB_1,))])
def test_a_day_that_is_not_among_the_days_is_not_checked(dates, failing):
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_1)["principal_paid"] += CENT
    (check,) = (c for c in checks_for("loan_positions", CONVENTIONS) if c.name == "roll_forward")
    assert check.evaluate(reader(world), Days(dates)).failing_days == failing


def test_a_payment_that_positions_forgot():
    world = whole_world()
    for day in (JAN_31, FEB_1, FEB_2):
        position = find(world["loan_positions"], loan_id="L1", business_date=day)
        position |= {"principal_paid": Decimal(0), "interest_paid": Decimal(0), "total_collected": Decimal(0)}
        position["principal_outstanding"] = Decimal(1000)
        world["loan_positions"] = [
            position if (r["loan_id"], r["business_date"]) == ("L1", day) else r for r in world["loan_positions"]
        ]
    assert wrong("roll_forward", world) == set()
    days = ("2025-01-31", "2025-02-01", "2025-02-02")
    assert wrong("positions_equal_transactions", world) == {(day, "L1") for day in days}
    shown = evaluate(world, "loan_positions", "positions_equal_transactions").sample[0]
    assert (shown["expected_principal_paid"], shown["stored_principal_paid"]) == ("100.00", "0.00")


def test_a_payment_that_counts_a_day_late_is_wrong_on_the_day_between():
    world = whole_world()
    before = find(world["loan_positions"], loan_id="L1", business_date=JAN_30)
    world["loan_positions"] = [
        before | {"business_date": JAN_31} if (r["loan_id"], r["business_date"]) == ("L1", JAN_31) else r
        for r in world["loan_positions"]
    ]
    assert wrong("roll_forward", world) == set()
    assert wrong("positions_equal_transactions", world, JAN_30, FEB_2) == {("2025-01-31", "L1")}


def test_a_reversal_takes_back_and_a_reversed_reversal_restores():
    world = whole_world()
    payment = find(world["transactions"], transaction_id="T2")
    undone = payment | {"transaction_id": "T4", "type": "reversal", "reverses_id": "T2", "effective_on": FEB_1}
    world["transactions"].append(undone | {"posted_at": datetime(2025, 2, 2)})
    assert wrong("positions_equal_transactions", world) == {("2025-02-01", "L1"), ("2025-02-02", "L1")}
    redone = payment | {"transaction_id": "T5", "type": "reversal", "reverses_id": "T4", "effective_on": FEB_2}
    world["transactions"].append(redone | {"posted_at": datetime(2025, 2, 3)})
    assert wrong("positions_equal_transactions", world) == {("2025-02-01", "L1")}


def test_every_type_of_transaction_has_its_sign():
    """L2, of which 500.00 are disbursed on 31 January, worked by hand."""
    world = whole_world()
    booked = find(world["transactions"], transaction_id="T3")
    for number, (kind, day, principal, interest, fees) in enumerate(
        [
            ("capitalization", FEB_1, 0, 20, 5),
            ("repayment", FEB_1, 100, 10, 3),
            ("refund", FEB_1, 10, 2, 1),
            ("waiver", FEB_1, 50, 0, 0),
            ("charge_off", FEB_1, 300, 0, 0),
            ("write_off", FEB_1, 85, 0, 0),
            ("recovery", FEB_2, 30, 8, 2),
            ("repayment", FEB_2, 50, 4, 1),
        ]
    ):
        split = {"principal": Decimal(principal), "interest": Decimal(interest), "fees": Decimal(fees)}
        own = {"transaction_id": f"S{number}", "type": kind, "effective_on": day, "amount": sum(split.values())}
        world["transactions"].append(booked | own | split)
    # 500 + 25 − 90 − 50 − 385 = 0; 113 − 13 = 100 collected. After it, 40 and 55 are recovered.
    on_the_day = {
        "principal_capitalized": 25,
        "principal_paid": 90,
        "interest_paid": 8,
        "fees_paid": 2,
        "principal_forgiven": 50,
        "principal_charged_off": 385,
        "principal_outstanding": 0,
        "total_collected": 100,
    }
    for day, more in ((FEB_1, {}), (FEB_2, {"recovered": 95, "total_collected": 195})):
        amounts = {name: Decimal(value) for name, value in (on_the_day | more).items()}
        find(world["loan_positions"], loan_id="L2", business_date=day).update(amounts)
    assert wrong("positions_equal_transactions", world) == set()
    assert wrong("roll_forward", world) == set()


def test_a_backdated_payment_is_no_fault_of_the_positions():
    world = whole_world()
    payment = find(world["transactions"], transaction_id="T2")
    late = payment | {"transaction_id": "T6", "loan_id": "L2", "effective_on": FEB_1, "posted_at": datetime(2025, 2, 5)}
    world["transactions"].append(late)
    assert wrong("positions_equal_transactions", world) == set()
    # The other loan keeps being checked.
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["fees_paid"] += CENT
    assert wrong("positions_equal_transactions", world) == {("2025-02-02", "L1")}


@pytest.mark.parametrize(
    ("rule", "loan_id", "day", "values"),
    [
        ("pending does not match principal disbursed", "L1", FEB_2, {"status": "pending"}),
        ("row before disbursement", "L1", FEB_1, {"disbursed_on": date(2025, 2, 2)}),
        ("active without an amount owed", "L1", FEB_1, {"principal_outstanding": Decimal(0)}),
        ("closed with principal outstanding", "L1", FEB_1, {"status": "closed"}),
        (
            "charged off without status charged_off",
            "L1",
            FEB_1,
            {"principal_charged_off": Decimal(900), "principal_outstanding": Decimal(0)},
        ),
        ("charged off with principal outstanding", "L1", FEB_1, {"status": "charged_off"}),
        ("negative principal outstanding without overpayment", "L1", FEB_1, {"principal_outstanding": Decimal(-1)}),
        ("past due but not active", "L2", FEB_2, {"status": "charged_off"}),
        ("past due parts do not add up", "L2", FEB_2, {"past_due_interest": Decimal("4.99")}),
        ("past due amount", "L2", FEB_2, {"settled": Decimal(1)}),
        ("days past due without past due amount", "L1", FEB_2, {"days_past_due": 1}),
        ("past due without oldest due date", "L2", FEB_1, {"oldest_due_on": None}),
        ("bucket", "L2", FEB_2, {"bucket": "30-59"}),
        ("bucket", "L2", FEB_2, {"days_past_due": 30}),
        ("non-accrual", "L2", FEB_2, {"non_accrual": True}),
        ("days past due", "L2", FEB_2, {"days_past_due": 2}),
    ],
)
def test_a_row_that_breaks_a_rule_of_aging(rule, loan_id, day, values):
    world = whole_world()
    find(world["loan_positions"], loan_id=loan_id, business_date=day).update(values)
    assert wrong("positions_consistent", world) == {(day.isoformat(), loan_id)}
    assert f"{rule}; " in evaluate(world, "loan_positions", "positions_consistent").sample[0]["broken"]


@pytest.mark.parametrize(
    ("days", "bucket"), [(1, "1-29"), (29, "1-29"), (30, "30-59"), (90, "90-119"), (119, "90-119"), (120, "120+")]
)
def test_bucket_edges(days, bucket):
    world = whole_world()
    position = find(world["loan_positions"], loan_id="L2", business_date=FEB_2)
    position |= {"days_past_due": days, "bucket": bucket, "non_accrual": days >= 90}
    position["oldest_due_on"] = date.fromordinal(FEB_2.toordinal() - days)
    world["loan_positions"] = [position]
    assert wrong("positions_consistent", world) == set()


def test_other_conventions_judge_the_same_rows_otherwise():
    world = whole_world()
    find(world["loan_positions"], loan_id="L2", business_date=FEB_2)["days_past_due"] = 3
    strict = CONVENTIONS.model_copy(update={"dpd_method": "strict"})
    (check,) = (c for c in checks_for("loan_positions", strict) if c.name == "positions_consistent")
    assert check.evaluate(reader(world), Days.between(JAN_31, FEB_2)).passed
    assert wrong("positions_consistent", world) == {("2025-02-02", "L2")}
    edges = CONVENTIONS.model_copy(update={"bucket_edges": (1, 2)})
    (check,) = (c for c in checks_for("loan_positions", edges) if c.name == "positions_consistent")
    assert check.evaluate(reader(world), Days.between(JAN_31, FEB_2)).failing_days == (FEB_2,)


def test_a_pause_takes_days_away_and_never_adds_any():
    world = whole_world()
    position = find(world["loan_positions"], loan_id="L2", business_date=FEB_2)
    assert position["days_past_due"] == 1
    world["delinquency_pauses"] = [
        row("delinquency_pauses", pause_id=name, loan_id="L2", starts_on=JAN_31) for name in ("P1", "P2")
    ]
    position.update(days_past_due=0, bucket="current")
    assert wrong("positions_consistent", world) == set()
    counting = CONVENTIONS.model_copy(update={"paused_days": "count"})
    assert evaluate(world, "loan_positions", "positions_consistent", conventions=counting).failing_days == (FEB_2,)
    position["days_past_due"] = 2
    assert evaluate(world, "loan_positions", "positions_consistent").failed_rows == 1


def test_what_is_collected_is_summed_from_the_transactions_alone():
    """Whatever the rule on charge-offs makes of the 110.00 paid: a cent more collected is found."""
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["total_collected"] += CENT
    found = evaluate(world, "loan_positions", "positions_equal_transactions").sample
    assert [(row["loan_id"], row["expected_total_collected"], row["stored_total_collected"]) for row in found] == [
        ("L1", "110.00", "110.01")
    ]
