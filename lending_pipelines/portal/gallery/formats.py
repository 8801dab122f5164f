"""Formats of the gallery's numbers and dates."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any


def _money(value: Any, currency: str = "") -> str:
    return f"{_number(value, 2)} {currency}".rstrip()


def _number(value: Any, decimals: int = 0) -> str:
    return f"{value:,.{decimals}f}".replace("-", "−")


def _percent(value: Any) -> str:
    return f"{_number(value * 100, 2)}%"


def _day(value: date) -> str:
    return f"{value:%-d %b %Y}"


def _when(value: datetime) -> str:
    return f"{value:%-d %b %Y, %H:%M}"


FILTERS: dict[str, Callable[..., str]] = {
    "money": _money,
    "number": _number,
    "percent": _percent,
    "day": _day,
    "when": _when,
}
"""The filters by name."""
