"""Interest earned and receivable, worked by hand from DEFINITIONS on the usual loan of book.py."""

import pytest
from book import Book, column, pay, picked, usual


@pytest.fixture(scope="module")
def positions():
    """The positions of loans of many kinds, each for one test."""
    book = Book()
    usual(book, "unpaid")
    # a fourth of the period is exactly 0.125, half 0.25, three fourths 0.375
    book.loan("half", "2025-01-01", "100", [("2025-01-05", "100", "0.50")])
    # after 0.01 was due: 0.135 at a fourth
    book.loan("later half", "2024-12-31", "100", [("2025-01-01", "50", "0.01"), ("2025-01-05", "50", "0.50")])
    for loan_id in ("drawn half", "half off"):
        book.loan(loan_id, "2025-01-01", "100", [("2025-01-02", "50", "0.01"), ("2025-01-08", "50", "0.50")])
        book.txn(loan_id, "repayment", "2025-01-03", "100")
        book.txn(loan_id, "disbursement", "2025-01-04", "100")
    book.txn("half off", "charge_off", "2025-01-06", "100")
    usual(book, "settled")
    book.txn("settled", "repayment", "2025-02-10", "500", "6")
    book.txn("settled", "waiver", "2025-02-10", "0", "1")
    book.txn("settled", "capitalization", "2025-02-10", interest="2")
    book.txn("settled", "repayment", "2025-02-24", "0", "20")
    usual(book, "closed")
    pay(book, "2025-01-20", "1000", "3.50", "closed")
    _charge_off(book)
    _draw_later(book)
    return book.positions("2025-01-01", "2025-03-31")


def test_interest_earned_by_days_elapsed(positions):
    # 31 days to 10 February for 10.00, then 28 for 5.00
    earned = column(positions, "interest_earned", "unpaid")
    expected = {
        "2025-01-10": "0.00",
        "2025-01-11": "0.32",  # 10 ÷ 31 = 0.3226
        "2025-01-25": "4.84",  # 150 ÷ 31 = 4.8387
        "2025-02-09": "9.68",  # 300 ÷ 31 = 9.6774
        "2025-02-10": "10.00",
        "2025-02-24": "12.50",  # 10 + 5 × 14 ÷ 28
        "2025-03-10": "15.00",
        "2025-03-20": "15.00",
    }
    assert {on: earned[on] for on in expected} == expected


def test_interest_earned_rounds_half_to_even(positions):
    days = [f"2025-01-0{n}" for n in range(1, 6)]
    earned = {loan: column(positions, "interest_earned", loan) for loan in ("half", "later half")}
    assert [earned["half"][on] for on in days] == ["0.00", "0.12", "0.25", "0.38", "0.50"]
    assert [earned["later half"][on] for on in days] == ["0.01", "0.14", "0.26", "0.38", "0.51"]


def test_interest_since_a_later_drawing_rounds_half_to_even(positions):
    # 0.01 was due before the drawing on 4 January and is not earned. 0.50 is earned in four days from then on.
    days = [f"2025-01-0{n}" for n in range(4, 9)]
    earned = {loan: column(positions, "interest_earned", loan) for loan in ("drawn half", "half off")}
    assert [earned["drawn half"][on] for on in days] == ["0.00", "0.12", "0.25", "0.38", "0.50"]
    # Charged off on 6 January: the interest earned by the 5th.
    assert [earned["half off"][on] for on in days] == ["0.00", "0.12", "0.12", "0.12", "0.12"]


def test_interest_receivable_is_earned_and_not_settled(positions):
    receivable = column(positions, "interest_receivable", "settled")
    assert receivable["2025-02-09"] == "9.68"
    assert receivable["2025-02-10"] == "1.00"  # 10 − 6 − 1 − 2
    assert receivable["2025-02-24"] == "0.00"  # 12.50 − 29, never below zero


def test_a_closed_loan_has_earned_what_it_settled(positions):
    row = positions["2025-03-31", "closed"]
    assert picked(row, "status", "interest_earned", "interest_receivable") == {
        "status": "closed",
        "interest_earned": "3.50",
        "interest_receivable": "0.00",
    }


def _charge_off(book):
    for loan_id in ("kept", "undone", "twice", "rest"):
        usual(book, loan_id)
    book.txn("kept", "charge_off", "2025-02-25", "1000", "12.50")
    undone = book.txn("undone", "charge_off", "2025-02-25", "1000", "12.50")
    book.reverse(undone, "2025-03-01")
    first = book.txn("twice", "charge_off", "2025-01-26", "1000")
    book.reverse(first, "2025-02-01")
    book.txn("twice", "write_off", "2025-02-25", "1000")
    # the principal was paid off; a rest of interest is written off a month later
    pay(book, "2025-01-20", "1000", "3.00", "rest")
    book.txn("rest", "write_off", "2025-02-25", "0", "0.23")


def test_a_charged_off_loan_has_earned_what_it_had_the_day_before(positions):
    earned = {loan: column(positions, "interest_earned", loan) for loan in ("kept", "undone", "twice", "rest")}
    assert earned["kept"]["2025-02-25"] == earned["kept"]["2025-03-10"] == "12.50"  # that of 24 February
    assert earned["undone"]["2025-02-28"] == "12.50"
    assert earned["undone"]["2025-03-10"] == "15.00"
    assert earned["twice"]["2025-01-31"] == "4.84"  # that of 25 January
    assert earned["twice"]["2025-02-24"] == "12.50"
    assert earned["twice"]["2025-03-10"] == "12.50"
    assert earned["rest"]["2025-02-24"] == earned["rest"]["2025-02-25"] == "3.00"
    assert {positions["2025-03-10", loan]["status"] for loan in ("kept", "twice", "rest")} == {"charged_off"}
    assert positions["2025-03-10", "undone"]["status"] == "active"


def _draw_later(book):
    usual(book, "again")
    pay(book, "2025-01-20", "1000", "3.50", "again")
    book.txn("again", "disbursement", "2025-02-24", "400")
    book.loan("late", "2025-01-10", "1000", [("2025-02-10", "500", "10"), ("2025-03-10", "500", "5")], disbursed=False)
    book.txn("late", "disbursement", "2025-02-24", "1000")
    usual(book, "off")
    pay(book, "2025-01-20", "1000", "3.50", "off")
    book.txn("off", "disbursement", "2025-02-24", "400")
    book.txn("off", "charge_off", "2025-03-04", "400")
    usual(book, "next_day")
    pay(book, "2025-01-20", "1000", "3.50", "next_day")
    book.txn("next_day", "disbursement", "2025-02-24", "400")
    book.txn("next_day", "charge_off", "2025-02-25", "400")
    usual(book, "raised")
    pay(book, "2025-01-20", "999", "3.50", "raised")
    book.txn("raised", "disbursement", "2025-02-24", "400")


def test_no_interest_is_earned_from_before_the_principal_was_drawn(positions):
    # 10.00 was due on 10 February, 5.00 is due on 10 March: from 24 February 14 days.
    loans = ("again", "late", "off", "next_day", "raised")
    earned = {loan: column(positions, "interest_earned", loan) for loan in loans}
    days = ("2025-02-23", "2025-02-24", "2025-03-03", "2025-03-10")
    # What the loan settled before, and 5 × 7 ÷ 14 more.
    assert [earned["again"][on] for on in days] == ["3.50", "3.50", "6.00", "8.50"]
    assert [earned["late"][on] for on in days] == ["0.00", "0.00", "2.50", "5.00"]
    # Charged off on 4 March: the interest earned by 3 March.
    assert [earned["off"][on] for on in days] == ["3.50", "3.50", "6.00", "6.00"]
    # Charged off on 25 February, the day after it was drawn: it earned no more interest.
    assert [earned["next_day"][on] for on in days] == ["3.50", "3.50", "3.50", "3.50"]
    # 1.00 was outstanding all along: 10 + 5 × 13, 14, 21 and 28 ÷ 28.
    assert [earned["raised"][on] for on in days] == ["12.32", "12.50", "13.75", "15.00"]
    receivable = column(positions, "interest_receivable", "again")
    assert (receivable["2025-02-24"], receivable["2025-03-03"]) == ("0.00", "2.50")
