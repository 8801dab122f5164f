"""Charge-offs in part, twice and beyond what there is, and money received afterwards, worked by hand."""

from decimal import Decimal

import ibis
import pytest
from book import Book, column, day, pay, picked

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import vintages

SCHEDULE = [("2025-02-10", "100", "4"), ("2025-03-10", "100", "2")]
AMOUNTS = ("status", "principal_outstanding", "principal_charged_off", "principal_paid", "recovered", "total_collected")


@pytest.fixture
def book():
    """A loan of 200.00, lent on 10 January 2025."""
    book = Book()
    book.loan("L1", "2025-01-10", "200", SCHEDULE)
    return book


def amounts(row):
    return tuple(str(row[name]) for name in AMOUNTS)


def test_a_loan_charged_off_in_part_stays_active_with_the_rest(book):
    book.txn("L1", "charge_off", "2025-02-20", "40")
    positions = book.positions("2025-02-19", "2025-03-12")
    assert amounts(positions["2025-03-12", "L1"]) == ("active", "160.00", "40.00", "0.00", "0.00", "0.00")
    # due on 10 February and not paid: 30 days on 12 March
    aged = picked(positions["2025-03-12", "L1"], "past_due_amount", "days_past_due", "bucket")
    assert aged == {"past_due_amount": "206.00", "days_past_due": "30", "bucket": "30-59"}
    snapshot = book.snapshots("2025-03-12")["2025-03-12", "all", "*", "USD"]
    assert (snapshot["total_balance"], snapshot["loan_count"], snapshot["par_30"]) == (160, 1, 1.0)
    assert snapshot["charged_off"] == 40


def test_charge_off_and_write_off_take_no_more_than_there_is(book):
    book.txn("L1", "charge_off", "2025-02-20", "200")
    book.txn("L1", "write_off", "2025-03-20", "200")
    for on in ("2025-02-20", "2025-03-20"):
        assert amounts(book.position(on)) == ("charged_off", "0.00", "200.00", "0.00", "0.00", "0.00")


def test_what_is_left_after_a_charge_off_in_part_is_written_off(book):
    book.txn("L1", "charge_off", "2025-02-20", "40")
    pay(book, "2025-02-25", "60", "4")
    book.txn("L1", "write_off", "2025-03-20", "200")
    positions = book.positions("2025-02-20", "2025-03-20")
    assert amounts(positions["2025-03-19", "L1"]) == ("active", "100.00", "40.00", "60.00", "0.00", "64.00")
    assert amounts(positions["2025-03-20", "L1"]) == ("charged_off", "0.00", "140.00", "60.00", "0.00", "64.00")
    # it earned until the day before: 6.00 by 10 March
    assert str(positions["2025-03-20", "L1"]["interest_earned"]) == "6.00"


def test_money_received_after_a_charge_off_is_a_recovery_whatever_its_type(book):
    book.txn("L1", "charge_off", "2025-02-20", "200")
    book.txn("L1", "repayment", "2025-03-01", "50", "3", "2")
    book.txn("L1", "refund", "2025-03-05", "10")
    book.txn("L1", "recovery", "2025-03-06", "7")
    assert amounts(book.position("2025-03-04")) == ("charged_off", "0.00", "200.00", "0.00", "55.00", "55.00")
    assert amounts(book.position("2025-03-06")) == ("charged_off", "0.00", "200.00", "0.00", "52.00", "52.00")
    curve = vintages.curves(
        vintages.pooled(book.memo("2025-03-06"), "month"),
        vintages.losses(book.read("transactions"), day("2025-03-06")),
        book.memo("2025-03-06"),
        ibis.literal(day("2025-03-06")),
        2,
        Conventions(),
    )
    rows = {row["months_on_book"]: row for row in book.backend.to_pyarrow(curve).to_pylist()}
    assert [(rows[age]["charged_off"], rows[age]["recovered"]) for age in (0, 1, 2)] == [(0, 0), (200, 0), (200, 52)]


def test_principal_received_beyond_what_a_charge_off_in_part_left_is_a_recovery(book):
    book.txn("L1", "charge_off", "2025-02-20", "40")
    pay(book, "2025-03-15", "190", "6")
    pay(book, "2025-03-20", "5", "1")
    # 160 were left: 30 of 190 are a recovery, and then all that comes
    assert amounts(book.position("2025-03-15")) == ("charged_off", "0.00", "40.00", "160.00", "30.00", "196.00")
    assert amounts(book.position("2025-03-20")) == ("charged_off", "0.00", "40.00", "160.00", "36.00", "202.00")


def test_a_charge_off_that_is_reversed_gives_what_was_received_back_to_the_loan(book):
    off = book.txn("L1", "charge_off", "2025-02-20", "200")
    pay(book, "2025-03-01", "100", "4")
    book.reverse(off, "2025-03-10")
    positions = book.positions("2025-03-01", "2025-03-10")
    assert amounts(positions["2025-03-09", "L1"]) == ("charged_off", "0.00", "200.00", "0.00", "104.00", "104.00")
    assert amounts(positions["2025-03-10", "L1"]) == ("active", "100.00", "0.00", "100.00", "0.00", "104.00")
    # 206 fell due, 104 are settled: late since that day only
    assert picked(positions["2025-03-10", "L1"], "settled", "past_due_amount", "days_past_due") == {
        "settled": "104.00",
        "past_due_amount": "102.00",
        "days_past_due": "0",
    }


def test_a_payment_on_the_day_of_the_charge_off_comes_before_it(book):
    book.txn("L1", "charge_off", "2025-02-20", "200")
    pay(book, "2025-02-20", "50", "0")
    assert amounts(book.position("2025-02-20")) == ("charged_off", "0.00", "150.00", "50.00", "0.00", "50.00")


def test_a_loan_that_is_drawn_again_earns_from_then_on(book):
    pay(book, "2025-01-20", "200", "1")
    book.txn("L1", "disbursement", "2025-06-10", "300")
    book.schedule("L1", 2, "2025-06-10", [("2025-07-10", "300", "3")])
    positions = book.positions("2025-06-09", "2025-07-10")
    assert positions["2025-06-09", "L1"]["status"] == "closed"
    earned = column(positions, "interest_earned")
    # The 1.00 that was settled before, and 3.00 over the 30 days from 10 June: 0.10 a day
    assert [earned[on] for on in ("2025-06-10", "2025-06-20", "2025-07-10")] == ["1.00", "2.00", "4.00"]
    receivable = column(positions, "interest_receivable")
    assert [receivable[on] for on in ("2025-06-10", "2025-06-20", "2025-07-10")] == ["0.00", "1.00", "3.00"]


def test_no_interest_is_earned_before_the_loan_is_paid_out():
    book = Book()
    book.loan("L1", "2025-01-10", "310", [("2025-02-10", "310", "31")], disbursed=False)
    book.txn("L1", "disbursement", "2025-01-31", "310")
    # 31.00 over the 10 days from 31 January
    earned = column(book.positions("2025-01-30", "2025-02-01"), "interest_earned")
    assert earned == {"2025-01-30": "0.00", "2025-01-31": "0.00", "2025-02-01": "3.10"}


def test_the_principal_of_an_overpaid_loan_is_a_credit_balance(book):
    pay(book, "2025-03-10", "220", "6")
    row = book.position("2025-03-11")
    assert (row["status"], row["principal_outstanding"]) == ("closed", Decimal("-20.00"))
