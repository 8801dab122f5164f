"""Delinquency pauses: days past due stand still from the first day of a pause to its last."""

from datetime import date

import ibis
import pyarrow as pa
import pytest
from book import Book

from lending_pipelines.metrics.pauses import days_before


@pytest.fixture
def book():
    """A loan with one installment, due on 2025-03-01 and not paid."""
    book = Book()
    book.loan("L1", "2025-02-01", "100", [("2025-03-01", "100", "1")])
    return book


def pause(book, pause_id, starts_on, ends_on):
    from book import day, posted

    book.add(
        "delinquency_pauses",
        pause_id=pause_id,
        loan_id="L1",
        starts_on=day(starts_on),
        ends_on=ends_on and day(ends_on),
        posted_at=posted(day(starts_on)),
    )


def late(book, *days, **conventions):
    positions = book.positions(days[0], days[-1], **conventions)
    return [positions[on, "L1"]["days_past_due"] for on in days]


def test_the_days_of_a_pause_do_not_count(book):
    # 10 March is 9 days after 1 March. The 5 days 11 to 15 March do not count: 16 March is 15 - 5 = 10.
    pause(book, "A", "2025-03-10", "2025-03-15")
    days = ("2025-03-10", "2025-03-11", "2025-03-15", "2025-03-16")
    assert late(book, *days) == [9, 9, 9, 10]
    assert late(book, *days, paused_days="count") == [9, 10, 14, 15]
    assert book.positions("2025-03-16")["2025-03-16", "L1"]["past_due_amount"] == 101


def test_days_in_two_pauses_do_not_count_once(book):
    # 11 to 15 and 14 to 18 March are 11 to 18 March, 8 days: 20 March is 19 - 8 = 11.
    pause(book, "A", "2025-03-10", "2025-03-15")
    pause(book, "B", "2025-03-13", "2025-03-18")
    assert late(book, "2025-03-20") == [11]


def test_a_pause_from_before_the_due_date_keeps_the_loan_current(book):
    # From the due date to 5 March no day counts. 6 March is 5 - 4 = 1 day past due.
    pause(book, "A", "2025-02-20", "2025-03-05")
    assert late(book, "2025-03-02", "2025-03-05", "2025-03-06") == [0, 0, 1]


def test_a_pause_without_an_end_lasts(book):
    pause(book, "A", "2025-03-10", None)
    assert late(book, "2025-03-10", "2025-06-30") == [9, 9]


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
