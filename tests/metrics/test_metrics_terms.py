"""The terms of a loan on a day: schedule, rate, assignments, and what was known of it."""

from decimal import Decimal

import pytest
from book import Book, column, day, pay, posted, usual


@pytest.fixture
def book():
    return Book()


def test_next_due(book):
    usual(book)
    positions = book.positions("2025-02-09", "2025-03-10")
    due = {
        on: (str(positions[on, "L1"]["next_due_on"]), str(positions[on, "L1"]["next_due_amount"]))
        for on in ("2025-02-09", "2025-02-10", "2025-03-09", "2025-03-10")
    }
    assert due == {
        "2025-02-09": ("2025-02-10", "510.00"),
        "2025-02-10": ("2025-03-10", "505.00"),
        "2025-03-09": ("2025-03-10", "505.00"),
        "2025-03-10": ("None", "None"),
    }


def test_who_has_the_loan_on_the_day(book):
    usual(book)
    for on, officer, released_on in (("2025-01-12", "O2", "2025-01-14"), ("2025-01-16", "O3", None)):
        book.add(
            "officer_assignments",
            loan_id="L1",
            assigned_on=day(on),
            officer_id=officer,
            released_on=released_on and day(released_on),
        )
    for on, portfolio, removed_on in (("2025-01-11", "PF1", "2025-01-13"), ("2025-01-13", "PF2", None)):
        book.add(
            "portfolio_membership",
            portfolio_id=portfolio,
            portfolio_name=portfolio,
            loan_id="L1",
            assigned_on=day(on),
            removed_on=removed_on and day(removed_on),
            method="static",
        )
    book.add("loan_ownership", investor_id="I1", investor_name="I1", loan_id="L1", assigned_on=day("2025-01-15"))
    positions = book.positions("2025-01-10", "2025-01-16")
    assert list(column(positions, "officer_id").values()) == ["O1", "O1", "O2", "O2", None, None, "O3"]
    assert list(column(positions, "portfolio_id").values()) == [None, "PF1", "PF1", "PF2", "PF2", "PF2", "PF2"]
    assert list(column(positions, "investor_id").values()) == [None] * 5 + ["I1", "I1"]


def test_the_rate_in_force(book):
    for loan_id in ("plain", "changed"):
        usual(book, loan_id)
    changes = [
        ("M1", "2025-01-20", "rate_reduction", "0.15", "0.09"),
        ("M2", "2025-01-22", "term_extension", None, None),
        ("M3", "2025-01-24", "reage", "0.09", "0.09"),
        ("M4", "2025-01-25", "rate_reduction", "0.09", "0.07"),
    ]
    for modification_id, on, type_, before, after in changes:
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
    positions = book.positions("2025-01-19", "2025-01-25")
    assert set(column(positions, "annual_rate", "plain").values()) == {"0.12000000"}
    rates = column(positions, "annual_rate", "changed")
    # before the first change its before_rate, whatever the loan says
    assert list(rates.values()) == ["0.15000000", *["0.09000000"] * 5, "0.07000000"]


def test_the_schedule_in_force(book):
    usual(book, "L1")
    usual(book, "L2")
    for loan_id in ("L1", "L2"):
        book.schedule(loan_id, 2, "2025-03-01", [("2025-04-10", "1000", "30")])
    # a higher version with an earlier effective_on: version 2 of L2 is never in force
    book.schedule("L2", 3, "2025-02-20", [("2025-02-25", "200", "1"), ("2025-05-10", "800", "40")])
    positions = book.positions("2025-02-19", "2025-04-11")
    days = ("2025-02-19", "2025-02-20", "2025-02-26", "2025-02-28", "2025-03-01", "2025-04-11")
    late = {loan: [column(positions, "days_past_due", loan)[on] for on in days] for loan in ("L1", "L2")}
    assert late == {"L1": [9, 10, 16, 18, 0, 1], "L2": [9, 0, 1, 3, 4, 45]}
    due = {loan: [column(positions, "scheduled_due", loan)[on] for on in days] for loan in ("L1", "L2")}
    assert due == {
        "L1": ["510.00", "510.00", "510.00", "510.00", "0.00", "1030.00"],
        "L2": ["510.00", "0.00", "201.00", "201.00", "201.00", "201.00"],
    }


def test_vintage_product_program_and_currency(book):
    book.add("products", product_id="P1", program_id="G1", name="One", product_type="term")
    for loan_id, on, currency in (("L1", "2025-03-31", "USD"), ("L2", "2025-04-01", "EUR")):
        book.loan(loan_id, on, "100", [("2025-06-01", "100", "1")], currency=currency)
    book.loan("L3", "2024-12-31", "100", [("2025-06-01", "100", "1")], product_id="P9")
    positions = book.positions("2025-04-01")
    names = ("vintage", "currency", "product_id", "program_id")
    found = {loan: tuple(row[name] for name in names) for (_, loan), row in positions.items()}
    assert found == {
        "L1": ("2025Q1", "USD", "P1", "G1"),
        "L2": ("2025Q2", "EUR", "P1", "G1"),
        "L3": ("2024Q4", "USD", "P9", None),
    }


def test_known_at(book):
    usual(book)
    # paid on 10 February, which the system learned of on 1 March
    pay(book, "2025-02-10", posted_at=posted(day("2025-03-01")))
    # a schedule of 5 February that was entered on 2 March
    book.schedule("L1", 2, "2025-02-05", [("2025-02-08", "1000", "15")], posted_at=posted(day("2025-03-02")))
    usual(book, "unknown", posted_at=posted(day("2025-03-01")))
    days = {
        on: (row["days_past_due"], str(row["past_due_amount"]))
        for on in ("2025-02-28", "2025-03-01", "2025-03-02")
        for row in [book.position("2025-02-20", known_at=posted(day(on)))]
    }
    assert days == {"2025-02-28": (10, "510.00"), "2025-03-01": (0, "0.00"), "2025-03-02": (12, "505.00")}
    assert set(book.positions("2025-02-20", known_at=posted(day("2025-02-28")))) == {("2025-02-20", "L1")}
