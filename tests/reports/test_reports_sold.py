"""A sold portfolio is marked in a report that is about it, from the day of its sale on."""

from datetime import date

import pandas as pd
import pytest

from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.sold import SoldPortfolio, marked

COLUMNS = (ReportColumn("scope_id", "Scope ID", "text"), ReportColumn("name", "Name", "text"))
SALE = SoldPortfolio("P1", "Auto", "Cedar Fund", date(2025, 1, 31))


def book(as_of, portfolio="ALL"):
    rows = pd.DataFrame([("P1", "Auto"), ("P2", "Homes")], columns=["scope_id", "name"])
    return ReportBook(
        "test", "Test", {"portfolio": portfolio}, {}, as_of, {}, [ReportTable("By portfolio", COLUMNS, rows)]
    )


@pytest.mark.parametrize("as_of", [date(2025, 1, 31), date(2025, 2, 28)])
def test_its_name_and_the_first_page_say_so(as_of):
    found = marked(book(as_of), [SALE])
    assert found.tables[0].frame["name"].tolist() == ["Auto (sold 2025-01-31)", "Homes"]
    assert found.alerts == found.notes == ["Portfolio Auto was sold to Cedar Fund on 2025-01-31."]


def test_a_report_of_the_day_before_says_nothing():
    before = book(date(2025, 1, 30))
    assert marked(before, [SALE]) is before


def test_a_report_on_the_portfolio_alone_says_so_too():
    alone = ReportBook("test", "Test", {"portfolio": "auto"}, {}, date(2025, 2, 1), {}, [])
    assert marked(alone, [SALE]).alerts == ["Portfolio Auto was sold to Cedar Fund on 2025-01-31."]


def test_a_report_without_the_portfolio_says_nothing():
    other = SoldPortfolio("P9", "Boats", "Cedar Fund", date(2025, 1, 31))
    assert marked(book(date(2025, 2, 28)), [other]).alerts == ()
