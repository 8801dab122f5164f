"""The rules of dynamic portfolios: the fields and operators, and validation of a rule written as a JSON tree.

    {"all": [{"field": "product_id", "op": "in", "value": ["P1"]},
             {"any": [{"field": "principal", "op": "between", "value": [1000, 50000]}, …]}]}

A rule uses only the terms of a loan, which do not change from day to day, so it selects the same loans whenever it is
evaluated. metrics/criteria.py evaluates rules; this module only validates them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from lending_pipelines.errors import LendingError, did_you_mean, first_of
from lending_pipelines.tables import SERVICING, Column
from lending_pipelines.tables.schema import MONEY, RATE

MAX_DEPTH = 10
MAX_NODES = 200
MAX_VALUES = 1000
MAX_TEXT = 200

Value = str | int | Decimal | date
Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "between", "in", "not_in"]

_SAMENESS = ("eq", "ne", "in", "not_in")
_ORDER = ("lt", "le", "gt", "ge", "between")

_RULED: dict[str, tuple[str, ...]] = {
    "loans": tuple(name for name in SERVICING["loans"].names if name not in ("posted_at", "updated_at")),
    "borrowers": ("segment",),
    "products": ("program_id", "product_type"),
}
"""The columns of each servicing table that a rule can use."""
FIELDS: dict[str, Column] = {name: SERVICING[table].column(name) for table, names in _RULED.items() for name in names}
"""The fields that a rule can use: the loan's terms, its borrower's segment, its product's program and type."""


class CriteriaError(LendingError):
    """A rule is not valid. The message starts with the path of the wrong node."""

    def __init__(self, *faults: str) -> None:
        super().__init__(first_of(faults))
        self.faults = faults


class _TooLarge(CriteriaError):
    """A rule has too many nodes; parsing stops."""


@dataclass(frozen=True)
class Condition:
    """A comparison of one field. The operator decides how many `values` there are: one, the two ends of a range
    (inclusive), or a list.
    """

    field: str
    op: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Group:
    """A list of rules of which all or any must hold."""

    kind: Literal["all", "any"]
    parts: tuple["Condition | Group", ...]


@dataclass(frozen=True)
class RuledPortfolio:
    """A portfolio that selects loans by its rule on every day of [opened_on, closed_on); no end without closed_on.

    With a `program_id` it selects loans of that program only.
    """

    portfolio_id: str
    rule: Group | Condition
    opened_on: date
    closed_on: date | None = None
    program_id: str | None = None


def read_criteria(text: str) -> dict[str, Any]:
    """Read a rule from JSON text. Raises CriteriaError when the text is not JSON or not a valid rule."""
    try:
        rule = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise CriteriaError(f"criteria: not valid JSON: {str(error)[:200]}") from None
    parse_criteria(rule)
    return rule


def parse_criteria(rule: Any) -> Group | Condition:
    """Parse a rule into typed values. Raises CriteriaError with the path of every wrong node."""
    return _Parser().node(rule, "criteria", 1)


class _Parser:
    def __init__(self) -> None:
        self._nodes = 0

    def node(self, rule: Any, path: str, depth: int) -> Group | Condition:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooLarge(f"{path}: a rule has at most {MAX_NODES} nodes")
        if depth > MAX_DEPTH:
            raise CriteriaError(f"{path}: a rule is at most {MAX_DEPTH} nodes deep")
        if not isinstance(rule, dict):
            raise CriteriaError(f'{path}: write an object with "all", "any" or "field", not {_shown(rule)}')
        for kind in ("all", "any"):
            if kind in rule:
                return self._group(rule, kind, path, depth)
        return _condition(rule, path)

    def _group(self, rule: dict, kind: Literal["all", "any"], path: str, depth: int) -> Group:
        _only(rule, (kind,), path)
        parts = rule[kind]
        if not isinstance(parts, list) or not parts:
            raise CriteriaError(f"{path}.{kind}: write a list of one or more rules, not {_shown(parts)}")
        read: list[Condition | Group] = []
        faults: list[str] = []
        for number, part in enumerate(parts):
            try:
                read.append(self.node(part, f"{path}.{kind}[{number}]", depth + 1))
            except _TooLarge:
                raise
            except CriteriaError as error:
                faults += error.faults
        if faults:
            raise CriteriaError(*faults)
        return Group(kind, tuple(read))


def _condition(rule: dict, path: str) -> Condition:
    _only(rule, ("field", "op", "value"), path)
    if missing := [name for name in ("field", "op", "value") if name not in rule]:
        raise CriteriaError(f'{path}: "{missing[0]}" is missing; write {{"field": …, "op": …, "value": …}}')
    column = FIELDS[_known(rule["field"], FIELDS, f"{path}.field", "field")]
    operators = (*_SAMENESS, *_ORDER)
    op = _known(rule["op"], operators, f"{path}.op", "operator")
    kind, parse = _KINDS[column.type]
    if kind == "text" and op in _ORDER:
        raise CriteriaError(f"{path}.op: {column.name} is text and cannot be ordered; use {' or '.join(_SAMENESS)}")
    return Condition(column.name, op, _values(rule["value"], op, column, kind, parse, f"{path}.value"))  # type: ignore[arg-type]


def _values(
    given: Any, op: str, column: Column, kind: str, parse: Callable[[Any], Value], path: str
) -> tuple[Value, ...]:
    if op not in ("in", "not_in", "between"):
        return (_value(given, column, kind, parse, path),)
    if not isinstance(given, list):
        raise CriteriaError(f"{path}: {op} takes a list, not {_shown(given)}")
    if op == "between" and len(given) != 2:
        raise CriteriaError(f"{path}: between takes two values, the lowest and the highest, not {len(given)}")
    if not 1 <= len(given) <= MAX_VALUES:
        raise CriteriaError(f"{path}: {op} takes 1 to {MAX_VALUES:,} values, not {len(given):,}")
    values = tuple(_value(value, column, kind, parse, f"{path}[{number}]") for number, value in enumerate(given))
    if op == "between" and values[0] > values[1]:  # type: ignore[operator]
        raise CriteriaError(f"{path}: {values[0]} is greater than {values[1]}; write the lower value first")
    return values


def _value(given: Any, column: Column, kind: str, parse: Callable[[Any], Value], path: str) -> Value:
    try:
        value = parse(given)
    except (ValueError, ArithmeticError):
        raise CriteriaError(f"{path}: {column.name} is {kind}: write {_WRITE[kind]}, not {_shown(given)}") from None
    if column.values and value not in column.values:
        raise CriteriaError(
            f"{path}: {_shown(given)} is not a value of {column.name}; {did_you_mean(str(value), column.values)}"
        )
    return value


def _text(given: Any) -> str:
    # Databases store non-printable characters differently.
    if not isinstance(given, str) or len(given) > MAX_TEXT or not given.isprintable():
        raise ValueError
    return given


def _day(given: Any) -> date:
    if not isinstance(given, str) or len(given) != len("2025-01-31"):
        raise ValueError
    return date.fromisoformat(given)


def _whole_number(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not -(2**63) <= given < 2**63:
        raise ValueError
    return given


def _decimal(digits: int, places: int) -> Callable[[Any], Decimal]:
    def parse(given: Any) -> Decimal:
        if isinstance(given, bool) or not isinstance(given, int | float | str) or len(_brief(given)) > 40:
            raise ValueError
        amount = Decimal(str(given))
        if not amount.is_finite() or abs(amount) >= 10 ** (digits - places):
            raise ValueError
        rounded = amount.quantize(Decimal(1).scaleb(-places))
        if rounded != amount:
            raise ValueError
        return rounded

    return parse


_KINDS: dict[str, tuple[str, Callable[[Any], Value]]] = {
    "string": ("text", _text),
    "date": ("a date", _day),
    "int64": ("a whole number", _whole_number),
    MONEY: ("money", _decimal(18, 2)),
    RATE: ("a rate", _decimal(12, 8)),
}
"""For each column type: its name in messages, and the function that reads a value from JSON."""
_WRITE = {
    "text": f"printable text of at most {MAX_TEXT} characters",
    "a date": 'a date like "2025-01-31"',
    "a whole number": "a whole number like 36",
    "money": "an amount with at most two decimals like 1000.50",
    "a rate": "an annual fraction with at most 8 decimals like 0.125",
}
"""For each name in _KINDS: what a valid value looks like."""


def _only(rule: dict, allowed: tuple[str, ...], path: str) -> None:
    if more := [name for name in rule if name not in allowed]:
        raise CriteriaError(f"{path}: {_shown(more[0])} is not allowed here, only {' and '.join(allowed)}")


def _known(name: Any, known: Any, path: str, what: str) -> str:
    if not isinstance(name, str):
        raise CriteriaError(f"{path}: write the name of a {what}, not {_shown(name)}")
    if name not in known:
        raise CriteriaError(f"{path}: there is no {what} {_shown(name)}; {did_you_mean(name[:100], known)}")
    return name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(f"an object has {_shown(next(name for name, _ in pairs if _twice(name, pairs)))} twice")
    return members


def _twice(name: str, pairs: list[tuple[str, Any]]) -> bool:
    return [other for other, _ in pairs].count(name) > 1


def _shown(given: Any) -> str:
    """A short text of any value, however deep it is nested."""
    if isinstance(given, dict):
        return "an object"
    if isinstance(given, list | tuple):
        return "a list" if given else "an empty list"
    if given is None:
        return "null"
    if isinstance(given, bool):
        return str(given).lower()
    text = _brief(given)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _brief(given: Any) -> str:
    # Python refuses to print an integer of thousands of digits.
    if isinstance(given, int) and abs(given) >= 10**30:
        return "a number of more than 30 digits"
    return ascii(given) if isinstance(given, str) and not given.isprintable() else repr(given)
