"""Processing fees of February 2025 by hand: their sizes, months, trend, and the blocks of their JSON."""

import io
import json

import pytest
from revenue_lake import LONG_NAME, fee, revenue_lake
from tiny_lake import generate, rows

from lending_pipelines.exports.json import write_book


@pytest.fixture
def book():
    return generate(revenue_lake(), "processing_fees", trend_months=2)


def test_sizes_are_of_the_fees_assessed_and_of_each_loan_charged_once(book):
    eur, usd = rows(book, "Summary")
    # USD: 10 and 6, both of L2, which was lent 500; the late fee is another report's.
    assert [str(usd[name]) for name in ("assessed", "average_fee", "smallest_fee", "largest_fee", "principal")] == [
        "16.00",
        "8.00",
        "6.00",
        "10.00",
        "500.00",
    ]
    assert (usd["fee_count"], usd["fee_to_principal"]) == (2, pytest.approx(16 / 500))
    assert [str(usd[name]) for name in ("waived", "net", "collected")] == ["6.00", "10.00", "20.00"]
    assert (str(eur["assessed"]), eur["fee_to_principal"]) == ("-5.00", pytest.approx(-5 / 800))


def test_months_grow_from_each_other_and_those_before_the_first_loan_have_none(book):
    usd = rows(book, "Trend USD")
    assert [(row["month"], str(row["assessed"]), row["growth"]) for row in usd] == [
        ("2025-01", "20.00", None),
        ("2025-02", "16.00", pytest.approx(-0.2)),
    ]
    eur = rows(book, "Trend EUR")
    assert [row["growth"] for row in eur] == [None, pytest.approx(-45 / 40)]
    longer = rows(generate(revenue_lake(), "processing_fees", trend_months=3), "Trend USD")
    assert (longer[0]["month"], longer[0]["assessed"], longer[0]["fee_count"]) == ("2024-12", None, None)


def test_peak_and_lowest_are_whole_months(book):
    usd = rows(book, "Peak and lowest month")[1]
    assert [str(usd[name]) for name in ("peak_month", "peak", "lowest_month", "lowest")] == [
        "2025-01",
        "20.00",
        "2025-02",
        "16.00",
    ]
    cut = generate(revenue_lake(), "processing_fees", period="custom", from_date="2025-02-01", to_date="2025-02-14")
    assert rows(cut, "Peak and lowest month")[1]["lowest_month"] == "2025-01"


def test_growth_against_nothing_is_not_known():
    book = generate(revenue_lake(fees=[fee(1, "L2", "processing", "10.00", "2025-02-10")]), "processing_fees")
    usd = next(row for row in rows(book, "Against the previous period") if row["currency"] == "USD")
    assert [str(usd[name]) for name in ("measure", "current", "previous", "change", "growth")] == [
        "Assessed",
        "10.00",
        "0.00",
        "10.00",
        "None",
    ]


def test_products_share_what_was_assessed(book):
    assert [
        (row["currency"], row["product_id"], str(row["assessed"]), row["share"]) for row in rows(book, "By product")
    ] == [
        ("EUR", "A", "-5.00", 1.0),
        # Of January's fee of L1, paid in February.
        ("USD", "A", "0.00", 0.0),
        ("USD", "B", "16.00", 1.0),
    ]


def test_the_json_has_its_blocks(book):
    file = io.BytesIO()
    write_book(book, file)
    blocks = json.loads(file.getvalue())
    assert list(book.blocks) == [
        "period",
        "performance_metrics",
        "product_breakdown",
        "monthly_breakdown",
        "trend_analysis",
    ]
    assert blocks["report_type"] == "processing_fees"
    assert blocks["period"] == {
        "start_date": "2025-02-01",
        "end_date": "2025-02-28",
        "period_name": "current_month",
        "period_display": "February 2025",
    }
    assert blocks["summary"]["USD"]["assessed"] == "16.00"
    metrics = blocks["performance_metrics"]["USD"]
    assert metrics["fee_to_principal"] == pytest.approx(16 / 500)
    assert metrics["previous_period"]["start_date"] == "2025-01-04"
    assert metrics["comparison"][0] == {
        "currency": "USD",
        "measure": "Assessed",
        "current": "16.00",
        "previous": "20.00",
        "change": "-4.00",
        "growth": pytest.approx(-0.2),
    }
    assert [row["product_name"] for row in blocks["product_breakdown"]] == ["Ratenkredit", "Ratenkredit", LONG_NAME]
    assert [row["month"] for row in blocks["monthly_breakdown"]["USD"]] == ["2025-02"]
    trend = blocks["trend_analysis"]["USD"]
    assert (trend["peak_month"], trend["lowest"], len(trend["months"])) == ("2025-01", "16.00", 2)


def test_a_branch_narrows_and_a_currency_without_its_loans_is_left_out():
    book = generate(revenue_lake(), "processing_fees", branch="Nord")
    assert [row["currency"] for row in rows(book, "Summary")] == ["USD"]


def test_without_fees_the_blocks_are_there_and_empty():
    book = generate(revenue_lake(fees=[]), "processing_fees")
    assert (book.summary, book.blocks["product_breakdown"], book.blocks["trend_analysis"]) == ({}, [], {})
