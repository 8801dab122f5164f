"""Numbers and dates as written in several countries (CLDR's patterns), and values that are missing."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.web.formats import LOCALES, Formats


@pytest.mark.parametrize(
    ("locale", "money", "percent", "day"),
    [
        ("en", "1,234,567.50\u00a0EUR", "12.35%", "2025-03-14"),
        ("en-US", "1,234,567.50\u00a0EUR", "12.35%", "03/14/2025"),
        ("en-GB", "1,234,567.50\u00a0EUR", "12.35%", "14/03/2025"),
        ("de", "1.234.567,50\u00a0EUR", "12,35\u00a0%", "14.03.2025"),
        ("de-CH", "1’234’567.50\u00a0EUR", "12.35%", "14.03.2025"),
        ("fr", "1\u202f234\u202f567,50\u00a0EUR", "12,35\u202f%", "14/03/2025"),
        ("nl", "1.234.567,50\u00a0EUR", "12,35%", "14-03-2025"),
        ("sv", "1\u00a0234\u00a0567,50\u00a0EUR", "12,35\u00a0%", "2025-03-14"),
    ],
)
def test_the_locale_decides_how_values_are_written(locale, money, percent, day):
    formats = Formats(locale, "UTC")
    assert formats.money(Decimal("1234567.5"), "EUR") == money
    assert formats.percent(0.12351) == percent
    assert formats.day(date(2025, 3, 14)) == day


def test_signs_rounding_and_missing_values():
    formats = Formats("en", "UTC")
    assert formats.money(Decimal("-0.5")) == "−0.50"
    assert formats.number(-0.4) == "0"
    assert formats.number(1234, signed=True) == "+1,234"
    assert formats.number(0, signed=True) == "0"
    assert formats.percent(-0.05, 1, signed=True) == "−5.0%"
    assert {formats.money(None, "EUR"), formats.number(float("nan")), formats.percent(None), formats.day(None)} == {"–"}
    assert formats.money(Decimal("9999999999999999.99")) == "9,999,999,999,999,999.99"


def test_times_are_those_of_the_lenders_time_zone():
    formats = Formats("en-GB", "Europe/Amsterdam")
    assert formats.when(datetime(2025, 7, 1, 22, 30, tzinfo=UTC)) == "02/07/2025 00:30"
    assert formats.when(datetime(2025, 1, 1, 12, 0)) == "01/01/2025 13:00"


def test_an_unknown_locale_is_refused():
    with pytest.raises(LendingError, match="LENDING_LOCALE is 'xx'"):
        Formats("xx", "UTC")
    assert all(Formats(locale, "UTC").number(1) == "1" for locale in LOCALES)
