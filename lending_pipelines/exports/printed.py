"""Values as people read them on paper: what a kind of column looks like, and what stands in the place of nothing.

How wide a value is belongs in pdf_layout.py; what a spreadsheet shows is its number format, in xlsx_styles.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from lending_pipelines.reports.book import Kind, ReportColumn

MISSING = "–"
"""Printed for a value that there is not: an empty cell could be a mistake of the printer."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printed(value: Any, kind: Kind) -> str:
    """The value as text: `−1,234.50`, `6.875%`, `2025-01-31`, `yes`; MISSING for None.

    A value that rounds to zero is printed without a sign.
    """
    if value is None:
        return MISSING
    return _PRINTERS[kind](value) if not isinstance(value, str) else clean(value)


def clean(text: str) -> str:
    """The text on one line, with � for control characters and what is no character."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split("\n")).replace("\t", " "))


def total_row(columns: Sequence[ReportColumn], total: Mapping[str, Any]) -> dict[str, Any]:
    """The total by column name, with `Total EUR` in the first column unless the total says what stands there."""
    first = columns[0].name
    label = " ".join(("Total", total.get("currency", ""))).strip()
    return {**total, first: label if first == "currency" else total.get(first, label)}


def _number(pattern: str) -> Callable[[Any], str]:
    # A typographic minus is as wide as a digit's plus, and no line breaks after it.
    return lambda value: pattern.format(value).replace("-", "−")


def _rate(value: Any) -> str:
    """A contractual rate such as 6.875 % is a decimal and shown whole; a computed one is a double and rounded."""
    if isinstance(value, Decimal):
        whole, _, decimals = f"{100 * value:z,.4f}".partition(".")
        return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}%".replace("-", "−")
    return _number("{:z,.2%}")(value)


_PRINTERS: dict[Kind, Callable[[Any], str]] = {
    "text": str,
    "money": _number("{:z,.2f}"),
    "rate": _rate,
    "ratio": _number("{:z,.4f}"),
    "percent": _number("{:z,.2f}%"),
    "count": _number("{:,}"),
    "date": str,
    "instant": "{:%Y-%m-%d %H:%M:%S}".format,
    "flag": lambda value: "yes" if value else "no",
}
