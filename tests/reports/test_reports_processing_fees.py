"""Processing fees of February 2025 by hand: their sizes, months, trend, and the blocks of their JSON."""

import io
import json

import pytest
from revenue_lake import FEES, LONG_NAME, fee, revenue_lake
from tiny_lake import generate, rows

from lending_pipelines.exports.json import write_book


@pytest.fixture(scope="module")
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


def test_months_have_the_loans_charged_their_average_fee_and_its_share_of_principal(book):
    # January: 20.00 on L1, lent 1,000, and 40.00 on L3, lent 800. February: 10.00 and 6.00 on L2, lent 500.
    names = ("fee_count", "loan_count", "average_fee", "fee_to_principal", "loan_volume", "loans_disbursed")
    january, february = rows(book, "Trend USD")
    assert [str(january[name]) for name in names] == ["1", "1", "20.00", "0.02", "1000.00", "1"]
    assert [str(february[name]) for name in names] == ["2", "1", "8.00", "0.032", "500.00", "1"]
    january, february = rows(book, "Trend EUR")
    assert [str(january[name]) for name in names] == ["1", "1", "40.00", "0.05", "800.00", "1"]
    assert [str(february[name]) for name in names] == ["1", "1", "-5.00", "-0.00625", "0.00", "0"]
    assert february["loan_volume_growth"] == -1.0


def test_a_month_without_fees_has_no_average(book):
    without = [row for row in FEES if row["fee_id"] not in ("F3", "F4")]
    february = rows(generate(revenue_lake(fees=without), "processing_fees"), "Monthly breakdown USD")[0]
    names = ("assessed", "fee_count", "loan_count", "average_fee", "fee_to_principal", "loan_volume")
    assert [str(february[name]) for name in names] == ["0.00", "0", "0", "None", "None", "500.00"]


def test_loans_charged_are_counted_once_in_every_table(book):
    # L2 has two fees in February.
    assert [(row["currency"], row["fee_count"], row["loan_count"]) for row in rows(book, "Summary")] == [
        ("EUR", 1, 1),
        ("USD", 2, 1),
    ]
    assert [(row["product_id"], row["loan_count"]) for row in rows(book, "By product")] == [
        ("A", 1),
        ("A", 0),
        ("B", 1),
    ]


def test_a_running_month_grows_from_the_same_days_of_the_month_before_in_every_table():
    # By 14 February 16.00 was assessed; by 14 January 20.00, and 12.00 more later in January.
    lake = revenue_lake(fees=[*FEES, fee(8, "L1", "processing", "12.00", "2025-01-20")])
    book = generate(lake, "processing_fees", as_of="2025-02-14", trend_months=2)
    (total, *_) = [row for row in rows(book, "Against the previous period") if row["currency"] == "USD"]
    assert [str(total[name]) for name in ("current", "previous")] == ["16.00", "20.00"]
    (month,), (january, february) = rows(book, "Monthly breakdown USD"), rows(book, "Trend USD")
    assert [row["growth"] for row in (total, month, february)] == [pytest.approx(-0.2)] * 3
    assert (str(january["assessed"]), january["length"], february["length"]) == ("32.00", 31, 14)
    assert "The previous period is 2025-01-01 to 2025-01-14." in book.notes


def test_counts_are_compared_apart(book):
    usd = [row for row in rows(book, "Counts against the previous period") if row["currency"] == "USD"]
    assert [(row["measure"], row["current"], row["previous"], row["change"], row["growth"]) for row in usd] == [
        ("Fees", 2, 1, 1, 1.0),
        ("Loans charged", 1, 1, 0, 0.0),
        ("Loans disbursed", 1, 1, 0, 0.0),
    ]


def test_a_month_is_chosen_by_name():
    book = generate(revenue_lake(), "processing_fees", period="month", month="2025-01")
    assert (book.blocks["period"]["month"], book.blocks["period"]["period_name"]) == ("2025-01", "month")
    assert {name: row["assessed"] for name, row in book.summary.items()} == {"EUR": "40.00", "USD": "20.00"}


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
        "month": "2025-02",
        "month_name": "February 2025",
    }
    assert blocks["summary"]["USD"]["assessed"] == "16.00"
    metrics = blocks["performance_metrics"]["USD"]
    assert metrics["fee_to_principal"] == pytest.approx(16 / 500)
    assert metrics["previous_period"]["period_display"] == "January 2025"
    # 500 lent in February against 1,000 in January.
    assert (metrics["growth"], metrics["loan_volume_growth"]) == (pytest.approx(-0.2), -0.5)
    assert metrics["comparison"][0] == {
        "currency": "USD",
        "measure": "Assessed",
        "current": "16.00",
        "previous": "20.00",
        "change": "-4.00",
        "growth": pytest.approx(-0.2),
    }
    assert [row["product_name"] for row in blocks["product_breakdown"]] == ["Ratenkredit", "Ratenkredit", LONG_NAME]
    (february,) = blocks["monthly_breakdown"]["USD"]
    assert february == {
        "month": "2025-02",
        "month_name": "February 2025",
        "length": 28,
        "assessed": "16.00",
        "waived": "6.00",
        "net": "10.00",
        "collected": "20.00",
        "fee_count": 2,
        "loan_count": 1,
        "average_fee": "8.00",
        "fee_to_principal": pytest.approx(16 / 500),
        "growth": pytest.approx(-0.2),
        "loan_volume": "500.00",
        "loans_disbursed": 1,
        "loan_volume_growth": -0.5,
    }
    trend = blocks["trend_analysis"]["USD"]
    assert (trend["peak_month"], trend["lowest"]) == ("2025-01", "16.00")
    assert [month["month_name"] for month in trend["months"]] == ["January 2025", "February 2025"]


def test_a_branch_narrows_and_a_currency_without_its_loans_is_left_out():
    book = generate(revenue_lake(), "processing_fees", branch="Nord")
    assert [row["currency"] for row in rows(book, "Summary")] == ["USD"]


def test_without_fees_the_blocks_are_there_and_empty():
    book = generate(revenue_lake(fees=[]), "processing_fees")
    assert (book.summary, book.blocks["product_breakdown"], book.blocks["trend_analysis"]) == ({}, [], {})
