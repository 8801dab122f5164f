from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get


def titles(book):
    return [table.title for table in book.tables]


def test_a_currency_is_a_row_and_never_added_to_another(report, rows):
    summary = rows(report("portfolio_summary"), "Summary")
    assert [(row["currency"], row["total_balance"], row["loan_count"]) for row in summary] == [
        ("EUR", Decimal("300.00"), 1),
        ("USD", Decimal("700.00"), 3),
    ]
    assert summary[1]["par_30"] == pytest.approx(600 / 700)
    assert summary[0]["irr"] is None
    assert summary[0]["irr_reason"] == "no sign change"


def test_irr_with_residual_comes_before_the_irr_of_the_cash_alone(report):
    book = report("portfolio_summary")
    names = [column.name for column in book.tables[0].columns if column.name.startswith("irr")]
    assert names == ["irr_with_residual", "irr", "irr_reason"]
    assert [name for name in book.summary["EUR"] if name.startswith("irr")] == ["irr_with_residual", "irr"]


def test_the_breakdown_is_by_portfolio_with_totals_per_currency(report, rows):
    book = report("portfolio_summary")
    assert [(row["scope_id"], row["name"]) for row in rows(book, "By portfolio")] == [
        ("P1", "Consumer North"),
        ("P2", "=Øst"),
    ]
    totals = next(table.totals for table in book.tables if table.title == "By portfolio")
    assert [(row["currency"], row["total_balance"]) for row in totals] == [
        ("EUR", Decimal("300.00")),
        ("USD", Decimal("300.00")),
    ]
    assert "Loans without a portfolio are in the summary but not in the breakdown." in book.notes


def test_a_breakdown_that_nothing_has_says_no_data(report):
    table = next(t for t in report("portfolio_summary", by="investor").tables if t.title == "By investor")
    assert table.frame.empty
    assert table.no_data == "no loan has its investor recorded on 2025-02-28"


def test_the_history_holds_month_ends_per_currency_with_charts(report, rows):
    book = report("portfolio_summary")
    assert [(row["business_date"], row["total_balance"]) for row in rows(book, "History USD")] == [
        (date(2025, 1, 31), Decimal("1000.00")),
        (date(2025, 2, 28), Decimal("700.00")),
    ]
    assert [row["business_date"] for row in rows(book, "History EUR")] == [date(2025, 2, 28)]
    assert [(chart.table, chart.y[0]) for chart in book.charts] == [
        ("History EUR", "total_balance"),
        ("History EUR", "par_30"),
        ("History USD", "total_balance"),
        ("History USD", "par_30"),
    ]


def test_a_history_of_days_holds_each_closed_day(report, rows):
    history = rows(report("portfolio_summary", history_step="day", history=2), "History USD")
    assert [row["business_date"] for row in history] == [date(2025, 2, 15), date(2025, 2, 28)]


@pytest.mark.parametrize("wanted", ["P1", "p1", "Consumer North", "consumer north"])
def test_a_portfolio_is_found_by_id_or_name(report, rows, wanted):
    book = report("portfolio_summary", portfolio=wanted)
    assert book.title == "Portfolio summary: portfolio Consumer North"
    assert titles(book) == ["Summary", "Aging", "History USD"]
    assert [row["total_balance"] for row in rows(book, "Summary")] == [Decimal("300.00")]
    assert [row["bucket"] for row in rows(book, "Aging") if row["loan_count"]] == ["current", "30-59"]


def test_an_unknown_portfolio_gets_near_names(report):
    with pytest.raises(LendingError, match="no portfolio 'Consumer Nort' on 2025-02-28; did you mean 'Consumer North'"):
        report("portfolio_summary", portfolio="Consumer Nort")
    with pytest.raises(LendingError, match="no investor has loans on that day"):
        report("portfolio_summary", investor="I9")


def test_the_summary_is_plain_json(report):
    assert report("portfolio_summary").summary["EUR"] == {
        "loan_count": 1,
        "total_balance": "300.00",
        "past_due_amount": "30.00",
        "par_30": 0.0,
        "par_60": 0.0,
        "par_90": 0.0,
        "irr_with_residual": None,
        "irr": None,
    }


def test_the_dates_covered_are_those_printed(lake):
    generator = get("portfolio_summary")
    assert generator.covers(generator.parameters(history_step="day"), lake) == [
        date(2025, 1, 31),
        date(2025, 2, 15),
        date(2025, 2, 28),
    ]


def test_the_book_says_where_its_numbers_come_from(report):
    book = report("portfolio_summary")
    assert book.as_of == date(2025, 2, 28)
    assert book.parameters["as_of"] == "latest"
    assert book.conventions["par_operator"] == ">="
    assert book.data_versions == {"aging_buckets": 7, "portfolio_snapshots": 7}
