"""The value formats of tape standards: a pattern for valid values, and the conversion of a field's values to text.

A format has the standard's name (`MONETARY`, `DATE_TYPE`, `9(11).99`). Sources: Annex I of Implementing Regulation (EU)
2020/1225 (ESMA); the ECB's loan-level data templates; the XML schemas of Form ABS-EE (SEC).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import ibis.expr.types as ir

from lending_pipelines.errors import LendingError

_HUNDRED = 100
_MINUS = "-?"
"""The beginning of the pattern of every number."""


@dataclass(frozen=True)
class Format:
    """A regular expression that matches a complete value (for re and Arrow's RE2), and the conversion to text."""

    pattern: str
    text: Callable[[ir.Value], ir.StringValue]

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers: only numbers may start with a minus."""
        return self.pattern.startswith(_MINUS)


def format_of(name: str) -> Format:
    """The format with that name. Raises LendingError when there is none."""
    for spelling, make in _FORMATS.items():
        if match := re.fullmatch(spelling, name):
            return make(*match.groups())
    raise LendingError(f"unknown template format {name!r}")


def _plain(value: ir.Value) -> ir.StringValue:
    return value.cast("string")


def _upper(value: ir.Value) -> ir.StringValue:
    return _plain(value).upper()


def _date(layout: str) -> Callable[[ir.Value], ir.StringValue]:
    return lambda value: value.strftime(layout)


def _flag(yes: str, no: str) -> Callable[[ir.Value], ir.StringValue]:
    return lambda value: value.ifelse(yes, no)


def _percent(places: int) -> Callable[[ir.Value], ir.StringValue]:
    """A fraction as a percentage without the percent sign."""
    return lambda value: (value * _HUNDRED).cast(f"decimal(18, {places})").cast("string")


def _number(digits: int, places: int) -> str:
    return f"{_MINUS}[0-9]{{1,{digits}}}(\\.[0-9]{{1,{places}}})?"


def _decimals(integer_digits: str | None, places: str | None) -> Format:
    """The ECB's number formats: 9(11).99 is money; others with decimals are percentages or months."""
    digits, decimals = int(integer_digits or 0), int(places or 2)
    pattern = _number(digits, decimals)
    return Format(pattern, _plain if digits in (11, 5, 2) else _percent(min(decimals, 6)))


_ISO_DAY = Format("[0-9]{4}-[0-9]{2}-[0-9]{2}", _date("%Y-%m-%d"))
_YES_NO = Format("[YN]", _flag("Y", "N"))
_ANY_CODE = Format("[A-Z0-9]{1,4}", _plain)

_FORMATS: dict[str, Callable[..., Format]] = {
    # ESMA
    "ALPHANUM-([0-9]+)": lambda most: Format(f"[ -`{{-~]{{1,{min(int(most), 1000)}}}", _upper),
    "COUNTRYCODE_2": lambda: Format("[A-Z]{2}", _upper),
    "CURRENCYCODE_3": lambda: Format("[A-Z]{3}", _upper),
    "DATEFORMAT": lambda: _ISO_DAY,
    "INTEGER-9999": lambda: Format(f"{_MINUS}[0-9]{{1,4}}", _plain),
    "LEI": lambda: Format("[A-Z0-9]{18}[0-9]{2}", _upper),
    "LIST": lambda: _ANY_CODE,
    "MONETARY": lambda: Format(_number(16, 5), _plain),
    "NUTS": lambda: Format("[A-Z]{2}[A-Z0-9]{3}", _upper),
    "PERCENTAGE": lambda: Format(_number(9, 10), _percent(4)),
    "YEAR": lambda: Format("[0-9]{4}", _plain),
    "Y/N": lambda: _YES_NO,
    # ECB
    "YYYY-MM-DD": lambda: _ISO_DAY,
    "YYYY-MM": lambda: Format("[0-9]{4}-[0-9]{2}", _date("%Y-%m")),
    "List": lambda: _ANY_CODE,
    "Numeric": lambda: Format(f"{_MINUS}[0-9]{{1,12}}", _plain),
    "Text|Text/Numeric": lambda: Format(".{1,1000}", _plain),
    r"9\(([0-9]+)\)\.99": lambda digits: _decimals(digits, None),
    r"9\(([0-9]+)\)\.9\(([0-9]+)\)": _decimals,
    # SEC
    "DATE_TYPE": lambda: Format("[0-9]{2}-[0-9]{2}-[0-9]{4}", _date("%m-%d-%Y")),
    "DATE_MM_YYYY_TYPE": lambda: Format("[0-9]{2}/[0-9]{4}", _date("%m/%Y")),
    "DECIMAL_TYPE20_8": lambda: Format(_number(12, 8), _plain),
    "INTEGER_TYPE_([28])_A": lambda digits: Format(f"{_MINUS}[0-9]{{1,{digits}}}", _plain),
    "STRING_([0-9]+)_TYPE": lambda most: Format(f".{{1,{most}}}", _plain),
    "TRUE_FALSE_TYPE": lambda: Format("true|false", _flag("true", "false")),
}
"""Creates a format from a name that matches the regular expression; its groups are the arguments."""
