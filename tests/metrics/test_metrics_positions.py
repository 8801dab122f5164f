"""Positions of small books worked by hand from DEFINITIONS. Dates and amounts are chosen so that each can be followed.

The usual loan: 1,000.00 lent on 10 January 2025 at 12 %, due 500.00 + 10.00 on 10 February and 500.00 + 5.00 on
10 March.
"""

from decimal import Decimal

import pytest
from book import Book, day, posted

SCHEDULE = [("2025-02-10", "500", "10"), ("2025-03-10", "500", "5")]


@pytest.fixture
def book():
    return Book()


def usual(book, loan_id="L1", **values):
    book.loan(loan_id, "2025-01-10", "1000", SCHEDULE, **values)


def pay(book, on, principal="500", interest="10", loan_id="L1", **kwargs):
    return book.txn(loan_id, "repayment", on, principal, interest, **kwargs)


def money(text):
    return Decimal(text)


def column(positions, name, loan_id="L1"):
    """A loan's values of one column by day, money and rates as text."""
    found = {on: row[name] for (on, loan), row in positions.items() if loan == loan_id}
    return {on: str(value) if isinstance(value, Decimal) else value for on, value in found.items()}


def picked(row, *names):
    return {name: str(row[name]) for name in names}


def test_principal_and_its_parts(book):
    usual(book)
    book.txn("L1", "capitalization", "2025-01-15", interest="7", fees="3")
    book.txn("L1", "repayment", "2025-01-20", "100", "4", "2")
    book.txn("L1", "refund", "2025-01-21", "30", "1", "1")
    book.txn("L1", "waiver", "2025-01-22", "50", "2", "6")
    book.txn("L1", "disbursement", "2025-01-23", "200")
    row = book.position("2025-01-25")
    assert picked(
        row,
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


def test_status(book):
    for loan_id in ("paid", "overpaid", "off", "written", "late"):
        usual(book, loan_id)
    book.loan("undisbursed", "2025-01-10", "1000", SCHEDULE, disbursed=False)
    book.txn("undisbursed", "disbursement", "2025-01-12", "1000")
    pay(book, "2025-01-20", "1000", "15", "paid")
    pay(book, "2025-01-20", "1000.01", "15", "overpaid")
    book.txn("off", "charge_off", "2025-01-20", "1000", "3")
    book.txn("off", "recovery", "2025-01-21", "40", "2", "1")
    book.txn("written", "write_off", "2025-01-20", "1000")
    positions = book.positions("2025-01-09", "2025-01-21")
    assert ("2025-01-09", "late") not in positions
    assert column(positions, "status", "undisbursed")["2025-01-11"] == "pending"
    assert column(positions, "status", "undisbursed")["2025-01-12"] == "active"
    assert {loan: row["status"] for (on, loan), row in positions.items() if on == "2025-01-21"} == {
        "paid": "closed",
        "overpaid": "closed",
        "off": "charged_off",
        "written": "charged_off",
        "late": "active",
        "undisbursed": "active",
    }
    # a credit balance is shown, not hidden
    assert positions["2025-01-21", "overpaid"]["principal_outstanding"] == money("-0.01")
    off = positions["2025-01-21", "off"]
    assert picked(off, "principal_outstanding", "principal_charged_off", "recovered", "total_collected") == {
        "principal_outstanding": "0.00",
        "principal_charged_off": "1000.00",
        "recovered": "43.00",
        "total_collected": "43.00",
    }


def test_past_due_from_the_due_date_on(book):
    usual(book)
    pay(book, "2025-02-01", "100", "10")
    positions = book.positions("2025-02-09", "2025-03-11")
    # on 10 February 510 are due and 110 settled; on 10 March 1,015
    amounts = column(positions, "past_due_amount")
    assert [amounts[f"2025-{on}"] for on in ("02-09", "02-10", "03-09", "03-10")] == [
        "0.00",
        "400.00",
        "400.00",
        "905.00",
    ]
    days = column(positions, "days_past_due")
    assert [days[f"2025-{on}"] for on in ("02-09", "02-10", "02-11", "03-10", "03-11")] == [0, 0, 1, 28, 29]
    assert picked(positions["2025-03-10", "L1"], "past_due_principal", "past_due_interest", "oldest_due_on") == {
        "past_due_principal": "900.00",  # 1,000 due − 100 paid
        "past_due_interest": "5.00",
        "oldest_due_on": "2025-02-10",
    }


def test_past_due_principal_is_at_most_what_is_past_due(book):
    usual(book)
    pay(book, "2025-02-10", "100", "300")
    # 510 − 400 = 110 past due, though 400 of the principal due are unpaid
    row = book.position("2025-02-10")
    assert picked(row, "past_due_amount", "past_due_principal", "past_due_interest") == {
        "past_due_amount": "110.00",
        "past_due_principal": "110.00",
        "past_due_interest": "0.00",
    }


def test_payments_settle_the_oldest_installment_first(book):
    usual(book)
    pay(book, "2025-02-20", "499.99", "10")
    pay(book, "2025-02-25", "0.01", "0")
    positions = book.positions("2025-02-19", "2025-03-12")
    oldest = column(positions, "oldest_due_on")
    # a cent missing keeps the installment unsettled; a cent more and the next is the oldest
    assert str(oldest["2025-02-24"]) == "2025-02-10"
    assert str(oldest["2025-02-25"]) == "2025-03-10"
    days = column(positions, "days_past_due")
    assert [days[f"2025-{on}"] for on in ("02-19", "02-24", "02-25", "03-10", "03-12")] == [9, 14, 0, 0, 2]


def test_buckets_and_non_accrual_at_each_edge(book):
    book.loan("L1", "2024-12-01", "100", [("2025-01-01", "100", "1")])
    positions = book.positions("2025-01-01", "2025-05-02")
    buckets = column(positions, "bucket")
    by_days = {row["days_past_due"]: row["bucket"] for row in positions.values()}
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
    assert buckets["2025-01-01"] == "current"
    non_accrual = {row["days_past_due"]: row["non_accrual"] for row in positions.values()}
    assert [non_accrual[n] for n in (0, 89, 90, 121)] == [False, False, True, True]


def test_other_bucket_edges(book):
    book.loan("L1", "2024-12-01", "100", [("2025-01-01", "100", "1")])
    positions = book.positions("2025-01-01", "2025-02-20", bucket_edges=(1, 31), non_accrual_days=45)
    found = {row["days_past_due"]: (row["bucket"], row["non_accrual"]) for row in positions.values()}
    assert [found[n] for n in (0, 30, 31, 44, 45)] == [
        ("current", False),
        ("1-30", False),
        ("31+", False),
        ("31+", False),
        ("31+", True),
    ]


def test_overdue_past_maturity_stays_overdue(book):
    usual(book, matures_on=day("2025-03-10"))
    pay(book, "2025-02-10")
    positions = book.positions("2026-03-10")
    assert picked(positions["2026-03-10", "L1"], "status", "days_past_due", "past_due_amount", "next_due_on") == {
        "status": "active",
        "days_past_due": "365",
        "past_due_amount": "505.00",
        "next_due_on": "None",
    }


def test_loans_that_are_not_active_are_not_aged(book):
    for loan_id in ("off", "paid"):
        usual(book, loan_id)
    book.txn("off", "charge_off", "2025-04-01", "1000")
    pay(book, "2025-04-01", "1000", "0", "paid")  # its interest stays unpaid
    positions = book.positions("2025-03-31", "2025-04-01")
    for loan_id in ("off", "paid"):
        assert positions["2025-03-31", loan_id]["days_past_due"] == 49
        assert picked(positions["2025-04-01", loan_id], "days_past_due", "past_due_amount", "bucket") == {
            "days_past_due": "0",
            "past_due_amount": "0.00",
            "bucket": "current",
        }


def test_interest_earned_by_days_elapsed(book):
    # 31 days to 10 February for 10.00, then 28 for 5.00
    usual(book)
    earned = column(book.positions("2025-01-10", "2025-03-20"), "interest_earned")
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


def test_interest_earned_rounds_half_to_even(book):
    # a fourth of the period is exactly 0.125, half 0.25, three fourths 0.375
    book.loan("L1", "2025-01-01", "100", [("2025-01-05", "100", "0.50")])
    # after 0.01 was due: 0.135 at a fourth
    book.loan("L2", "2024-12-31", "100", [("2025-01-01", "50", "0.01"), ("2025-01-05", "50", "0.50")])
    positions = book.positions("2025-01-01", "2025-01-05")
    assert list(column(positions, "interest_earned", "L1").values()) == ["0.00", "0.12", "0.25", "0.38", "0.50"]
    assert list(column(positions, "interest_earned", "L2").values()) == ["0.01", "0.14", "0.26", "0.38", "0.51"]


def test_interest_receivable_is_earned_and_not_settled(book):
    usual(book)
    book.txn("L1", "repayment", "2025-02-10", "500", "6")
    book.txn("L1", "waiver", "2025-02-10", "0", "1")
    book.txn("L1", "capitalization", "2025-02-10", interest="2")
    book.txn("L1", "repayment", "2025-02-24", "0", "20")
    receivable = column(book.positions("2025-02-09", "2025-02-25"), "interest_receivable")
    assert receivable["2025-02-09"] == "9.68"
    assert receivable["2025-02-10"] == "1.00"  # 10 − 6 − 1 − 2
    assert receivable["2025-02-24"] == "0.00"  # 12.50 − 29, never below zero


def test_a_closed_loan_has_earned_what_it_settled(book):
    usual(book)
    pay(book, "2025-01-20", "1000", "3.50")
    row = book.position("2025-03-31")
    assert picked(row, "status", "interest_earned", "interest_receivable") == {
        "status": "closed",
        "interest_earned": "3.50",
        "interest_receivable": "0.00",
    }


def test_a_charged_off_loan_has_earned_what_it_had_the_day_before(book):
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
    positions = book.positions("2025-01-26", "2025-03-10")
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


def test_a_reversal_undoes_from_its_own_day(book):
    usual(book)
    paid = pay(book, "2025-02-10")
    undone = book.reverse(paid, "2025-02-20")
    redone = book.reverse(undone, "2025-02-25")
    book.reverse(redone, "2025-03-01")
    outstanding = column(book.positions("2025-02-09", "2025-03-02"), "principal_outstanding")
    days = ("02-09", "02-10", "02-19", "02-20", "02-24", "02-25", "02-28", "03-01")
    assert [outstanding[f"2025-{on}"] for on in days] == [
        "1000.00",
        "500.00",
        "500.00",
        "1000.00",
        "1000.00",
        "500.00",
        "500.00",
        "1000.00",
    ]


def test_last_payment(book):
    usual(book)
    pay(book, "2025-01-15", "10", "1")
    bounced = pay(book, "2025-01-20", "20", "2")
    pay(book, "2025-01-20", "30", "3")
    late_bounce = pay(book, "2025-01-25", "40", "4")
    book.reverse(bounced, "2025-01-22")
    book.reverse(late_bounce, "2025-01-27")
    book.txn("L1", "refund", "2025-01-28", "1")
    positions = book.positions("2025-01-14", "2025-01-28")
    found = {
        on: (str(positions[on, "L1"]["last_payment_on"]), str(positions[on, "L1"]["last_payment_amount"]))
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
    assert set(column(positions, "annual_rate", "plain").values()) == {"0.120000"}
    rates = column(positions, "annual_rate", "changed")
    # before the first change its before_rate, whatever the loan says
    assert list(rates.values()) == ["0.150000", *["0.090000"] * 5, "0.070000"]


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


def test_strict_counts_from_the_first_miss(book):
    usual(book)
    pay(book, "2025-03-15", "500", "10")
    pay(book, "2025-03-20", "400", "5")
    pay(book, "2025-03-25", "100", "0")
    methods = {
        method: column(book.positions("2025-03-09", "2025-03-26", dpd_method=method), "days_past_due")
        for method in ("rolling", "strict")
    }
    days = [f"2025-03-{n:02}" for n in (9, 14, 15, 20, 24, 25)]
    assert [methods["rolling"][on] for on in days] == [27, 32, 5, 10, 14, 0]
    assert [methods["strict"][on] for on in days] == [27, 32, 33, 38, 42, 0]


def test_ots_is_a_payment_period_later(book):
    frequencies = {"weekly": 7, "biweekly": 14, "monthly": 31, "quarterly": 90, "bullet": 31}
    for frequency in frequencies:
        book.loan(frequency, "2024-12-01", "100", [("2025-01-01", "100", "1")], payment_frequency=frequency)
    book.loan("end", "2024-12-01", "100", [("2025-01-31", "100", "1")])
    positions = book.positions("2025-04-10", delinquency_method="OTS")
    # 99 days after 1 January, less a period: 1 January to 1 February is 31 days, to 1 April 90
    for frequency, period in frequencies.items():
        assert positions["2025-04-10", frequency]["days_past_due"] == 99 - period
    # a month after 31 January is 28 February
    assert positions["2025-04-10", "end"]["days_past_due"] == 41
