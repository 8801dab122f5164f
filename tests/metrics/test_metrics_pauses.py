"""Delinquency pauses: days past due stand still from the first day of a pause to its last."""

from datetime import date

import ibis
import pyarrow as pa
import pytest
from book import Book, day, posted

from lending_pipelines.metrics.pauses import days_before


@pytest.fixture(scope="module")
def book():
    """Loans with one installment, due on 2025-03-01 and not paid, each with its own pauses."""
    book = Book()
    for loan_id, pauses in {
        "once": [("2025-03-10", "2025-03-15")],
        "twice": [("2025-03-10", "2025-03-15"), ("2025-03-13", "2025-03-18")],
        "early": [("2025-02-20", "2025-03-05")],
        "for good": [("2025-03-10", None)],
    }.items():
        book.loan(loan_id, "2025-02-01", "100", [("2025-03-01", "100", "1")])
        for starts_on, ends_on in pauses:
            book.add(
                "delinquency_pauses",
                pause_id=f"{loan_id} {starts_on}",
                loan_id=loan_id,
                starts_on=day(starts_on),
                ends_on=ends_on and day(ends_on),
                posted_at=posted(day(starts_on)),
            )
    return book


@pytest.fixture(scope="module")
def positions(book):
    return book.positions("2025-03-02", "2025-06-30")


def late(positions, loan_id, *days):
    return [positions[on, loan_id]["days_past_due"] for on in days]


def test_the_days_of_a_pause_do_not_count(book, positions):
    # 10 March is 9 days after 1 March. The 5 days 11 to 15 March do not count: 16 March is 15 - 5 = 10.
    days = ("2025-03-10", "2025-03-11", "2025-03-15", "2025-03-16")
    assert late(positions, "once", *days) == [9, 9, 9, 10]
    counted = book.positions(days[0], days[-1], paused_days="count")
    assert late(counted, "once", *days) == [9, 10, 14, 15]
    assert positions["2025-03-16", "once"]["past_due_amount"] == 101


def test_days_in_two_pauses_do_not_count_once(positions):
    # 11 to 15 and 14 to 18 March are 11 to 18 March, 8 days: 20 March is 19 - 8 = 11.
    assert late(positions, "twice", "2025-03-20") == [11]


def test_a_pause_from_before_the_due_date_keeps_the_loan_current(positions):
    # From the due date to 5 March no day counts. 6 March is 5 - 4 = 1 day past due.
    assert late(positions, "early", "2025-03-02", "2025-03-05", "2025-03-06") == [0, 0, 1]


def test_a_pause_without_an_end_lasts(positions):
    assert late(positions, "for good", "2025-03-10", "2025-06-30") == [9, 9]


@pytest.mark.parametrize(("days", "paused"), [(9, 0), (10, 5), (14, 5), (15, 10), (21, 10), (22, 20)])
def test_only_pauses_before_the_day_on_which_days_past_due_are_reached_put_it_off(days, paused):
    # Late since 1 March: the pauses begin at 9, 14 and 21 days past due, and last 5, 5 and 10 days.
    spans = [("2025-03-10", "2025-03-15"), ("2025-03-20", "2025-03-25"), ("2025-04-01", "2025-04-11")]
    first = pa.array([date(2025, 3, 1)])
    late = ibis.memtable(pa.table({"loan_id": ["L1"], "on": first, "late_since": first}))
    starts_on, ends_on = zip(*(map(date.fromisoformat, span) for span in spans), strict=True)
    pauses = ibis.memtable(pa.table({"loan_id": ["L1"] * 3, "starts_on": starts_on, "ends_on": ends_on}))
    found = days_before(late, pauses, date(2025, 12, 31), days).to_pyarrow().to_pylist()
    assert sum(row["paused_before"] for row in found) == paused
