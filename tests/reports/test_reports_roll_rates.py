"""Roll rates over the tiny lake's February, over more months from its positions, and on a whole lender's home."""

from datetime import date

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.periods import months_before
from lending_pipelines.reports.registry import get

FEB = date(2025, 2, 28)


def test_the_matrix_of_a_month_is_the_lakes(report):
    book = report("roll_rates")
    by_balance = {row["from_bucket"]: row for row in rows(book, "Matrix by balance")}
    assert (by_balance["current"]["30-59"], by_balance["current"]["closed"], by_balance["current"]["sold"]) == (
        0.5,
        0.5,
        0,
    )
    assert (by_balance["60-89"]["current"], by_balance["60-89"]["90-119"]) == (0.2, 0.8)
    by_count = {row["from_bucket"]: row for row in rows(book, "Matrix by count")}
    assert (by_count["current"]["30-59"], by_count["current"]["closed"]) == (0.25, 0.75)
    assert len(rows(book, "Transitions")) == 5


def test_directions_and_history(report):
    book = report("roll_rates")
    late = {row["from_bucket"]: row for row in rows(book, "Directions by balance")}["60-89"]
    assert (late["cured_balance_rate"], late["worsened_balance_rate"], late["stayed_balance_rate"]) == (0.2, 0.8, 0.0)
    (forward,) = rows(book, "Roll-forward rates USD")
    assert (forward["business_date"], forward["current"], forward["60-89"], forward["1-29"]) == (FEB, 0.5, 0.8, None)
    (cured,) = rows(book, "Cure rates USD")
    assert cured["60-89"] == 0.2
    (flow,) = rows(book, "Net flow rates USD")
    # in 90-119: 400 of the 500 that were in 60-89; nothing in 1-29 of the 500 that were current
    assert (flow["60-89"], flow["current"]) == (0.8, 0.0)
    assert [chart.table for chart in book.charts] == [f"{n} rates USD" for n in ("Roll-forward", "Cure", "Net flow")]


def _position(day, loan_id, currency, bucket, principal, status="active"):
    return {
        "business_date": day,
        "loan_id": loan_id,
        "currency": currency,
        "status": status,
        "bucket": bucket,
        "principal_outstanding": money(principal),
    }


@pytest.fixture
def quarter():
    """Three month ends, of which none has transitions in the lake."""
    nov, jan, feb = date(2024, 11, 30), date(2025, 1, 31), FEB
    held = [
        _position(nov, "L1", "USD", "1-29", "300.00"),
        _position(nov, "L2", "USD", "1-29", "100.00"),
        _position(nov, "=Ø", "EUR", "current", "70.00"),
        _position(jan, "L1", "USD", "current", "250.00"),
        _position(feb, "L1", "USD", "120+", "250.00"),
        _position(feb, "L2", "USD", "current", "0.00", "charged_off"),
        _position(feb, "=Ø", "EUR", "current", "60.00"),
    ]
    days = [
        {"business_date": day, "scope": "all", "scope_id": "*", "currency": "USD", "bucket": "current"}
        for day in (nov, jan, feb)
    ]
    return TinyLake({"loan_positions": held, "aging_buckets": days, "portfolio_snapshots": days})


def test_three_months_go_from_the_first_day_to_the_last(quarter):
    # February ends on the 28th: three months before is the end of November.
    book = generate(quarter, "roll_rates", months=3)
    matrix = {(row["currency"], row["from_bucket"]): row for row in rows(book, "Matrix by balance")}
    assert set(matrix) == {("EUR", "current"), ("USD", "1-29")}
    assert (matrix["USD", "1-29"]["120+"], matrix["USD", "1-29"]["charged_off"]) == (0.75, 0.25)
    assert matrix["EUR", "current"]["current"] == 1.0
    assert table(book, "History together by count").no_data.startswith("no closed day up to the business date has")
    generator = get("roll_rates")
    assert generator.covers(generator.parameters(months=3), quarter) == [date(2024, 11, 30), FEB]
    for row in quarter.rows["loan_positions"]:
        if row["business_date"] == date(2024, 11, 30):
            row["business_date"] = date(2024, 11, 28)
    book = generate(quarter, "roll_rates", months=3)
    assert table(book, "Matrix by count").no_data == "no loan was active on 2024-11-30, or that day is not closed"


def test_an_unknown_scope_and_a_day_that_is_not_closed(report):
    with pytest.raises(LendingError, match="no portfolio 'P9'"):
        report("roll_rates", portfolio="P9")
    with pytest.raises(LendingError, match="has no 2025-02-27: the nearest closed days are"):
        report("roll_rates", as_of="2025-02-27")


def test_the_same_day_months_before():
    assert months_before(date(2025, 3, 31), 1) == date(2025, 2, 28)
    assert months_before(date(2024, 3, 31), 1) == date(2024, 2, 29)
    assert months_before(date(2025, 1, 15), 1) == date(2024, 12, 15)
    assert months_before(date(2025, 1, 15), 25) == date(2022, 12, 15)


def test_a_lenders_rates_add_up_to_one_and_its_loans_to_those_that_were_there(closed_home, home_source):
    book = generate(home_source, "roll_rates")
    day = book.as_of
    opening = [
        row
        for row in closed_home.rows("loan_positions", months_before(day, 1), months_before(day, 1))
        if row["status"] == "active"
    ]
    matrix = rows(book, "Matrix by balance")
    assert sum(row["opening_loans"] for row in matrix) == len(opening) > 0
    assert sum(row["opening_principal"] for row in matrix) == sum(row["principal_outstanding"] for row in opening)
    for title in ("Matrix by count", "Matrix by balance", "Directions by count", "Directions by balance"):
        for row in rows(book, title):
            rates = [value for name, value in row.items() if isinstance(value, float)]
            assert sum(rates) == pytest.approx(1.0)
    assert months_before(day, 1) in get("roll_rates").covers(get("roll_rates").parameters(), home_source)
