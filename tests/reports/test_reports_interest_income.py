"""Interest of February 2025 by hand, and on a whole lender's home against the loans of loan_positions."""

from collections import defaultdict
from datetime import date

import pytest
from homes import DAYS, LAST
from revenue_lake import FEB_14, FEB_28, JAN_31, POSITIONS, revenue_lake
from tiny_lake import generate, money, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.registry import get
from lending_pipelines.resources import LakeReportSource

YEAR = 365 / 28


@pytest.fixture(scope="module")
def book():
    return generate(revenue_lake(), "interest_income")


def amounts(row):
    return [str(row[name]) for name in ("earned", "collected", "variance", "receivable", "average_balance")]


def without_january():
    return revenue_lake(loan_positions=[row for row in POSITIONS if row["business_date"] != JAN_31])


def test_earned_is_what_was_added_in_the_period(book):
    # USD: L1 17.00 − 7.00, L2 6.00 − nothing; the daily balances are 900 + 500 on both closed days.
    eur, usd = rows(book, "Summary")
    assert amounts(usd) == ["16.00", "10.00", "-6.00", "13.00", "1400.00"]
    assert usd["effective_rate"] == pytest.approx(16 * YEAR / 1400)
    assert usd["contract_rate"] == pytest.approx((0.12 * 900 + 0.24 * 500) / 1400)
    # EUR: L3 10.00 − 5.60; 800 on one of the closed days, nothing on the other; charged off, so nothing is receivable.
    assert amounts(eur) == ["4.40", "0.00", "-4.40", "0.00", "400.00"]
    assert (usd["active_loans"], eur["active_loans"], eur["contract_rate"]) == (2, 0, None)


def test_products_share_what_was_earned(book):
    usd = [row for row in rows(book, "By product") if row["currency"] == "USD"]
    assert [(row["product_id"], str(row["earned"])) for row in usd] == [("A", "10.00"), ("B", "6.00")]
    assert [row["share"] for row in usd] == pytest.approx([10 / 16, 6 / 16])
    assert [row["product_name"] for row in usd] == ["Ratenkredit", "Ü" * 200]


def test_a_band_holds_its_lower_bound_and_not_its_upper():
    book = generate(revenue_lake(), "interest_income", rate_band=12)
    bands = [(str(row["rate_from"]), str(row["rate_to"]), amounts(row)[0]) for row in rows(book, "By rate")]
    assert bands == [
        ("0.12000000", "0.24000000", "4.40"),
        ("0.12000000", "0.24000000", "10.00"),
        ("0.24000000", "0.36000000", "6.00"),
    ]


def test_loans_are_listed_by_variance_with_the_totals_of_all():
    book = generate(revenue_lake(), "interest_income", top_loans=1)
    assert [row["loan_id"] for row in rows(book, "By loan")] == ["L3", "L2"]
    second = rows(book, "By loan")[1]
    assert (second["contract_days"], second["days_on_book"]) == (334, 18)
    assert amounts(second) == ["6.00", "0.00", "-6.00", "6.00", "500.00"]
    assert [str(total["earned"]) for total in table(book, "By loan").totals] == ["4.40", "16.00"]


def test_without_the_day_before_what_was_earned_is_not_known_and_not_zero():
    book = generate(without_january(), "interest_income")
    usd = rows(book, "Summary")[1]
    assert amounts(usd) == ["None", "None", "None", "13.00", "1400.00"]
    assert usd["effective_rate"] is None
    assert "2025-01-31 is not closed: the amounts earned and collected since then are unknown." in book.notes


def test_loans_younger_than_the_period_need_no_day_before_and_are_annualised_by_their_own_days():
    book = generate(without_january(), "interest_income", product="B")
    (usd,) = rows(book, "Summary")
    assert amounts(usd) == ["6.00", "0.00", "-6.00", "6.00", "500.00"]
    # From 10 to 28 February are 19 days, of which two are closed.
    assert usd["effective_rate"] == pytest.approx(6 * 365 / 19 / 500)
    assert book.notes[1:] == ["17 days of the period are not closed: averages use the other days."]


def test_the_days_covered_are_the_closed_ones_and_the_one_before():
    generator = get("interest_income")
    assert generator.covers(generator.parameters(), revenue_lake()) == [JAN_31, FEB_14, FEB_28]


def test_before_the_book_began_nothing_is_known():
    book = generate(revenue_lake(), "interest_income", period="custom", from_date="2024-01-01", to_date="2024-12-31")
    assert {t.no_data for t in book.tables} == {"no loan was disbursed by 2024-12-31"}
    assert (book.summary, book.as_of) == ({}, date(2024, 12, 31))


def test_interest_is_the_sum_over_loans_and_over_days(closed_home):
    with closed_home.lake() as lake:
        book = generate(
            LakeReportSource(lake, Conventions()),
            "interest_income",
            period="custom",
            from_date=DAYS[1].isoformat(),
            to_date=LAST.isoformat(),
            top_loans=100_000,
        )
    earned, balances = defaultdict(lambda: money("0.00")), defaultdict(lambda: money("0.00"))
    for row in closed_home.rows("loan_positions", DAYS[0], LAST):
        day = row["business_date"]
        earned[row["currency"]] += row["interest_earned"] * ((day == LAST) - (day == DAYS[0]))
        balances[row["currency"]] += row["principal_outstanding"] * (day != DAYS[0])
    for row in rows(book, "Summary"):
        currency = row["currency"]
        assert row["earned"] == earned[currency] > 0
        assert row["average_balance"] == pytest.approx(balances[currency] / 30, abs=money("0.01"))
        for breakdown in ("By product", "By rate", "By loan"):
            found = [part["earned"] for part in rows(book, breakdown) if part["currency"] == currency]
            assert sum(found) == row["earned"]
