"""What a close finds about closed days: worked by hand, and against the bitemporal oracle in plain Python.

The usual loan: 1,000.00 lent on 10 January 2025, due 510.00 on 10 February and 505.00 on 10 March.
"""

import json
import shutil
import sys
from dataclasses import dataclass
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

FEB_9, FEB_11, FEB_12, MAR_1 = date(2025, 2, 9), date(2025, 2, 11), date(2025, 2, 12), date(2025, 3, 1)
LATER = datetime(2025, 3, 1, 10)

ASSIGNMENTS = {
    "portfolio": ("portfolio_membership", "portfolio_id", "assignment to portfolio F"),
    "investor": ("loan_ownership", "investor_id", "assignment to investor I"),
    "officer": ("officer_assignments", "officer_id", "assignment to officer S"),
}
"""By loan that is assigned on the first night: the table, the column, and the cause of the difference."""


@pytest.fixture(scope="module")
def closed_lender(tmp_path_factory):
    """9 to 12 February closed as known on the evening of the 12th; for reading only."""
    book = Book()
    for product_id in ("P1", "P2"):
        book.add("products", product_id=product_id, program_id="G1", name="One", product_type="term")
    for loan_id in ("changed", "removed", "L1", "twice", "paused", "unchanged", *ASSIGNMENTS):
        usual(book, loan_id)
    for loan_id in ("scheduled", "modified"):
        usual(book, loan_id, product_id="P2")
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


@dataclass
class Night:
    """What one detection added, and the payments that were made before it by loan."""

    rows: list[dict]
    payments: dict[str, str]

    def of(self, loan_id):
        return [row for row in self.rows if row["loan_id"] == loan_id]

    def causes(self, *loan_ids):
        return {row["caused_by"] for loan_id in loan_ids for row in self.of(loan_id)}


@pytest.fixture(scope="module")
def nights(closed_lender, tmp_path_factory):
    """Four nights, each with its events, in one lender. On the first night, one thing happens to each loan."""
    lender = closed_lender.copy(tmp_path_factory.mktemp("nights"))
    book = lender.book

    _first_events(book)
    # 500.00 + 10.00 of 11 February, posted on 1 March: on the 11th and 12th L1 owes 500.00 instead of 1,000.00.
    payments = {
        "L1": pay(book, "2025-02-11", posted_at=LATER),
        "twice": pay(book, "2025-02-12", loan_id="twice", posted_at=LATER),
    }
    lender.sync(LATER)
    lender.close(MAR_1, MAR_1)
    first = Night(lender.detect(locked=[date(2025, 1, 31), FEB_11]), payments)
    assert lender.detect() == []

    # Another 100.00.
    at = LATER + timedelta(days=1)
    other = pay(book, "2025-02-12", "100", "0", loan_id="twice", posted_at=at)
    lender.sync(at)
    second = Night(lender.detect(), {"twice": other})

    at = LATER + timedelta(days=2)
    for each in (payments["twice"], other):
        book.reverse(each, "2025-02-12", posted_at=at)
    lender.sync(at)
    third = Night(lender.detect(), {})

    lender.close(FEB_9, FEB_12)
    assert lender.detect() == [], "a day that is closed again no longer differs"
    at = LATER + timedelta(days=3)
    pay(book, "2025-02-12", "100", "0", posted_at=at)
    lender.sync(at)
    fourth = Night(lender.detect(), {})
    lender.engine.close()
    return first, second, third, fourth


def _first_events(book):
    """What happens to all loans but L1 and twice before the first night."""
    book.add("delinquency_pauses", pause_id="A", loan_id="paused", starts_on=date(2025, 2, 10), posted_at=LATER)
    for loan_id, (table, column, cause) in ASSIGNMENTS.items():
        book.add(table, loan_id=loan_id, assigned_on=FEB_11, **{column: cause[-1]})
    book.schedule("scheduled", 2, "2025-02-11", [("2025-02-20", "1000", "20")], posted_at=LATER)
    book.add(
        "modifications",
        modification_id="M1",
        loan_id="modified",
        type="rate_reduction",
        effective_on=FEB_12,
        before_rate=Decimal("0.11"),
        after_rate=Decimal("0.09"),
        posted_at=LATER,
    )
    book.rows["loans"][:] = [
        row | {"branch_id": "BR2"} if row["loan_id"] == "modified" else row for row in book.rows["loans"]
    ]
    book.rows["products"][1] |= {"program_id": "G2"}
    # Without a new posted_at.
    book.rows["transactions"][:] = [
        row | {"principal": Decimal(900), "amount": Decimal(900)} if row["loan_id"] == "changed" else row
        for row in book.rows["transactions"]
        if row["loan_id"] != "removed"
    ]


def test_only_the_loans_with_an_event_are_found(nights):
    first, second, third, fourth = ({row["loan_id"] for row in night.rows} for night in nights)
    assert first == {"L1", "twice", "changed", "removed", "paused", "scheduled", "modified", *ASSIGNMENTS}
    assert (second, third, fourth) == ({"twice"}, {"twice"}, {"L1"})


def test_a_backdated_payment_by_hand(nights):
    name = nights[0].payments["L1"]
    rows = nights[0].of("L1")

    assert {row["business_date"] for row in rows} == {FEB_11, FEB_12}
    assert {(row["caused_by"], row["posted_at"]) for row in rows} == {(f"transaction {name}", LATER)}
    assert {row["locked_until"] for row in rows if row["business_date"] == FEB_11} == {FEB_11}
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


def test_each_difference_is_added_once_and_again_when_it_changes(nights):
    first, second, third, _ = nights
    assert by_value(first.rows)[FEB_12, "twice", "principal_outstanding"] == ("1000.00", "500.00")

    # Reported is still what was closed, on 1 March with the first payment.
    again = by_value(second.rows)
    assert again[FEB_12, "twice", "principal_outstanding"] == ("1000.00", "400.00")
    assert again[MAR_1, "twice", "principal_outstanding"] == ("500.00", "400.00")
    assert second.causes("twice") == {f"transaction {second.payments['twice']}"}

    # Both reversed: nothing differs any more from the first close, and the rows say so.
    undone = by_value(third.rows)
    assert undone[FEB_12, "twice", "principal_outstanding"] == ("1000.00", "1000.00")
    assert undone[MAR_1, "twice", "principal_outstanding"] == ("500.00", "1000.00")
    assert all(reported == restated for (day, _, _), (reported, restated) in undone.items() if day < MAR_1)


def test_a_later_event_differs_from_the_day_as_it_was_closed_again(nights):
    found = by_value(nights[3].rows)
    assert found[FEB_12, "L1", "principal_outstanding"] == ("500.00", "400.00")
    assert {day for day, _, _ in found} == {FEB_12, MAR_1}


def test_a_removed_and_a_changed_row_without_a_new_posted_at(nights):
    found = by_value(nights[0].rows)
    assert nights[0].causes("changed", "removed") == {"transaction T1 changed", "transaction T2 removed"}
    assert found[FEB_9, "changed", "principal_outstanding"] == ("1000.00", "900.00")
    assert found[FEB_9, "removed", "status"] == ("active", "pending")


@pytest.mark.parametrize("loan_id", ASSIGNMENTS)
def test_an_assignment(nights, loan_id):
    _, column, cause = ASSIGNMENTS[loan_id]
    assert {(row["business_date"], row["column"], row["caused_by"]) for row in nights[0].of(loan_id)} == {
        (day, column, cause) for day in (FEB_11, FEB_12)
    }


def test_schedules_modifications_loans_and_products(nights):
    rows = nights[0].rows
    found = by_value(rows)
    causes = {(row["business_date"], row["loan_id"]): row["caused_by"] for row in rows}
    assert causes[FEB_12, "scheduled"] == "product P2 changed; schedule version 2"
    assert causes[FEB_9, "modified"] == "modification M1; product P2 changed; terms of loan modified changed"
    assert causes[FEB_9, "scheduled"] == "product P2 changed"
    assert found[FEB_12, "scheduled", "days_past_due"] == ("2", "0")
    # Before its first modification, the loan has the rate that the modification replaced.
    assert found[FEB_9, "modified", "annual_rate"] == ("0.12000000", "0.11000000")
    assert found[FEB_12, "modified", "annual_rate"] == ("0.12000000", "0.09000000")
    assert found[FEB_9, "modified", "branch_id"] == ("BR1", "BR2")
    assert found[FEB_9, "scheduled", "program_id"] == ("G1", "G2")


def test_a_delinquency_pause_that_becomes_known_later(nights):
    # Due on 10 February: 1 and 2 days past due on the 11th and 12th, none in a pause from the 10th on.
    assert nights[0].causes("paused") == {"delinquency pause A"}
    late = {
        row["business_date"]: (row["reported"], row["restated"])
        for row in nights[0].of("paused")
        if row["column"] == "days_past_due"
    }
    assert late == {FEB_11: ("1", "0"), FEB_12: ("2", "0")}


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
