from datetime import date, datetime
from decimal import Decimal

import pytest

from lending_pipelines.exports.printed import clean, printed, total_row
from lending_pipelines.reports.book import ReportColumn


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (Decimal("1234567.80"), "money", "1,234,567.80"),
        (Decimal("-0.05"), "money", "−0.05"),
        (Decimal("99999999999999999999.99"), "money", "99,999,999,999,999,999,999.99"),
        (Decimal("0.068750"), "rate", "6.875%"),
        (Decimal("0.120000"), "rate", "12.00%"),
        (Decimal("-0.012345"), "rate", "−1.2345%"),
        (Decimal("12.5"), "rate", "1,250.00%"),
        (0.068751, "rate", "6.88%"),
        # What rounds to zero has no sign.
        (-0.0, "rate", "0.00%"),
        (-0.00004, "rate", "0.00%"),
        (Decimal("-0.0000001"), "rate", "0.00%"),
        (Decimal("-0.00"), "money", "0.00"),
        (-0.00004, "ratio", "0.0000"),
        (-0.004, "percent", "0.00%"),
        (1.5, "ratio", "1.5000"),
        (97.254, "percent", "97.25%"),
        (-1234, "count", "−1,234"),
        (date(2025, 1, 31), "date", "2025-01-31"),
        (datetime(2025, 2, 1, 4, 5, 6), "instant", "2025-02-01 04:05:06"),
        (True, "flag", "yes"),
        (False, "flag", "no"),
        ("a-1", "text", "a-1"),
        (None, "money", "–"),
        (None, "text", "–"),
        # A total's label stands in a column of any kind.
        ("Total EUR", "date", "Total EUR"),
    ],
)
def test_a_value_as_it_is_printed(value, kind, text):
    assert printed(value, kind) == text


def test_text_is_one_line_without_control_characters():
    assert clean("a\nb\tc\x07\x00\ud800é漢") == "a b c\ufffd\ufffd\ufffdé漢"


def test_a_total_is_named_with_its_currency_in_the_first_column():
    columns = (ReportColumn("loan_id", "Loan", "text"), ReportColumn("amount", "Amount", "money"))
    assert total_row(columns, {"currency": "EUR", "amount": 1}) == {
        "loan_id": "Total EUR",
        "currency": "EUR",
        "amount": 1,
    }
    assert total_row(columns, {"loan_id": "all late", "amount": 1}) == {"loan_id": "all late", "amount": 1}
    assert total_row(columns, {"amount": 1})["loan_id"] == "Total"
    by_currency = (ReportColumn("currency", "Currency", "text"), *columns[1:])
    assert total_row(by_currency, {"currency": "EUR", "amount": 1}) == {"currency": "Total EUR", "amount": 1}
