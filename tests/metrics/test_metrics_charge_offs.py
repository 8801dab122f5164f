"""Charge-offs in part, twice and beyond what there is, and money received afterwards, worked by hand."""

from decimal import Decimal

import ibis
import pytest
from book import Book, column, day, pay, picked

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import vintages

SCHEDULE = [("2025-02-10", "100", "4"), ("2025-03-10", "100", "2")]
AMOUNTS = ("status", "principal_outstanding", "principal_charged_off", "principal_paid", "recovered", "total_collected")


@pytest.fixture(scope="module")
def book():
    """Loans of 200.00, lent on 10 January 2025, each for one test."""
    book = Book()
    loans = ("part", "twice", "rest", "recovered", "beyond", "undone", "same day", "again", "overpaid")
    for loan_id in loans:
        book.loan(loan_id, "2025-01-10", "200", SCHEDULE)
    book.txn("part", "charge_off", "2025-02-20", "40")
    book.txn("twice", "charge_off", "2025-02-20", "200")
    book.txn("twice", "write_off", "2025-03-20", "200")
    book.txn("rest", "charge_off", "2025-02-20", "40")
    pay(book, "2025-02-25", "60", "4", "rest")
    book.txn("rest", "write_off", "2025-03-20", "200")
    book.txn("recovered", "charge_off", "2025-02-20", "200")
    book.txn("recovered", "repayment", "2025-03-01", "50", "3", "2")
    book.txn("recovered", "refund", "2025-03-05", "10")
    book.txn("recovered", "recovery", "2025-03-06", "7")
    book.txn("beyond", "charge_off", "2025-02-20", "40")
    pay(book, "2025-03-15", "190", "6", "beyond")
    pay(book, "2025-03-20", "5", "1", "beyond")
    off = book.txn("undone", "charge_off", "2025-02-20", "200")
    pay(book, "2025-03-01", "100", "4", "undone")
    book.reverse(off, "2025-03-10")
    book.txn("same day", "charge_off", "2025-02-20", "200")
    pay(book, "2025-02-20", "50", "0", "same day")
    pay(book, "2025-01-20", "200", "1", "again")
    book.txn("again", "disbursement", "2025-06-10", "300")
    book.schedule("again", 2, "2025-06-10", [("2025-07-10", "300", "3")])
    pay(book, "2025-03-10", "220", "6", "overpaid")
    book.loan("late", "2025-01-10", "310", [("2025-02-10", "310", "31")], disbursed=False)
    book.txn("late", "disbursement", "2025-01-31", "310")
    return book


@pytest.fixture(scope="module")
def positions(book):
    return book.positions("2025-01-30", "2025-07-10")


def alone(book, loan_id):
    """A book with one of the loans."""
    single = Book()
    for table in ("loans", "installments", "transactions"):
        for row in book.rows[table]:
            if row["loan_id"] == loan_id:
                single.add(table, **row)
    return single


def amounts(row):
    return tuple(str(row[name]) for name in AMOUNTS)


def test_a_loan_charged_off_in_part_stays_active_with_the_rest(book, positions):
    assert amounts(positions["2025-03-12", "part"]) == ("active", "160.00", "40.00", "0.00", "0.00", "0.00")
    # due on 10 February and not paid: 30 days on 12 March
    aged = picked(positions["2025-03-12", "part"], "past_due_amount", "days_past_due", "bucket")
    assert aged == {"past_due_amount": "206.00", "days_past_due": "30", "bucket": "30-59"}
    snapshot = alone(book, "part").snapshots("2025-03-12")["2025-03-12", "all", "*", "USD"]
    assert (snapshot["total_balance"], snapshot["loan_count"], snapshot["par_30"]) == (160, 1, 1.0)
    assert snapshot["charged_off"] == 40


def test_charge_off_and_write_off_take_no_more_than_there_is(positions):
    for on in ("2025-02-20", "2025-03-20"):
        assert amounts(positions[on, "twice"]) == ("charged_off", "0.00", "200.00", "0.00", "0.00", "0.00")


def test_what_is_left_after_a_charge_off_in_part_is_written_off(positions):
    assert amounts(positions["2025-03-19", "rest"]) == ("active", "100.00", "40.00", "60.00", "0.00", "64.00")
    assert amounts(positions["2025-03-20", "rest"]) == ("charged_off", "0.00", "140.00", "60.00", "0.00", "64.00")
    # it earned until the day before: 6.00 by 10 March
    assert str(positions["2025-03-20", "rest"]["interest_earned"]) == "6.00"


def test_money_received_after_a_charge_off_is_a_recovery_whatever_its_type(book, positions):
    assert amounts(positions["2025-03-04", "recovered"]) == ("charged_off", "0.00", "200.00", "0.00", "55.00", "55.00")
    assert amounts(positions["2025-03-06", "recovered"]) == ("charged_off", "0.00", "200.00", "0.00", "52.00", "52.00")
    recovered = alone(book, "recovered")
    last = recovered.memo("2025-03-06")
    curve = vintages.curves(
        vintages.pooled(last, "month"),
        vintages.losses(recovered.read("transactions"), day("2025-03-06")),
        last,
        ibis.literal(day("2025-03-06")),
        2,
        Conventions(),
    )
    rows = {row["months_on_book"]: row for row in recovered.backend.to_pyarrow(curve).to_pylist()}
    assert [(rows[age]["charged_off"], rows[age]["recovered"]) for age in (0, 1, 2)] == [(0, 0), (200, 0), (200, 52)]


def test_principal_received_beyond_what_a_charge_off_in_part_left_is_a_recovery(positions):
    # 160 were left: 30 of 190 are a recovery, and then all that comes
    assert amounts(positions["2025-03-15", "beyond"]) == ("charged_off", "0.00", "40.00", "160.00", "30.00", "196.00")
    assert amounts(positions["2025-03-20", "beyond"]) == ("charged_off", "0.00", "40.00", "160.00", "36.00", "202.00")


def test_a_charge_off_that_is_reversed_gives_what_was_received_back_to_the_loan(positions):
    assert amounts(positions["2025-03-09", "undone"]) == ("charged_off", "0.00", "200.00", "0.00", "104.00", "104.00")
    assert amounts(positions["2025-03-10", "undone"]) == ("active", "100.00", "0.00", "100.00", "0.00", "104.00")
    # 206 fell due, 104 are settled: late since that day only
    assert picked(positions["2025-03-10", "undone"], "settled", "past_due_amount", "days_past_due") == {
        "settled": "104.00",
        "past_due_amount": "102.00",
        "days_past_due": "0",
    }


def test_a_payment_on_the_day_of_the_charge_off_comes_before_it(positions):
    assert amounts(positions["2025-02-20", "same day"]) == ("charged_off", "0.00", "150.00", "50.00", "0.00", "50.00")


def test_a_loan_that_is_drawn_again_earns_from_then_on(positions):
    assert positions["2025-06-09", "again"]["status"] == "closed"
    earned = column(positions, "interest_earned", "again")
    # The 1.00 that was settled before, and 3.00 over the 30 days from 10 June: 0.10 a day
    assert [earned[on] for on in ("2025-06-10", "2025-06-20", "2025-07-10")] == ["1.00", "2.00", "4.00"]
    receivable = column(positions, "interest_receivable", "again")
    assert [receivable[on] for on in ("2025-06-10", "2025-06-20", "2025-07-10")] == ["0.00", "1.00", "3.00"]


def test_no_interest_is_earned_before_the_loan_is_paid_out(positions):
    # 31.00 over the 10 days from 31 January
    earned = column(positions, "interest_earned", "late")
    assert {on: earned[on] for on in ("2025-01-30", "2025-01-31", "2025-02-01")} == {
        "2025-01-30": "0.00",
        "2025-01-31": "0.00",
        "2025-02-01": "3.10",
    }


def test_the_principal_of_an_overpaid_loan_is_a_credit_balance(positions):
    row = positions["2025-03-11", "overpaid"]
    assert (row["status"], row["principal_outstanding"]) == ("closed", Decimal("-20.00"))
