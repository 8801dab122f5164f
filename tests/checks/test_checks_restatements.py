"""A report says which of its closed days no longer agree with what is known now.

One loan: 200.00 disbursed on 1 February 2024; 100.00 + 2.00 due on 5 February, 100.00 + 1.00 on 5 March. Closed are the
days 1 February to 10 February, of what was known then.
"""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest
from checks_world import reader, row

from lending_pipelines.checks import Days, checks_for, restatements_due
from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import positions
from lending_pipelines.tables import TABLES

FEB_1 = date(2024, 2, 1)
DAYS = [FEB_1 + timedelta(days=n) for n in range(10)]
NOON = datetime(2024, 2, 1, 12)
CONVENTIONS = Conventions()


def day(number):
    return date(2024, 2, number)


def installment(number, due_on, principal, interest, **values):
    amounts = {"due_on": due_on, "principal": principal, "interest": interest}
    return row(
        "installments",
        **(
            {"loan_id": "L1", "version": 1, "number": number, "effective_on": FEB_1, "posted_at": NOON}
            | amounts
            | values
        ),
    )


def transaction(name, kind, on, principal, interest="0", posted_at=NOON, **values):
    split = {"principal": principal, "interest": interest, "amount": Decimal(principal) + Decimal(interest)}
    who = {"transaction_id": name, "loan_id": "L1", "type": kind, "effective_on": on, "posted_at": posted_at}
    return row("transactions", **(who | split | values))


def accrual(name, on, interest, posted_at=NOON):
    values = {"accrual_id": name, "loan_id": "L1", "effective_on": on, "posted_at": posted_at, "interest": interest}
    return row("accruals", **values)


def servicing_world():
    return {name: [] for name in TABLES} | {
        "loans": [row("loans", loan_id="L1", product_id="P", currency="USD", disbursed_on=FEB_1, posted_at=NOON)],
        "products": [row("products", product_id="P")],
        "transactions": [transaction("T1", "disbursement", FEB_1, "200")],
        "installments": [installment(1, day(5), "100", "2"), installment(2, date(2024, 3, 5), "100", "1")],
        "accruals": [accrual("A1", day(2), "0.10")],
    }


@cache
def closed_positions(conventions):
    """The positions of the ten days, computed once for all tests."""
    made = positions.loan_positions(reader(servicing_world()), DAYS[0], DAYS[-1], conventions)
    return made.to_pyarrow().to_pylist()


def closed_world(conventions=CONVENTIONS, days=DAYS, known_until=datetime(2024, 2, 10, 20)):
    world = servicing_world()
    world["loan_positions"] = [dict(made) for made in closed_positions(conventions) if made["business_date"] in days]
    stamp = json.dumps(conventions.stamp(), sort_keys=True)
    world["closed_days"] = [
        row(
            "closed_days",
            table_name="loan_positions",
            business_date=closed,
            closed_at=datetime(2024, 2, 11, 1),
            known_until=known_until,
            conventions=stamp,
        )
        for closed in days
    ]
    return world


def due(world, days=DAYS, conventions=CONVENTIONS):
    """What a report on the days says of them."""
    return restatements_due(reader(world), ["loan_positions"], days, conventions)


def test_days_that_agree_are_not_named():
    assert due(closed_world()) == ()


def test_a_backdated_payment():
    world = closed_world()
    world["transactions"].append(transaction("T2", "repayment", day(5), "100", "2", datetime(2024, 3, 2, 10)))
    assert due(world) == (
        "Closed days 2024-02-05 to 2024-02-10 no longer agree with the transactions: 1 loan (on 2024-02-10: principal"
        " outstanding 200.00 USD as closed, 100.00 now, past due 102.00 USD as closed, 0.00 now).",
    )


def test_the_amounts_of_all_changed_loans_are_added():
    # L2 is the same as L1.
    world = closed_world()
    for table in ("loans", "transactions", "installments", "loan_positions"):
        ids = {"transaction_id": "S1"} if table == "transactions" else {}
        world[table] += [made | ids | {"loan_id": "L2"} for made in world[table]]
    assert due(world) == ()
    for name, loan_id in (("T2", "L1"), ("S2", "L2")):
        posted_at = datetime(2024, 3, 2, 10)
        world["transactions"].append(transaction(name, "repayment", day(5), "100", "2", posted_at, loan_id=loan_id))
    assert due(world) == (
        "Closed days 2024-02-05 to 2024-02-10 no longer agree with the transactions: 2 loans (on 2024-02-10: principal"
        " outstanding 400.00 USD as closed, 200.00 now, past due 204.00 USD as closed, 0.00 now).",
    )


def test_a_report_is_told_of_the_days_that_it_prints():
    world = closed_world()
    world["transactions"].append(transaction("T2", "repayment", day(8), "50", posted_at=datetime(2024, 3, 2, 10)))
    read = reader(world)
    assert restatements_due(read, ["aging_buckets"], [day(7)], CONVENTIONS) == ()
    assert restatements_due(read, ["journal_lines"], [day(9)], CONVENTIONS) == ()
    # 200.00 less 50.00; 102.00 past due less 50.00.
    assert restatements_due(read, ["aging_buckets"], [day(4), day(9)], CONVENTIONS) == (
        "Closed day 2024-02-09 no longer agrees with the transactions: 1 loan (on 2024-02-09: principal outstanding"
        " 200.00 USD as closed, 150.00 now, past due 102.00 USD as closed, 52.00 now).",
    )


def test_a_report_on_some_loans_is_told_of_those_alone():
    world = closed_world()
    world["loans"].append(
        row("loans", loan_id="L2", product_id="P", currency="USD", disbursed_on=FEB_1, posted_at=NOON)
    )
    world["transactions"] += [
        transaction("T2", "repayment", day(8), "50", posted_at=datetime(2024, 3, 2, 10)),
        transaction("T3", "disbursement", FEB_1, "70", loan_id="L2"),
    ]
    read = reader(world)

    def told(*loans):
        return restatements_due(read, ["aging_buckets"], [day(9)], CONVENTIONS, lambda rows: rows.loan_id.isin(loans))

    # L1 has 200.00 less 50.00; L2 is on no closed day and has 70.00 now. Both together: 200.00, and 150.00 + 70.00.
    assert told("L0") == ()
    (one,), (other,), (both,) = told("L1"), told("L2"), told("L1", "L2")
    assert "1 loan (on 2024-02-09: principal outstanding 200.00 USD as closed, 150.00 now" in one
    assert "1 loan (on 2024-02-09: principal outstanding 0.00 USD as closed, 70.00 now" in other
    assert "2 loans (on 2024-02-09: principal outstanding 200.00 USD as closed, 220.00 now" in both


def test_a_report_on_an_investor_is_told_of_the_days_on_which_the_investor_owns_the_loan():
    world = closed_world()
    world["loan_ownership"].append(row("loan_ownership", loan_id="L1", investor_id="I", assigned_on=day(6)))

    def told(*days):
        return restatements_due(
            reader(world), ["aging_buckets"], days, CONVENTIONS, lambda rows: rows.investor_id == "I"
        )

    assert told(day(4), day(5)) == ()
    # On the 6th the investor had nothing as closed, and has the loan of 200.00 now.
    (sentence,) = told(day(5), day(6))
    assert sentence.startswith("Closed day 2024-02-06 no longer agrees with the assignments")
    assert "principal outstanding 0.00 USD as closed, 200.00 now" in sentence


def test_a_row_that_vanished_and_one_that_came_with_an_early_posted_at():
    world = closed_world()
    world["transactions"][0] |= {"principal": Decimal(180), "amount": Decimal(180)}
    assert due(world)[0].startswith("Closed days 2024-02-01 to 2024-02-10 no longer agree")


def test_two_changes_that_cancel_out_in_the_sum_are_found():
    # 10.00 paid a day later than it was closed as, and 10.00 a day earlier: the sum over the days is the same.
    world = closed_world()
    for name, on, amount in (("T2", day(3), "10"), ("T3", day(7), "10")):
        world["transactions"].append(transaction(name, "repayment", on, amount))
    world["loan_positions"] = (
        positions.loan_positions(reader(world), DAYS[0], DAYS[-1], CONVENTIONS).to_pyarrow().to_pylist()
    )
    assert due(world) == ()
    world["transactions"][1]["effective_on"] = day(4)
    world["transactions"][2]["effective_on"] = day(6)
    # 10.00 less is owed on the 3rd as closed, and on the 6th now; on all other days both owe the same.
    (told,) = due(world)
    assert told.startswith("2 closed days 2024-02-03 to 2024-02-06 no longer agree with the transactions")


@pytest.mark.parametrize(
    ("known_until", "posted_at"),
    [
        (datetime(2024, 2, 10, 20), datetime(2024, 3, 1)),
        # On the 4th itself, after the time until which the close knew postings.
        (datetime(2024, 2, 4, 9), datetime(2024, 2, 4, 10)),
        # The close recorded no such time: it knew what was posted by the end of the day.
        (None, datetime(2024, 2, 5, 0, 1)),
    ],
)
def test_a_schedule_that_was_posted_later(known_until, posted_at):
    world = closed_world(known_until=known_until)
    # The first due date moves to 9 February, from 4 February on: not late on the 5th to 8th any more.
    later = {"version": 2, "effective_on": day(4), "posted_at": posted_at}
    world["installments"] += [
        installment(1, day(9), "100", "2", **later),
        installment(2, date(2024, 3, 5), "100", "1", **later),
    ]
    (told,) = due(world)
    assert told.startswith(
        "Closed days 2024-02-04 to 2024-02-10 no longer agree with the schedules and modifications: 1 loan"
    )


@pytest.mark.parametrize(
    ("interest_accrual", "told"),
    [
        ("scheduled", ()),
        (
            "servicer",
            ("Closed days 2024-02-06 to 2024-02-10 no longer agree with the schedules and modifications: 1 loan.",),
        ),
    ],
)
def test_an_accrual_that_was_posted_later_counts_if_the_servicer_accrues(interest_accrual, told):
    conventions = Conventions(interest_accrual=interest_accrual)
    world = closed_world(conventions)
    world["accruals"].append(accrual("A2", day(6), "0.20", datetime(2024, 3, 1)))
    assert due(world, conventions=conventions) == told


def test_assignments_to_closed_days():
    """L1 to a portfolio, L2 to an investor, L3 to an officer."""
    world = closed_world()
    for table in ("loans", "transactions", "installments", "loan_positions"):
        for loan_id in ("L2", "L3"):
            ids = {"transaction_id": f"T-{loan_id}"} if table == "transactions" else {}
            world[table] += [made | ids | {"loan_id": loan_id} for made in world[table] if made["loan_id"] == "L1"]
    assigned = {
        "L1": ("portfolio_membership", {"portfolio_id": "F"}),
        "L2": ("loan_ownership", {"investor_id": "I"}),
        "L3": ("officer_assignments", {"officer_id": "S"}),
    }
    for loan_id, (table, values) in assigned.items():
        added = row(table, loan_id=loan_id, assigned_on=day(6), **values)
        assert due({**world, table: [*world[table], added]}) == (
            "Closed days 2024-02-06 to 2024-02-10 no longer agree with the assignments to portfolios, investors and"
            " officers: 1 loan.",
        )


def test_other_conventions():
    world = closed_world(Conventions(non_accrual_days=60))
    assert due(world) == (
        "Closed days 2024-02-01 to 2024-02-10 made under other conventions: non_accrual_days 60, now 90.",
    )


def test_a_convention_that_no_longer_exists():
    world = closed_world()
    for closed in world["closed_days"]:
        closed["conventions"] = json.dumps(CONVENTIONS.stamp() | {"grace_days": "5"}, sort_keys=True)
    assert due(world) == (
        "Closed days 2024-02-01 to 2024-02-10 made under other conventions: grace_days 5, now not set.",
    )


@pytest.mark.parametrize(("numbers", "changed"), [((1, 4, 9), "2024-02-09"), ((4, 7), "2024-02-07")])
def test_days_between_which_others_are_open(numbers, changed):
    days = [day(number) for number in numbers]
    world = closed_world(days=days)
    assert due(world, days) == ()
    world["transactions"].append(transaction("T2", "repayment", day(5), "100", "2", datetime(2024, 3, 2, 10)))
    (told,) = due(world, days)
    assert told.startswith(f"Closed day {changed} no longer agrees with the transactions: 1 loan")


@pytest.mark.parametrize(
    ("zone", "late"),
    [
        # 1.30 in Amsterdam on 6 July is 23:30 UTC on the 5th, and 16:30 on the 5th in Los Angeles: only in Amsterdam
        # and Singapore had the 5th ended.
        ("Europe/Amsterdam", True),
        ("Asia/Singapore", True),
        ("UTC", False),
        ("America/Los_Angeles", False),
    ],
)
def test_a_payment_posted_after_the_days_end_holds_no_report_back(zone, late):
    conventions = Conventions(timezone=zone)
    world = closed_world(known_until=None)
    posted_at = datetime(2024, 2, 5, 22, 30) if zone == "UTC" else datetime(2024, 2, 5, 23, 30)
    world["transactions"].append(transaction("T2", "repayment", day(5), "100", "2", posted_at))
    (check,) = (c for c in checks_for("loan_positions", conventions) if c.name == "positions_equal_transactions")
    assert check.evaluate(reader(world), Days.between(day(5), day(5))).passed == late


def test_a_payment_that_was_not_known_at_the_close_holds_no_report_back():
    # Known were postings until 4 February, 9:00; the close of the 5th did not see what was posted at 10:00.
    world = closed_world(known_until=datetime(2024, 2, 4, 9))
    world["transactions"].append(transaction("T2", "repayment", day(4), "100", "2", datetime(2024, 2, 4, 10)))
    (check,) = (c for c in checks_for("loan_positions", CONVENTIONS) if c.name == "positions_equal_transactions")
    assert check.evaluate(reader(world), Days.between(day(4), day(10))).passed
    world = closed_world(known_until=datetime(2024, 2, 4, 10))
    world["transactions"].append(transaction("T2", "repayment", day(4), "100", "2", datetime(2024, 2, 4, 10)))
    assert check.evaluate(reader(world), Days.between(day(4), day(10))).failing_days == tuple(
        day(n) for n in range(4, 11)
    )
