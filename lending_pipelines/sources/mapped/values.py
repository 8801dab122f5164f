"""Computes the values of a servicing column from a lender's values, by the expressions of a mapping.

A value that an expression cannot read stays as it is. convert.py then rejects it, and batches.py names its row. Codes
that are not listed are collected here.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.finding import SHOWN, Finding, shown
from lending_pipelines.sources.mapped.mapping import NUMBERS, ColumnRule
from lending_pipelines.tables import Column

_WITH_COMMA = re.compile(r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$")

_NEVER_READ = (bytes, list, dict)
"""Values of a Parquet file that no expression reads."""


class ColumnValues:
    """Computes the values of one servicing column, group by group, and counts the codes that are not listed."""

    def __init__(self, column: Column, rule: ColumnRule, decimal_comma: bool):
        self._column = column
        self._rule = rule
        self._decimal_comma = decimal_comma
        self._steps = list(_steps(column, rule, decimal_comma))
        self._known: dict[Any, Any] = {}
        self.unlisted: Counter[Any] = Counter()
        """The codes that are not listed, with their number of rows."""

    def of(self, group: Mapping[str, Values], rows: int) -> Values:
        """The column's values for a group of rows, from the lender's columns by name."""
        rule = self._rule
        if not rule.columns:
            return [rule.constant] * rows
        if rule.column is not None and not self._steps and rule.default is None:
            return _without_blanks(group[rule.column])
        columns = [_listed(group[name]) for name in rule.columns]
        if rule.summed:
            return [self._value(self._sum(values)) for values in zip(*columns, strict=True)]
        return [self._value(_first(values)) for values in zip(*columns, strict=True)]

    def finding(self) -> Finding | None:
        """The codes that are not listed, if there are any."""
        if not self.unlisted:
            return None
        examples = tuple(f"{shown(code)} in {rows:,}" for code, rows in self.unlisted.most_common(SHOWN))
        rows = sum(self.unlisted.values())
        return Finding(self._column.name, "have a code that the mapping does not list", rows, examples)

    def _value(self, value: Any) -> Any:
        """Apply the rule to one value."""
        if is_empty(value):
            return self._rule.default
        if isinstance(value, _NEVER_READ) or (isinstance(value, float) and not math.isfinite(value)):
            return value
        if self._rule.codes and self._code(value) not in self._rule.codes:
            self.unlisted[self._code(value)] += 1
            return None
        # In Python, 1 and True are the same key.
        key = (type(value), value)
        if key not in self._known:
            result = value
            for step in self._steps:
                result = step(result)
            self._known[key] = result
        return self._known[key]

    def _sum(self, values: Sequence[Any]) -> Any:
        """The sum of the numbers. If a value is not a number, that value, so that convert.py rejects it."""
        given = [value for value in values if not is_empty(value)]
        if self._decimal_comma:
            given = [_with_point(value) for value in given]
        numbers = [_scaled(value, Decimal(1)) for value in given]
        wrong = [number for number in numbers if not isinstance(number, Decimal)]
        return wrong[0] if wrong else sum(numbers) if numbers else None

    def _code(self, value: Any) -> str:
        """The code in a value: its part if the rule splits values."""
        return _part(value, self._rule) if self._rule.split else code_of(value)


def _steps(column: Column, rule: ColumnRule, decimal_comma: bool) -> list[Callable[[Any], Any]]:
    """The functions that convert a value, in order."""
    steps: list[Callable[[Any], Any]] = []
    if rule.split:
        steps.append(lambda value: _part(value, rule))
    if rule.codes:
        steps.append(lambda value: rule.codes[code_of(value)])
    if decimal_comma and column.type in NUMBERS:
        steps.append(_with_point)
    if rule.scale != 1:
        steps.append(lambda value: _scaled(value, rule.scale))
    if rule.formats:
        steps.append(lambda value: _parsed(value, rule.formats, column.type == "date"))
    if rule.zone:
        steps.append(lambda value: _in_utc(value, ZoneInfo(rule.zone)))
    if rule.prefix:
        steps.append(lambda value: f"{rule.prefix}{code_of(value)}")
    return steps


def _without_blanks(values: Values) -> Values:
    """The values, with null for a text that is empty or only blanks."""
    if not isinstance(values, pa.Array):
        return [None if is_empty(value) else value for value in values]
    if not pa.types.is_string(values.type):
        return values
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), None, values)


def is_empty(value: Any) -> bool:
    """Whether a value counts as missing: null, or a text that is empty or only blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if not is_empty(value)), None)


def _listed(values: Values) -> Sequence[Any]:
    return values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else values


def code_of(value: Any) -> str:
    """A value as a mapping writes it: 1 for 1.0, true for True, without blanks around it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == value.__trunc__():
        return str(int(value))
    return str(value).strip()


def _part(value: Any, rule: ColumnRule) -> str:
    """A part of a text. If the text has fewer parts, all of it, so that convert.py rejects it."""
    parts = code_of(value).split(rule.split)
    return parts[rule.part - 1] if len(parts) >= rule.part else code_of(value)


def _with_point(value: Any) -> Any:
    """A number with a decimal comma as text with a decimal point. Other text is changed so that convert.py rejects it.

    Otherwise convert.py would accept 1.5 as it is, although a point separates thousands here: 1.500 is 1500.
    """
    if not isinstance(value, str):
        return value
    if _WITH_COMMA.match(value.strip()):
        return value.strip().replace(".", "").replace(",", ".")
    return f"{value!r}, which is not written as 1.234,56"


def _scaled(value: Any, scale: Decimal) -> Any:
    """The number × scale. A value that is not a finite number stays as it is."""
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return value
    return number * scale if number.is_finite() else value


def _parsed(value: Any, formats: Sequence[str], is_date: bool) -> Any:
    """The date or timestamp in a text. Text that has none, or several by the formats, becomes text that is rejected."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return value
    found = {read for wanted in formats if (read := _read_as(value.strip(), wanted)) is not None}
    if len(found) == 1:
        return found.pop().date() if is_date else found.pop()
    # Change the text: convert.py accepts ISO dates, although the mapping does not list that format.
    problem = "can be read in several ways by" if found else "is not written as"
    return f"{value!r}, which {problem} {' or '.join(formats)}"


def _read_as(text: str, wanted: str) -> datetime | None:
    try:
        return datetime.strptime(text, wanted)
    except ValueError:
        return None


def _in_utc(value: Any, zone: ZoneInfo) -> Any:
    """A local time in UTC, without a zone. Text is read as ISO."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC).replace(tzinfo=None)
