"""Numbers and dates in the lender's locale, as filters of the templates. Missing values are a dash."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lending_pipelines.errors import LendingError, did_you_mean

MISSING = "–"

_THIN = "\u202f"
_MINUS = "−"


@dataclass(frozen=True)
class Locale:
    """How a country writes numbers and dates. `day` has d, m and y for the parts of a date."""

    group: str
    point: str
    day: str
    percent: str = "%"


LOCALES = {
    "en": Locale(",", ".", "y-m-d"),
    "en-US": Locale(",", ".", "m/d/y"),
    "en-GB": Locale(",", ".", "d/m/y"),
    "en-IE": Locale(",", ".", "d/m/y"),
    "da": Locale(".", ",", "d.m.y", "\u00a0%"),
    "de": Locale(".", ",", "d.m.y", "\u00a0%"),
    "de-CH": Locale("’", ".", "d.m.y"),
    "es": Locale(".", ",", "d/m/y", "\u00a0%"),
    "fi": Locale("\u00a0", ",", "d.m.y", "\u00a0%"),
    "fr": Locale(_THIN, ",", "d/m/y", f"{_THIN}%"),
    "it": Locale(".", ",", "d/m/y"),
    "ja": Locale(",", ".", "y/m/d"),
    "nl": Locale(".", ",", "d-m-y"),
    "no": Locale("\u00a0", ",", "d.m.y", "\u00a0%"),
    "pl": Locale("\u00a0", ",", "d.m.y"),
    "pt": Locale(".", ",", "d/m/y"),
    "sv": Locale("\u00a0", ",", "y-m-d", "\u00a0%"),
}
"""The locales by name. `en` writes dates as ISO 8601."""


class Formats:
    """The filters of one lender."""

    def __init__(self, locale: str, timezone: str) -> None:
        """Raises LendingError when the locale is not known."""
        if locale not in LOCALES:
            raise LendingError(f"LENDING_LOCALE is {locale!r}: {did_you_mean(locale, LOCALES)}")
        self._locale = LOCALES[locale]
        self._zone = ZoneInfo(timezone)

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by name."""
        return {
            "money": self.money,
            "number": self.number,
            "percent": self.percent,
            "day": self.day,
            "when": self.when,
        }

    def for_charts(self) -> dict[str, Any]:
        """The locale of numbers for d3-format, which formats the numbers of charts."""
        return {
            "decimal": self._locale.point,
            "thousands": self._locale.group,
            "grouping": [3],
            "currency": ["", ""],
            "minus": _MINUS,
            "percent": self._locale.percent,
        }

    def money(self, value: Any, currency: str = "", *, signed: bool = False) -> str:
        """An amount with two decimals, and its currency if one is given: 1,234.50 EUR."""
        text = self.number(value, 2, signed=signed)
        return f"{text}\u00a0{currency}" if currency and value is not None else text

    def number(self, value: Any, decimals: int = 0, *, signed: bool = False) -> str:
        """A number with that many decimals. A value that rounds to zero has no sign."""
        if value is None or value != value:
            return MISSING
        rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
        text = f"{abs(rounded):,.{decimals}f}".translate({ord(","): self._locale.group, ord("."): self._locale.point})
        sign = _MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
        return f"{sign}{text}"

    def percent(self, value: Any, decimals: int = 2, *, signed: bool = False) -> str:
        """A fraction in percent: 0.125 is 12.50%."""
        if value is None or value != value:
            return MISSING
        return f"{self.number(Decimal(str(value)) * 100, decimals, signed=signed)}{self._locale.percent}"

    def day(self, value: date | str | None) -> str:
        """A date in the lender's locale."""
        if not value:
            return MISSING
        value = date.fromisoformat(value) if isinstance(value, str) else value
        parts = {"d": f"{value.day:02}", "m": f"{value.month:02}", "y": f"{value.year:04}"}
        return "".join(parts.get(letter, letter) for letter in self._locale.day)

    def when(self, value: datetime | None) -> str:
        """A time in the lender's time zone. A time without a zone is UTC."""
        if value is None:
            return MISSING
        local = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(self._zone)
        return f"{self.day(local.date())} {local:%H:%M}"
