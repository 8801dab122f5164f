"""Principal, status and payments, worked by hand from DEFINITIONS on the usual loan of book.py."""

from decimal import Decimal

import pytest
from book import SCHEDULE, Book, column, pay, picked, usual


@pytest.fixture(scope="module")
def positions():
    """The positions of loans of many kinds, each for one test. Unless said otherwise they are the usual loan."""
    book = Book()
    _with_all_parts(book)
    _in_every_status(book)
    _reversed_twice(book)
    _paid_and_bounced(book)
    return book.positions("2025-01-09", "2025-02-26")


def _with_all_parts(book):
    usual(book, "parts")
    book.txn("parts", "capitalization", "2025-01-15", interest="7", fees="3")
    book.txn("parts", "repayment", "2025-01-20", "100", "4", "2")
    book.txn("parts", "refund", "2025-01-21", "30", "1", "1")
    book.txn("parts", "waiver", "2025-01-22", "50", "2", "6")
    book.txn("parts", "disbursement", "2025-01-23", "200")


def _in_every_status(book):
    for loan_id in ("paid", "overpaid", "off", "written", "late"):
        usual(book, loan_id)
    book.loan("undisbursed", "2025-01-10", "1000", SCHEDULE, disbursed=False)
    book.txn("undisbursed", "disbursement", "2025-01-12", "1000")
    pay(book, "2025-01-20", "1000", "15", "paid")
    pay(book, "2025-01-20", "1000.01", "15", "overpaid")
    book.txn("off", "charge_off", "2025-01-20", "1000", "3")
    book.txn("off", "recovery", "2025-01-21", "40", "2", "1")
    book.txn("written", "write_off", "2025-01-20", "1000")


def _reversed_twice(book):
    usual(book, "reversed")
    undone = book.reverse(pay(book, "2025-02-10", loan_id="reversed"), "2025-02-20")
    book.reverse(undone, "2025-02-25")


def _paid_and_bounced(book):
    usual(book, "bounced")
    pay(book, "2025-01-15", "10", "1", "bounced")
    bounced = pay(book, "2025-01-20", "20", "2", "bounced")
    pay(book, "2025-01-20", "30", "3", "bounced")
    late_bounce = pay(book, "2025-01-25", "40", "4", "bounced")
    book.reverse(bounced, "2025-01-22")
    book.reverse(late_bounce, "2025-01-27")
    book.txn("bounced", "refund", "2025-01-28", "1")


def test_principal_and_its_parts(positions):
    assert picked(
        positions["2025-01-25", "parts"],
        "principal_disbursed",
        "principal_capitalized",
        "principal_paid",
        "interest_paid",
        "fees_paid",
        "principal_forgiven",
        "principal_charged_off",
        "principal_outstanding",
        "total_collected",
        "settled",
    ) == {
        "principal_disbursed": "1200.00",
        "principal_capitalized": "10.00",
        "principal_paid": "70.00",
        "interest_paid": "3.00",
        "fees_paid": "1.00",
        "principal_forgiven": "50.00",
        "principal_charged_off": "0.00",
        "principal_outstanding": "1090.00",  # 1,200 + 10 − 70 − 50
        "total_collected": "74.00",
        "settled": "132.00",  # paid 70 + 3, waived 50 + 2, capitalized interest 7
    }


def test_status(positions):
    assert ("2025-01-09", "late") not in positions
    assert column(positions, "status", "undisbursed")["2025-01-11"] == "pending"
    assert column(positions, "status", "undisbursed")["2025-01-12"] == "active"
    statuses = {
        "paid": "closed",
        "overpaid": "closed",
        "off": "charged_off",
        "written": "charged_off",
        "late": "active",
        "undisbursed": "active",
    }
    assert {loan: positions["2025-01-21", loan]["status"] for loan in statuses} == statuses
    # a credit balance is shown, not hidden
    assert positions["2025-01-21", "overpaid"]["principal_outstanding"] == Decimal("-0.01")
    off = positions["2025-01-21", "off"]
    assert picked(off, "principal_outstanding", "principal_charged_off", "recovered", "total_collected") == {
        "principal_outstanding": "0.00",
        "principal_charged_off": "1000.00",
        "recovered": "43.00",
        "total_collected": "43.00",
    }


def test_a_reversal_undoes_from_its_own_day(positions):
    outstanding = column(positions, "principal_outstanding", "reversed")
    days = ("02-09", "02-10", "02-19", "02-20", "02-24", "02-25", "02-26")
    assert [outstanding[f"2025-{on}"] for on in days] == [
        "1000.00",
        "500.00",
        "500.00",
        "1000.00",
        "1000.00",
        "500.00",
        "500.00",
    ]


def test_last_payment(positions):
    loan = "bounced"
    found = {
        on: (str(positions[on, loan]["last_payment_on"]), str(positions[on, loan]["last_payment_amount"]))
        for on in (f"2025-01-{n}" for n in (14, 15, 20, 22, 25, 27, 28))
    }
    assert found == {
        "2025-01-14": ("None", "None"),
        "2025-01-15": ("2025-01-15", "11.00"),
        "2025-01-20": ("2025-01-20", "55.00"),  # both of that day
        "2025-01-22": ("2025-01-20", "33.00"),  # one of them bounced
        "2025-01-25": ("2025-01-25", "44.00"),
        "2025-01-27": ("2025-01-20", "33.00"),
        "2025-01-28": ("2025-01-20", "33.00"),
    }
