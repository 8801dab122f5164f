"""What is past due since when, worked by hand from DEFINITIONS on the usual loan of book.py."""

import pytest
from book import Book, column, day, pay, picked, usual

from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES

ONE_DUE = [("2025-01-01", "100", "1")]


@pytest.fixture(scope="module")
def book():
    """Loans of many kinds, each for one test. Unless said otherwise they are the usual loan."""
    book = Book()
    usual(book, "less")
    pay(book, "2025-02-01", "100", "10", "less")
    usual(book, "on time", matures_on=day("2025-03-10"))
    pay(book, "2025-02-10", loan_id="on time")
    usual(book, "interest first")
    pay(book, "2025-02-10", "100", "300", "interest first")
    usual(book, "a cent")
    pay(book, "2025-02-20", "499.99", "10", "a cent")
    pay(book, "2025-02-25", "0.01", "0", "a cent")
    book.loan("unpaid", "2024-12-01", "100", ONE_DUE)
    for loan_id in ("off", "paid"):
        usual(book, loan_id)
    book.txn("off", "charge_off", "2025-04-01", "1000")
    pay(book, "2025-04-01", "1000", "15", "paid")
    usual(book, "owes interest")
    pay(book, "2025-04-01", "1000", "0", "owes interest")
    pay(book, "2025-04-20", "0", "15", "owes interest")
    three = [("2025-01-10", "500", "20"), ("2025-02-10", "490", "20"), ("2025-03-10", "10", "20")]
    book.loan("owes less", "2024-12-10", "1000", three)
    pay(book, "2025-02-15", "1000", "0", "owes less")
    pay(book, "2025-03-20", "0", "30", "owes less")
    usual(book, "early")
    pay(book, "2025-01-20", "1000", "3.50", "early")
    usual(book, "refunded")
    book.txn("refunded", "repayment", "2025-01-20", fees="15")
    book.txn("refunded", "refund", "2025-01-25", "15")
    moratorium = [("2025-02-10", "0", "0"), ("2025-03-10", "0", "0"), ("2025-04-10", "1000", "45")]
    book.loan("moratorium", "2025-01-10", "1000", moratorium)
    book.txn("moratorium", "refund", "2025-01-25", "15")
    usual(book, "thrice")
    pay(book, "2025-03-15", "500", "10", "thrice")
    pay(book, "2025-03-20", "400", "5", "thrice")
    pay(book, "2025-03-25", "100", "0", "thrice")
    return book


@pytest.fixture(scope="module")
def positions(book):
    """The positions of all days, with the usual settings."""
    return book.positions("2025-01-01", "2025-05-02")


@pytest.fixture(scope="module")
def otherwise(book):
    """The positions of the same days with other settings. A loan with one installment has no second miss."""
    return book.positions("2025-01-01", "2025-05-02", bucket_edges=(1, 31), non_accrual_days=45, dpd_method="strict")


def between(positions, first, last, loan_id):
    """A loan's positions of the days first..last."""
    return {key: row for key, row in positions.items() if first <= key[0] <= last and key[1] == loan_id}


def test_past_due_from_the_due_date_on(positions):
    # on 10 February 510 are due and 110 settled; on 10 March 1,015
    amounts = column(positions, "past_due_amount", "less")
    assert [amounts[f"2025-{on}"] for on in ("02-09", "02-10", "03-09", "03-10")] == [
        "0.00",
        "400.00",
        "400.00",
        "905.00",
    ]
    days = column(positions, "days_past_due", "less")
    assert [days[f"2025-{on}"] for on in ("02-09", "02-10", "02-11", "03-10", "03-11")] == [0, 0, 1, 28, 29]
    assert picked(positions["2025-03-10", "less"], "past_due_principal", "past_due_interest", "oldest_due_on") == {
        "past_due_principal": "900.00",  # 1,000 due − 100 paid
        "past_due_interest": "5.00",
        "oldest_due_on": "2025-02-10",
    }


def test_an_installment_paid_on_its_due_date_is_not_past_due_in_days_from_it_on(positions):
    rows = between(positions, "2025-02-10", "2025-02-11", "on time").values()
    names = ("past_due_amount", "days_past_due", "oldest_due_on", "next_due_on")
    paid = {"past_due_amount": "0.00", "days_past_due": "0", "oldest_due_on": "2025-03-10", "next_due_on": "2025-03-10"}
    assert [picked(row, *names) for row in rows] == [paid, paid]


def test_past_due_principal_is_at_most_what_is_past_due(positions):
    # 510 − 400 = 110 past due, though 400 of the principal due are unpaid
    row = positions["2025-02-10", "interest first"]
    assert picked(row, "past_due_amount", "past_due_principal", "past_due_interest") == {
        "past_due_amount": "110.00",
        "past_due_principal": "110.00",
        "past_due_interest": "0.00",
    }


def test_payments_settle_the_oldest_installment_first(positions):
    oldest = column(positions, "oldest_due_on", "a cent")
    # a cent missing keeps the installment unsettled; a cent more and the next is the oldest
    assert str(oldest["2025-02-24"]) == "2025-02-10"
    assert str(oldest["2025-02-25"]) == "2025-03-10"
    days = column(positions, "days_past_due", "a cent")
    assert [days[f"2025-{on}"] for on in ("02-19", "02-24", "02-25", "03-10", "03-12")] == [9, 14, 0, 0, 2]


def test_buckets_and_non_accrual_at_each_edge(positions):
    rows = between(positions, "2025-01-01", "2025-05-02", "unpaid")
    by_days = {row["days_past_due"]: row["bucket"] for row in rows.values()}
    assert [by_days[n] for n in (0, 1, 29, 30, 59, 60, 89, 90, 119, 120, 121)] == [
        "current",
        "1-29",
        "1-29",
        "30-59",
        "30-59",
        "60-89",
        "60-89",
        "90-119",
        "90-119",
        "120+",
        "120+",
    ]
    assert rows["2025-01-01", "unpaid"]["bucket"] == "current"
    non_accrual = {row["days_past_due"]: row["non_accrual"] for row in rows.values()}
    assert [non_accrual[n] for n in (0, 89, 90, 121)] == [False, False, True, True]


def test_other_bucket_edges(otherwise):
    rows = between(otherwise, "2025-01-01", "2025-02-20", "unpaid")
    found = {row["days_past_due"]: (row["bucket"], row["non_accrual"]) for row in rows.values()}
    assert [found[n] for n in (0, 30, 31, 44, 45)] == [
        ("current", False),
        ("1-30", False),
        ("31+", False),
        ("31+", False),
        ("31+", True),
    ]


def test_overdue_past_maturity_stays_overdue(book):
    row = book.position("2026-03-10", "on time")
    assert picked(row, "status", "days_past_due", "past_due_amount", "next_due_on") == {
        "status": "active",
        "days_past_due": "365",
        "past_due_amount": "505.00",
        "next_due_on": "None",
    }


def test_loans_that_are_not_active_are_not_aged(positions):
    for loan_id in ("off", "paid"):
        assert positions["2025-03-31", loan_id]["days_past_due"] == 49
        assert picked(positions["2025-04-01", loan_id], "days_past_due", "past_due_amount", "bucket") == {
            "days_past_due": "0",
            "past_due_amount": "0.00",
            "bucket": "current",
        }


def test_a_loan_that_still_owes_interest_due_is_aged_until_it_is_paid(positions):
    names = ("status", "principal_outstanding", "past_due_amount", "past_due_interest", "oldest_due_on", "bucket")
    # 1,015 fell due and 1,000 are settled: of the second installment, due on 10 March, 15 are unpaid
    assert picked(positions["2025-04-19", "owes interest"], *names, "days_past_due") == {
        "status": "active",
        "principal_outstanding": "0.00",
        "past_due_amount": "15.00",
        "past_due_interest": "15.00",
        "oldest_due_on": "2025-03-10",
        "bucket": "30-59",
        "days_past_due": "40",
    }
    assert picked(positions["2025-04-20", "owes interest"], *names) == {
        "status": "closed",
        "principal_outstanding": "0.00",
        "past_due_amount": "0.00",
        "past_due_interest": "0.00",
        "oldest_due_on": "None",
        "bucket": "current",
    }


def test_what_falls_due_after_the_principal_was_repaid_asks_for_nothing(positions):
    # scheduled by then: 1,015, settled: 1,003.50
    rows = between(positions, "2025-02-09", "2025-04-30", "early")
    assert {row["status"] for row in rows.values()} == {"closed"}


def test_a_loan_that_owes_only_interest_does_not_owe_later_installments(positions, book):
    # on 15 February 1,030 are due and 1,000 settled; the 30 due on 10 March are not due
    names = ("status", "scheduled_due", "past_due_amount", "past_due_principal", "oldest_due_on", "next_due_on")
    owing = {
        "status": "active",
        "scheduled_due": "1030.00",
        "past_due_amount": "30.00",
        "past_due_principal": "0.00",
        "oldest_due_on": "2025-02-10",
        "next_due_on": "None",
    }
    rows = between(positions, "2025-02-15", "2025-03-19", "owes less")
    assert {tuple(picked(row, *names).items()) for row in rows.values()} == {tuple(owing.items())}
    assert positions["2025-03-20", "owes less"]["status"] == "closed"
    alone = book.position("2025-03-10", "owes less")
    assert alone == positions["2025-03-10", "owes less"]


def test_settled_below_zero_makes_nothing_past_due_before_anything_fell_due(positions):
    names = ("settled", "scheduled_due", "past_due_amount", "days_past_due", "principal_outstanding")
    assert picked(positions["2025-02-09", "refunded"], *names) == {
        "settled": "-15.00",
        "scheduled_due": "0.00",
        "past_due_amount": "0.00",
        "days_past_due": "0",
        "principal_outstanding": "1015.00",
    }
    assert picked(positions["2025-02-11", "refunded"], *names[1:4]) == {
        "scheduled_due": "510.00",
        "past_due_amount": "510.00",
        "days_past_due": "1",
    }


def test_an_installment_of_nothing_has_no_due_date(positions):
    rows = between(positions, "2025-01-26", "2025-04-11", "moratorium")
    assert {row["next_due_on"] for row in rows.values()} == {day("2025-04-10"), None}
    late = {on: row["days_past_due"] for (on, _), row in rows.items() if row["days_past_due"]}
    assert late == {"2025-04-11": 1}
    # 45.00 over the 90 days from disbursement to the only due date: half of it after 45 days
    assert str(rows["2025-02-24", "moratorium"]["interest_earned"]) == "22.50"


def test_strict_counts_from_the_first_miss(positions, otherwise):
    methods = {"rolling": positions, "strict": otherwise}
    methods = {method: column(rows, "days_past_due", "thrice") for method, rows in methods.items()}
    days = [f"2025-03-{n:02}" for n in (9, 14, 15, 20, 24, 25)]
    assert [methods["rolling"][on] for on in days] == [27, 32, 5, 10, 14, 0]
    assert [methods["strict"][on] for on in days] == [27, 32, 33, 38, 42, 0]


def test_ots_is_a_payment_period_later():
    book = Book()
    frequencies = {"weekly": 7, "biweekly": 14, "semimonthly": 15, "four_weekly": 28, "monthly": 31, "bimonthly": 59}
    frequencies |= {"quarterly": 90, "bullet": 31, "irregular": 31}
    # half a year after 1 January 2025 is 1 July, a year is 1 January 2026: both lie ahead
    frequencies |= {"semiannual": 99, "annual": 99}
    assert set(frequencies) == set(PAYMENT_FREQUENCIES)
    for frequency in frequencies:
        book.loan(frequency, "2024-12-01", "100", ONE_DUE, payment_frequency=frequency)
    book.loan("end", "2024-12-01", "100", [("2025-01-31", "100", "1")])
    positions = book.positions("2025-04-10", delinquency_method="OTS")
    # 99 days after 1 January, less a period: 1 January to 1 February is 31 days, to 1 March 59, to 1 April 90
    for frequency, period in frequencies.items():
        assert positions["2025-04-10", frequency]["days_past_due"] == 99 - period
    # a month after 31 January is 28 February
    assert positions["2025-04-10", "end"]["days_past_due"] == 41
