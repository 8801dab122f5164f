"""The terms of a loan on a day: schedule, rate, assignments, and what was known of it."""

from decimal import Decimal

import pytest
from book import Book, column, day, pay, posted, usual

CHANGES = [
    ("M1", "2025-01-20", "rate_reduction", "0.15", "0.09"),
    ("M2", "2025-01-22", "term_extension", None, None),
    ("M3", "2025-01-24", "reage", "0.09", "0.09"),
    ("M4", "2025-01-25", "rate_reduction", "0.09", "0.07"),
]
"""Modifications: id, day, type, rate before and after."""


@pytest.fixture(scope="module")
def positions():
    """The positions of loans of many kinds, each for one test."""
    book = Book()
    for loan_id in ("due", "plain", "changed", "higher", "highest"):
        usual(book, loan_id)
    _assigned(book)
    for modification_id, on, type_, before, after in CHANGES:
        book.add(
            "modifications",
            modification_id=modification_id,
            loan_id="changed",
            type=type_,
            effective_on=day(on),
            before_rate=before and Decimal(before),
            after_rate=after and Decimal(after),
            posted_at=posted(day(on)),
        )
    for loan_id in ("higher", "highest"):
        book.schedule(loan_id, 2, "2025-03-01", [("2025-04-10", "1000", "30")])
    # a higher version with an earlier effective_on: version 2 of this loan is never in force
    book.schedule("highest", 3, "2025-02-20", [("2025-02-25", "200", "1"), ("2025-05-10", "800", "40")])
    book.add("products", product_id="P1", program_id="G1", name="One", product_type="term")
    for loan_id, on, terms in (
        ("first quarter", "2025-03-31", {"currency": "USD"}),
        ("second quarter", "2025-04-01", {"currency": "EUR"}),
        ("last year", "2024-12-31", {"product_id": "P9"}),
    ):
        book.loan(loan_id, on, "100", [("2025-06-01", "100", "1")], **terms)
    return book.positions("2025-01-10", "2025-04-11")


def _assigned(book):
    usual(book, "assigned")
    for on, officer, released_on in (("2025-01-12", "O2", "2025-01-14"), ("2025-01-16", "O3", None)):
        book.add(
            "officer_assignments",
            loan_id="assigned",
            assigned_on=day(on),
            officer_id=officer,
            released_on=released_on and day(released_on),
        )
    for on, portfolio, removed_on in (("2025-01-11", "PF1", "2025-01-13"), ("2025-01-13", "PF2", None)):
        book.add(
            "portfolio_membership",
            portfolio_id=portfolio,
            portfolio_name=portfolio,
            loan_id="assigned",
            assigned_on=day(on),
            removed_on=removed_on and day(removed_on),
            method="static",
        )
    names = {"investor_id": "I1", "investor_name": "I1"}
    book.add("loan_ownership", **names, loan_id="assigned", assigned_on=day("2025-01-15"))


def between(positions, first, last, name, loan_id):
    """A loan's values of one column on the days first..last, in order."""
    return [value for on, value in column(positions, name, loan_id).items() if first <= on <= last]


def test_next_due(positions):
    due = {
        on: (str(positions[on, "due"]["next_due_on"]), str(positions[on, "due"]["next_due_amount"]))
        for on in ("2025-02-09", "2025-02-10", "2025-03-09", "2025-03-10")
    }
    assert due == {
        "2025-02-09": ("2025-02-10", "510.00"),
        "2025-02-10": ("2025-03-10", "505.00"),
        "2025-03-09": ("2025-03-10", "505.00"),
        "2025-03-10": ("None", "None"),
    }


def test_who_has_the_loan_on_the_day(positions):
    def holders(name):
        return between(positions, "2025-01-10", "2025-01-16", name, "assigned")

    assert holders("officer_id") == ["O1", "O1", "O2", "O2", None, None, "O3"]
    assert holders("portfolio_id") == [None, "PF1", "PF1", "PF2", "PF2", "PF2", "PF2"]
    assert holders("investor_id") == [None] * 5 + ["I1", "I1"]


def test_the_rate_in_force(positions):
    plain, changed = (
        between(positions, "2025-01-19", "2025-01-25", "annual_rate", loan_id) for loan_id in ("plain", "changed")
    )
    assert set(plain) == {"0.12000000"}
    # before the first change its before_rate, whatever the loan says
    assert changed == ["0.15000000", *["0.09000000"] * 5, "0.07000000"]


def test_the_schedule_in_force(positions):
    days = ("2025-02-19", "2025-02-20", "2025-02-26", "2025-02-28", "2025-03-01", "2025-04-11")
    loans = ("higher", "highest")
    late = {loan: [column(positions, "days_past_due", loan)[on] for on in days] for loan in loans}
    assert late == {"higher": [9, 10, 16, 18, 0, 1], "highest": [9, 0, 1, 3, 4, 45]}
    due = {loan: [column(positions, "scheduled_due", loan)[on] for on in days] for loan in loans}
    assert due == {
        "higher": ["510.00", "510.00", "510.00", "510.00", "0.00", "1030.00"],
        "highest": ["510.00", "0.00", "201.00", "201.00", "201.00", "201.00"],
    }


def test_vintage_product_program_and_currency(positions):
    names = ("vintage", "currency", "product_id", "program_id")
    found = {loan: tuple(row[name] for name in names) for (on, loan), row in positions.items() if on == "2025-04-01"}
    assert {loan: values for loan, values in found.items() if loan.endswith(("quarter", "year"))} == {
        "first quarter": ("2025Q1", "USD", "P1", "G1"),
        "second quarter": ("2025Q2", "EUR", "P1", "G1"),
        "last year": ("2024Q4", "USD", "P9", None),
    }


def test_known_at():
    book = Book()
    usual(book)
    # paid on 10 February, which the system learned of on 1 March
    pay(book, "2025-02-10", posted_at=posted(day("2025-03-01")))
    # a schedule of 5 February that was entered on 2 March
    book.schedule("L1", 2, "2025-02-05", [("2025-02-08", "1000", "15")], posted_at=posted(day("2025-03-02")))
    usual(book, "unknown", posted_at=posted(day("2025-03-01")))
    known = {
        on: book.positions("2025-02-20", known_at=posted(day(on))) for on in ("2025-02-28", "2025-03-01", "2025-03-02")
    }
    rows = {on: positions["2025-02-20", "L1"] for on, positions in known.items()}
    assert {on: (row["days_past_due"], str(row["past_due_amount"])) for on, row in rows.items()} == {
        "2025-02-28": (10, "510.00"),
        "2025-03-01": (0, "0.00"),
        "2025-03-02": (12, "505.00"),
    }
    assert set(known["2025-02-28"]) == {("2025-02-20", "L1")}
