"""Interest and fees of February 2025 together, by hand, and on a whole lender's home against their own reports."""

import json

import pytest
from homes import DAYS, LAST
from revenue_lake import FEES, JAN_31, POSITIONS, revenue_lake
from tiny_lake import generate, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.resources import LakeReportSource

SUMS = ("total", "interest", "fee_revenue", "total_collected", "interest_collected", "fees_collected")


@pytest.fixture(scope="module")
def book():
    return generate(revenue_lake(), "combined_revenue", trend_months=2)


def amounts(row):
    return [str(row[name]) for name in SUMS]


def test_the_total_is_interest_earned_and_fees_net(book):
    eur, usd = rows(book, "Summary")
    assert amounts(usd) == ["41.00", "16.00", "25.00", "45.00", "10.00", "35.00"]
    assert amounts(eur) == ["-0.60", "4.40", "-5.00", "0.00", "0.00", "0.00"]


def test_the_composition_names_interest_and_each_type_of_fee(book):
    usd = [row for row in rows(book, "Composition") if row["currency"] == "USD"]
    assert [(row["component"], str(row["revenue"])) for row in usd] == [
        ("interest", "16.00"),
        ("late fees", "15.00"),
        ("processing fees", "10.00"),
    ]
    assert [row["share"] for row in usd] == pytest.approx([16 / 41, 15 / 41, 10 / 41])
    assert [str(total["revenue"]) for total in table(book, "Composition").totals] == ["-0.60", "41.00"]


def test_products_have_both(book):
    usd = [row for row in rows(book, "By product") if row["currency"] == "USD"]
    # A: L1 earned 10 and was charged 15; B: L2 earned 6 and was charged 10.
    assert [(row["product_id"], amounts(row)[:3]) for row in usd] == [
        ("A", ["25.00", "10.00", "15.00"]),
        ("B", ["16.00", "6.00", "10.00"]),
    ]


def test_the_trend_is_of_the_total(book):
    january, february = rows(book, "Trend USD")
    assert (str(january["total"]), str(february["total"])) == ("27.00", "41.00")
    assert february["growth"] == pytest.approx(14 / 27)
    assert [(chart.kind, chart.y) for chart in book.charts] == [("stacked", ("interest", "fee_revenue"))] * 2
    assert json.loads(json.dumps(book.blocks))["trend_analysis"]["USD"]["peak_month"] == "2025-02"


def test_a_product_without_fees_has_none_where_the_source_has_fees():
    book = generate(revenue_lake(fees=FEES[4:5]), "combined_revenue")
    found = {(row["currency"], row["product_id"]): str(row["fee_revenue"]) for row in rows(book, "By product")}
    assert found == {("EUR", "A"): "0.00", ("USD", "A"): "15.00", ("USD", "B"): "0.00"}


def test_without_fees_the_total_is_not_known_and_interest_is():
    book = generate(revenue_lake(fees=[]), "combined_revenue")
    assert [row["total"] for row in rows(book, "Summary")] == [None, None]
    assert [str(row["interest"]) for row in rows(book, "Summary")] == ["4.40", "16.00"]
    assert [(row["component"], row["share"]) for row in rows(book, "Composition")] == [
        ("interest", None),
        ("fees", None),
    ] * 2
    assert "The source has no fees." in book.notes


def test_without_the_day_before_the_total_is_not_known_and_fees_are():
    without = [row for row in POSITIONS if row["business_date"] != JAN_31]
    usd = rows(generate(revenue_lake(loan_positions=without), "combined_revenue"), "Summary")[1]
    assert amounts(usd) == ["None", "None", "25.00", "None", "None", "35.00"]


def test_it_is_the_sum_of_the_reports_on_interest_and_on_fees(closed_home):
    days = {"period": "custom", "from_date": DAYS[1].isoformat(), "to_date": LAST.isoformat()}
    with closed_home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        names = ("combined_revenue", "interest_income", "fee_revenue")
        both, interest, fees = (rows(generate(source, name, **days), "Summary") for name in names)
    for whole, earned, charged in zip(both, interest, fees, strict=True):
        assert whole["currency"] == earned["currency"] == charged["currency"]
        assert whole["total"] == earned["earned"] + charged["net"] > 0
        assert whole["total_collected"] == earned["collected"] + charged["collected"]
