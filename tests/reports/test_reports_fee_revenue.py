"""Fees of February 2025 by hand, and on a whole lender's home against what loan_positions says was paid in fees."""

import pytest
from homes import DAYS, LAST
from revenue_lake import FEB_28, revenue_lake
from tiny_lake import generate, money, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.registry import get
from lending_pipelines.resources import LakeReportSource

SUMS = ("assessed", "waived", "net", "collected")


def amounts(row):
    return [row["fee_count"], *(str(row[name]) for name in SUMS)]


@pytest.fixture(scope="module")
def book():
    return generate(revenue_lake(), "fee_revenue")


def test_fees_count_on_the_days_of_what_happened_to_them(book):
    # USD: 10 + 6 + 15 assessed in February, the 6 waived; 20 of January's and the 15 paid. EUR: a correction.
    eur, usd = rows(book, "Summary")
    assert amounts(usd) == [3, "31.00", "6.00", "25.00", "35.00"]
    assert amounts(eur) == [1, "-5.00", "0.00", "-5.00", "0.00"]


def test_types_add_up_to_what_is_net(book):
    usd = [row for row in rows(book, "By type") if row["currency"] == "USD"]
    assert [(row["fee_type"], *amounts(row)) for row in usd] == [
        ("late", 1, "15.00", "0.00", "15.00", "15.00"),
        ("processing", 2, "16.00", "6.00", "10.00", "20.00"),
    ]
    assert [row["share"] for row in usd] == pytest.approx([15 / 25, 10 / 25])
    assert [str(total["net"]) for total in table(book, "By type").totals] == ["-5.00", "25.00"]
    assert [(row["product_id"], str(row["net"])) for row in rows(book, "By product")] == [
        ("A", "-5.00"),
        ("A", "15.00"),
        ("B", "10.00"),
    ]


def test_months_are_of_one_currency_and_grow_from_the_month_before(book):
    (usd,) = rows(book, "Monthly breakdown USD")
    assert (usd["month"], usd["length"], str(usd["net"])) == ("2025-02", 28, "25.00")
    # January: 20.00 net.
    assert usd["growth"] == pytest.approx(0.25)
    # Bars of a single month say nothing: the types are drawn, the currencies apart.
    assert [(chart.table, chart.currency) for chart in book.charts] == [("By type", "EUR"), ("By type", "USD")]
    assert table(book, "Monthly breakdown USD").printed_rows == 0


def test_a_longer_period_draws_its_months():
    book = generate(revenue_lake(), "fee_revenue", period="year")
    assert [chart.table for chart in book.charts] == ["Monthly breakdown EUR", "Monthly breakdown USD"]
    assert table(book, "Monthly breakdown USD").printed_rows is None


def test_a_source_without_fees_has_no_data_and_no_zeros():
    book = generate(revenue_lake(fees=[]), "fee_revenue")
    assert [t.title for t in book.tables] == ["Summary", "By type", "By product"]
    assert {t.no_data for t in book.tables} == {"the source has no fees"}
    assert (book.summary, list(book.charts)) == ({}, [])


def test_a_period_without_fees_is_zero_where_the_source_has_some():
    days = {"period": "custom", "from_date": "2025-02-27", "to_date": "2025-02-28"}
    book = generate(revenue_lake(), "fee_revenue", **days)
    assert [amounts(row) for row in rows(book, "Summary")] == [[0, "0.00", "0.00", "0.00", "0.00"]] * 2
    assert table(book, "By type").no_data == "no fee from 2025-02-27 to 2025-02-28"


def test_only_the_last_day_is_covered():
    generator = get("fee_revenue")
    assert generator.covers(generator.parameters(), revenue_lake()) == [FEB_28]


def test_net_is_assessed_less_waived_and_what_is_collected_is_what_positions_say_was_paid(closed_home):
    with closed_home.lake() as lake:
        book = generate(
            LakeReportSource(lake, Conventions()),
            "fee_revenue",
            period="custom",
            from_date=DAYS[1].isoformat(),
            to_date=LAST.isoformat(),
        )
    held = [
        *closed_home.rows("loan_positions", DAYS[0], DAYS[0]),
        *closed_home.rows("loan_positions", LAST, LAST),
    ]
    for row in rows(book, "Summary"):
        parts = [part for part in rows(book, "By type") if part["currency"] == row["currency"]]
        for name in SUMS:
            assert row[name] == sum((part[name] for part in parts), money("0.00"))
        assert row["net"] == row["assessed"] - row["waived"]
        paid = sum(
            position["fees_paid"] * (1 if position["business_date"] == LAST else -1)
            for position in held
            if position["currency"] == row["currency"]
        )
        assert row["collected"] == paid
    assert row["collected"] > 0
