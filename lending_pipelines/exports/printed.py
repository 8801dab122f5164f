"""Values as printed on paper: the text of each kind of column, and of missing values.

Widths are computed in pdf_layout.py; number formats of spreadsheets are in xlsx_styles.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from lending_pipelines.reports.book import Kind, ReportColumn

MISSING = "–"
"""Printed for a missing value, because an empty cell could be a printing error."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printed(value: Any, kind: Kind) -> str:
    """The value as text: `−1,234.50`, `6.875%`, `2025-01-31`, `yes`; MISSING for None.

    A value that rounds to zero is printed without a sign.
    """
    if value is None:
        return MISSING
    return _PRINTERS[kind](value) if not isinstance(value, str) else clean(value)


def clean(text: str) -> str:
    """The text on one line, with � for control characters and invalid characters."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split("\n")).replace("\t", " "))


def total_row(columns: Sequence[ReportColumn], total: Mapping[str, Any]) -> dict[str, Any]:
    """The total by column name, with `Total EUR` in the first column unless the total has its own label."""
    first = columns[0].name
    label = " ".join(("Total", total.get("currency", ""))).strip()
    return {**total, first: label if first == "currency" else total.get(first, label)}


def _number(pattern: str) -> Callable[[Any], str]:
    # A typographic minus has the width of a digit, and lines do not break after it.
    return lambda value: pattern.format(value).replace("-", "−")


def _rate(value: Any) -> str:
    """A contractual rate such as 6.875 % is a decimal, printed exactly; a computed one is a double, printed rounded."""
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
    "number": _number("{:z,.1f}"),
    "count": _number("{:,}"),
    "date": str,
    "instant": "{:%Y-%m-%d %H:%M:%S}".format,
    "flag": lambda value: "yes" if value else "no",
}
