"""Interest of February 2025 over months, by hand, and the blocks of its JSON; on a whole lender's home, its months."""

import json
from datetime import date

import pytest
from homes import DAYS, LAST
from revenue_lake import FEB_14, FEB_28, JAN_31, POSITIONS, position, revenue_lake
from tiny_lake import generate, money, rows

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.registry import get
from lending_pipelines.resources import LakeReportSource


@pytest.fixture(scope="module")
def book():
    return generate(revenue_lake(), "interest_analytics", trend_months=2)


def test_a_month_of_the_book_is_annualised_by_its_own_days(book):
    january, february = rows(book, "Trend USD")
    # L1 earned 7.00 from 10 to 31 January, 22 days, with 1,000 outstanding; in February all earned 16.00 with 1,400.
    assert (str(january["earned"]), january["growth"]) == ("7.00", None)
    assert january["effective_rate"] == pytest.approx(7 * 365 / 22 / 1000)
    assert (str(february["earned"]), february["growth"]) == ("16.00", pytest.approx(9 / 7))
    assert february["effective_rate"] == pytest.approx(16 * 365 / 28 / 1400)


def test_a_month_whose_days_are_not_closed_is_not_known_and_neither_is_the_growth_after_it():
    without = [row for row in POSITIONS if row["business_date"] != JAN_31]
    book = generate(revenue_lake(loan_positions=without), "interest_analytics", trend_months=2)
    assert [(row["earned"], row["growth"]) for row in rows(book, "Trend USD")] == [(None, None)] * 2
    lines = rows(book, "Against the previous period")
    assert {row["change"] for row in lines if row["measure"] != "Loan volume"} == {None}
    assert [table.no_data for table in book.tables if table.title == "Peak and lowest month"] == [
        "no full month of the trend is known"
    ]


def test_a_month_is_compared_with_the_calendar_one_before(book):
    lines = [row for row in rows(book, "Against the previous period") if row["currency"] == "USD"]
    assert [str(lines[0][name]) for name in ("measure", "current", "previous", "change")] == [
        "Earned",
        "16.00",
        "7.00",
        "9.00",
    ]
    # L2's 500 in February, L1's 1,000 in January.
    assert [str(lines[-1][name]) for name in ("measure", "current", "previous", "growth")] == [
        "Loan volume",
        "500.00",
        "1000.00",
        "-0.5",
    ]
    assert "The previous period is 2025-01-01 to 2025-01-31." in book.notes


def test_months_count_the_loans_active_at_their_end(book):
    assert [row["active_loans"] for row in rows(book, "Trend USD")] == [1, 2]
    # L3 is charged off in February.
    assert [row["active_loans"] for row in rows(book, "Trend EUR")] == [1, 0]
    counts = [row for row in rows(book, "Counts against the previous period") if row["currency"] == "USD"]
    assert [(row["measure"], row["current"], row["previous"], row["growth"]) for row in counts] == [
        ("Active loans at the end", 2, 1, 1.0),
        ("Loans disbursed", 1, 1, 0.0),
    ]


def test_every_table_gives_a_running_month_the_same_growth():
    early = {**POSITIONS[0], "business_date": date(2025, 1, 14), "interest_earned": money("2.00")}
    lake = revenue_lake(loan_positions=[early, *POSITIONS])
    book = generate(lake, "interest_analytics", as_of="2025-02-14", trend_months=2)
    # Earned by 14 February: 12.00 - 7.00 on L1 and 1.40 on L2; by 14 January 2.00, by 31 January 7.00.
    line = next(row for row in rows(book, "Against the previous period") if row["currency"] == "USD")
    assert (str(line["current"]), str(line["previous"])) == ("6.40", "2.00")
    (month,), (_, trend) = rows(book, "Monthly breakdown USD"), rows(book, "Trend USD")
    assert [row["growth"] for row in (line, month, trend)] == [pytest.approx(4.4 / 2)] * 3


def test_the_json_names_months(book):
    assert (book.blocks["period"]["month"], book.blocks["period"]["month_name"]) == ("2025-02", "February 2025")
    months = book.blocks["trend_analysis"]["USD"]["months"]
    assert [(row["month"], row["month_name"], row["active_loans"]) for row in months] == [
        ("2025-01", "January 2025", 1),
        ("2025-02", "February 2025", 2),
    ]
    metrics = book.blocks["performance_metrics"]["USD"]
    assert (metrics["growth"], metrics["loan_volume_growth"]) == (pytest.approx(9 / 7), -0.5)


def test_a_month_is_chosen_by_name():
    book = generate(revenue_lake(), "interest_analytics", period="month", month="2025-01")
    assert [(row["currency"], str(row["earned"])) for row in rows(book, "Summary")] == [
        ("EUR", "5.60"),
        ("USD", "7.00"),
    ]


def test_a_loan_that_pays_ahead_has_a_positive_variance():
    ahead = [*POSITIONS[:-3], position(FEB_28, "L1", "900.00", "17.00", "30.00"), *POSITIONS[-2:]]
    book = generate(revenue_lake(loan_positions=ahead), "interest_analytics")
    (loan,) = [row for row in rows(book, "By loan") if row["loan_id"] == "L1"]
    assert [str(loan[name]) for name in ("earned", "collected", "variance")] == ["10.00", "30.00", "20.00"]
    assert (loan["contract_days"], loan["days_on_book"]) == (365, 49)


def test_the_json_has_its_blocks(book):
    blocks = json.loads(json.dumps(book.blocks))
    assert list(blocks) == [
        "period",
        "performance_metrics",
        "product_breakdown",
        "interest_rate_analysis",
        "monthly_breakdown",
        "trend_analysis",
    ]
    assert [(row["currency"], row["rate_from"], row["earned"]) for row in blocks["interest_rate_analysis"]] == [
        ("EUR", 0.1, "4.40"),
        ("USD", 0.1, "10.00"),
        ("USD", 0.2, "6.00"),
    ]
    assert blocks["performance_metrics"]["USD"]["effective_rate"] == pytest.approx(16 * 365 / 28 / 1400)
    assert blocks["trend_analysis"]["USD"]["peak_month"] == "2025-02"


def test_the_days_covered_reach_back_to_the_trend():
    generator = get("interest_analytics")
    assert generator.covers(generator.parameters(trend_months=2), revenue_lake()) == [JAN_31, FEB_14, FEB_28]


def test_months_add_up_to_the_period(closed_home):
    with closed_home.lake() as lake:
        book = generate(
            LakeReportSource(lake, Conventions()),
            "interest_analytics",
            period="custom",
            from_date=DAYS[1].isoformat(),
            to_date=LAST.isoformat(),
        )
    for row in rows(book, "Summary"):
        months = rows(book, f"Monthly breakdown {row['currency']}")
        assert [month["month"] for month in months] == ["2025-02", "2025-03"]
        for name in ("earned", "collected", "variance"):
            assert sum(month[name] for month in months) == row[name]
        assert months[-1]["receivable"] == row["receivable"]
        assert row["earned"] > 0
