"""What a close finds about closed days: worked by hand, and against the bitemporal oracle in plain Python.

The usual loan: 1,000.00 lent on 10 January 2025, due 510.00 on 10 February and 505.00 on 10 March.
"""

import json
import shutil
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "metrics"))

from book import Book, pay, usual
from closing import Lender, by_value
from nights import simulate
from random_books import random_book

from lending_pipelines.conventions import Conventions

FEB_9, FEB_12 = date(2025, 2, 9), date(2025, 2, 12)
LATER = datetime(2025, 3, 1, 10)


@pytest.fixture(scope="module")
def closed_lender(tmp_path_factory):
    """9 to 12 February closed as known on the evening of the 12th; for reading only."""
    book = Book()
    book.add("products", product_id="P1", program_id="G1", name="One", product_type="term")
    usual(book)
    usual(book, "L2")
    lender = Lender(tmp_path_factory.mktemp("closed"), book)
    lender.sync(datetime(2025, 2, 12, 20))
    lender.close(FEB_9, FEB_12)
    assert lender.detect() == []
    lender.engine.close()
    return lender


@pytest.fixture
def lender(closed_lender, tmp_path):
    """The test's own copy of it."""
    lender = closed_lender.copy(tmp_path)
    yield lender
    lender.engine.close()


def test_a_backdated_payment_by_hand(lender):
    # 500.00 + 10.00 of 11 February, posted on 1 March: on the 11th and 12th L1 owes 500.00 instead of 1,000.00.
    name = pay(lender.book, "2025-02-11", posted_at=LATER)
    lender.sync(LATER)
    lender.close(date(2025, 3, 1), date(2025, 3, 1))
    rows = lender.detect(locked=[date(2025, 1, 31), date(2025, 2, 11)])

    assert {row["loan_id"] for row in rows} == {"L1"}
    assert {row["business_date"] for row in rows} == {date(2025, 2, 11), FEB_12}
    assert {(row["caused_by"], row["posted_at"]) for row in rows} == {(f"transaction {name}", LATER)}
    assert {row["locked_until"] for row in rows if row["business_date"] == date(2025, 2, 11)} == {date(2025, 2, 11)}
    assert {row["locked_until"] for row in rows if row["business_date"] == FEB_12} == {None}
    on_12 = {row["column"]: row for row in rows if row["business_date"] == FEB_12}
    assert {name: (row["reported"], row["restated"]) for name, row in on_12.items()} == {
        "principal_paid": ("0.00", "500.00"),
        "interest_paid": ("0.00", "10.00"),
        "principal_outstanding": ("1000.00", "500.00"),
        "settled": ("0.00", "510.00"),
        "total_collected": ("0.00", "510.00"),
        "past_due_amount": ("510.00", "0.00"),
        "past_due_principal": ("500.00", "0.00"),
        "past_due_interest": ("10.00", "0.00"),
        "oldest_due_on": ("2025-02-10", "2025-03-10"),
        "days_past_due": ("2", "0"),
        "bucket": ("1-29", "current"),
        # 10.00 until 10 February, then 2 of 28 days of 5.00: 0.36.
        "interest_receivable": ("10.36", "0.36"),
        "last_payment_on": (None, "2025-02-11"),
        "last_payment_amount": (None, "510.00"),
    }
    differences = {name: row["difference"] for name, row in on_12.items()}
    assert differences["principal_outstanding"] == Decimal(-500)
    assert differences["days_past_due"] == -2
    assert (differences["bucket"], differences["oldest_due_on"], differences["last_payment_amount"]) == (None,) * 3
    assert {row["currency"] for row in rows} == {"USD"}


def test_each_difference_is_added_once_and_again_when_it_changes(lender):
    name = pay(lender.book, "2025-02-12", posted_at=LATER)
    lender.sync(LATER)
    first = lender.detect()
    assert by_value(first)[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "500.00")
    assert lender.detect() == []

    # Another 100.00: reported is still what was closed.
    other = pay(lender.book, "2025-02-12", "100", "0", posted_at=LATER + timedelta(days=1))
    lender.sync(LATER + timedelta(days=1))
    second = lender.detect()
    assert by_value(second)[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "400.00")
    assert {row["caused_by"] for row in second} == {f"transaction {other}"}

    # Both reversed: nothing differs any more, and the rows say so.
    for each in (name, other):
        lender.book.reverse(each, "2025-02-12", posted_at=LATER + timedelta(days=2))
    lender.sync(LATER + timedelta(days=2))
    third = by_value(lender.detect())
    assert third[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "1000.00")
    assert all(reported == restated for reported, restated in third.values())


def test_a_day_that_is_closed_again_no_longer_differs(lender):
    pay(lender.book, "2025-02-11", posted_at=LATER)
    lender.sync(LATER)
    assert lender.detect()
    lender.close(FEB_9, FEB_12)
    assert lender.detect() == []
    # What is posted after that differs from the day as it was closed again.
    pay(lender.book, "2025-02-12", "100", "0", posted_at=LATER + timedelta(days=1))
    lender.sync(LATER + timedelta(days=1))
    found = by_value(lender.detect())
    assert found[FEB_12, "L1", "principal_outstanding"] == ("500.00", "400.00")
    assert {day for day, _, _ in found} == {FEB_12}


def test_a_removed_and_a_changed_row_without_a_new_posted_at(lender):
    rows = lender.book.rows["transactions"]
    rows[0] = rows[0] | {"principal": Decimal(900), "amount": Decimal(900)}
    rows[:] = [row for row in rows if row["loan_id"] == "L1"]
    lender.sync(LATER)
    found = lender.detect()
    assert {row["caused_by"] for row in found} == {"transaction T1 changed", "transaction T2 removed"}
    assert by_value(found)[FEB_9, "L1", "principal_outstanding"] == ("1000.00", "900.00")
    assert by_value(found)[FEB_9, "L2", "status"] == ("active", "pending")


@pytest.mark.parametrize(
    ("table", "values", "column", "cause"),
    [
        ("portfolio_membership", {"portfolio_id": "F"}, "portfolio_id", "assignment to portfolio F"),
        ("loan_ownership", {"investor_id": "I"}, "investor_id", "assignment to investor I"),
        ("officer_assignments", {"officer_id": "S"}, "officer_id", "assignment to officer S"),
    ],
)
def test_an_assignment(lender, table, values, column, cause):
    lender.book.add(table, loan_id="L1", assigned_on=date(2025, 2, 11), **values)
    lender.sync(LATER)
    found = lender.detect()
    assert {(row["business_date"], row["column"], row["caused_by"]) for row in found} == {
        (day, column, cause) for day in (date(2025, 2, 11), FEB_12)
    }


def test_schedules_modifications_loans_and_products(lender):
    lender.book.schedule("L1", 2, "2025-02-11", [("2025-02-20", "1000", "20")], posted_at=LATER)
    lender.book.add(
        "modifications",
        modification_id="M1",
        loan_id="L2",
        type="rate_reduction",
        effective_on=date(2025, 2, 12),
        before_rate=Decimal("0.11"),
        after_rate=Decimal("0.09"),
        posted_at=LATER,
    )
    loans = lender.book.rows["loans"]
    loans[1] = loans[1] | {"branch_id": "BR2"}
    lender.book.rows["products"][0] = lender.book.rows["products"][0] | {"program_id": "G2"}
    lender.sync(LATER)
    rows = lender.detect()
    found = by_value(rows)
    causes = {(row["business_date"], row["loan_id"]): row["caused_by"] for row in rows}
    assert causes[FEB_12, "L1"] == "product P1 changed; schedule version 2"
    assert causes[FEB_9, "L2"] == "modification M1; product P1 changed; terms of loan L2 changed"
    assert causes[FEB_9, "L1"] == "product P1 changed"
    assert found[FEB_12, "L1", "days_past_due"] == ("2", "0")
    # Before its first modification, the loan has the rate that the modification replaced.
    assert found[FEB_9, "L2", "annual_rate"] == ("0.12000000", "0.11000000")
    assert found[FEB_12, "L2", "annual_rate"] == ("0.12000000", "0.09000000")
    assert found[FEB_9, "L2", "branch_id"] == ("BR1", "BR2")
    assert found[FEB_9, "L1", "program_id"] == ("G1", "G2")


def test_other_conventions_are_one_row_per_day(lender):
    anew = Conventions(non_accrual_days=60)
    rows = lender.detect(anew)
    assert [(row["business_date"], row["loan_id"], row["column"]) for row in rows] == [
        (FEB_9 + timedelta(days=n), "*", "conventions") for n in range(4)
    ]
    assert {(row["reported"], row["restated"]) for row in rows} == {("non_accrual_days=90", "non_accrual_days=60")}
    assert lender.detect(anew) == []
    # As they were again: nothing differs.
    assert {row["restated"] for row in lender.detect()} == {""}
    assert lender.detect() == []


def test_a_lake_of_an_earlier_release(lender):
    """Its closed days have no versions, and there was no detection: sums over the positions find the loans."""
    closed = lender.lake.table("closed_days")
    lender.lake.replace("closed_days", closed.mutate(made_from=None, program_version=None))
    shutil.rmtree(f"{lender.lake.url}/restatements")
    name = pay(lender.book, "2025-02-11", posted_at=LATER)
    lender.sync(LATER)
    found = lender.detect()
    assert by_value(found)[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "500.00")
    assert {row["caused_by"] for row in found} == {f"transaction {name}"}


def test_a_detection_of_a_release_that_had_fewer_tables(lender):
    compared = json.loads(lender.lake.note("restatements"))
    del compared["versions"]["delinquency_pauses"]
    nothing = lender.lake.table("restatements").limit(0)
    lender.lake.add("restatements", nothing, note=json.dumps(compared))

    pay(lender.book, "2025-02-12", "100", "0", posted_at=LATER)
    lender.sync(LATER)
    assert by_value(lender.detect())[FEB_12, "L1", "principal_outstanding"] == ("1000.00", "900.00")
    assert lender.detect() == []


@settings(max_examples=3)
@given(
    seed=st.integers(0, 10**6),
    gaps=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    closed_again=st.sets(st.integers(0, 3)),
)
def test_random_books_equal_a_bitemporal_recomputation(tmp_path_factory, seed, gaps, closed_again):
    """Closed on random days with what was posted by then; some days are closed again, and differ no longer."""
    nights = simulate(Lender(tmp_path_factory.mktemp("lake"), random_book(seed, loans=6)), gaps, closed_again)
    for found, expected in nights:
        assert found == expected


def test_every_value_equals_a_bitemporal_recomputation(tmp_path):
    """20 loans in which everything happens, closed day by day with what was posted by then."""
    nights = simulate(Lender(tmp_path, random_book(7, loans=20)), (1, 8, 1, 1, 18, 1, 15, 100), set())
    for found, expected in nights:
        assert found == expected
    assert len({loan for _, loan, _ in expected}) > 10


def test_a_delinquency_pause_that_becomes_known_later(lender):
    # Due on 10 February: 1 and 2 days past due on the 11th and 12th, none in a pause from the 10th on.
    lender.book.add("delinquency_pauses", pause_id="A", loan_id="L1", starts_on=date(2025, 2, 10), posted_at=LATER)
    lender.sync(LATER)
    found = lender.detect()
    assert {row["caused_by"] for row in found} == {"delinquency pause A"}
    late = {
        row["business_date"]: (row["reported"], row["restated"]) for row in found if row["column"] == "days_past_due"
    }
    assert late == {date(2025, 2, 11): ("1", "0"), FEB_12: ("2", "0")}


def test_an_accrual_that_becomes_known_later(lender):
    def accrue(accrual_id, on, interest, posted_at):
        lender.book.add(
            "accruals",
            accrual_id=accrual_id,
            loan_id="L1",
            effective_on=on,
            posted_at=posted_at,
            interest=Decimal(interest),
            fees=Decimal(0),
        )

    accrue("A1", date(2025, 1, 31), "7.00", datetime(2025, 2, 1))
    lender.sync(datetime(2025, 2, 12, 21))
    assert lender.detect() == [], "scheduled interest does not depend on accruals"
    chosen = Conventions(interest_accrual="servicer")
    lender.close(FEB_9, FEB_12, chosen)
    assert lender.detect(chosen) == []

    accrue("A2", date(2025, 2, 11), "3.00", LATER)
    lender.sync(LATER)
    found = lender.detect(chosen)
    assert {row["caused_by"] for row in found} == {"accrual A2"}
    earned = {day: value for (day, _, name), value in by_value(found).items() if name == "interest_earned"}
    assert earned == {date(2025, 2, 11): ("7.00", "10.00"), FEB_12: ("7.00", "10.00")}
