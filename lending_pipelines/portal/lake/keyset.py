"""Pages of a table by keyset: each page begins after the last row of the one before, so page 10,000 costs what page 1
costs, and rows that are added in between neither repeat nor hide others.

A cursor names the sort order, the direction and the values of the row to continue from. It is opaque, not secret: it
only filters what the person may see anyway.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cmp_to_key, reduce
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.lake.compiled import Bound

MOST_ROWS = 1000
"""The maximum number of rows of a page."""

_COMPILED_ROWS = (50, 200, MOST_ROWS)
"""Queries are compiled for pages of these numbers of rows; a page with fewer rows is the beginning of one."""

_LONGEST_CURSOR = 4000


class BadCursor(LendingError):
    """A cursor is damaged, or belongs to another sort order."""


@dataclass(frozen=True)
class Sort:
    """An order of rows: by a column, then by the columns of the rows' key. Nulls come last in both directions."""

    column: str
    key: tuple[str, ...]
    descending: bool = False

    @property
    def text(self) -> str:
        """The order as written in a URL: the column, after `-` if descending."""
        return f"-{self.column}" if self.descending else self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that decide the order."""
        return (self.column, *(name for name in self.key if name != self.column))


@dataclass(frozen=True)
class Seek:
    """Where a page begins, without the values: `nulls` says which of them are null; empty for the first page."""

    sort: Sort
    size: int
    backward: bool = False
    nulls: tuple[bool, ...] = ()

    @property
    def compiled(self) -> "Seek":
        """The same with the size rounded up to one of _COMPILED_ROWS, so that few sizes are compiled."""
        return replace(self, size=next(rows for rows in _COMPILED_ROWS if rows >= self.size))


@dataclass(frozen=True)
class Page:
    """The rows of a page, and the cursors of the next and the previous page, if there is one.

    `schema` has the types of the columns. `rendered` caches what was made of the rows, as long as these are cached.
    """

    rows: Sequence[Mapping[str, Any]]
    next: str | None
    previous: str | None
    schema: pa.Schema | None = None
    rendered: dict[str, bytes] = field(default_factory=dict)


def rows_of_page(rows: ir.Table, seek: Seek) -> ir.Table:
    """The rows of the page and one more, which shows whether a page follows. A page backward is in reverse order."""
    if missing := [name for name in seek.sort.columns if name not in rows.columns]:
        raise BadCursor(f"rows cannot be sorted by {', '.join(missing)}")
    if seek.nulls:
        rows = rows.filter(_beyond(rows, seek))
    forward, reverse = (ibis.desc, ibis.asc) if seek.backward else (ibis.asc, ibis.desc)
    column = rows[seek.sort.column]
    first = reverse(column) if seek.sort.descending else forward(column)
    keys = [forward(name) for name in seek.sort.columns[1:]]
    return rows.order_by(forward(column.isnull()), first, *keys).limit(seek.size + 1)


def start_of_page(
    sort: Sort, size: int, cursor: str | None, schema: Mapping[str, dt.DataType]
) -> tuple[Seek, dict[str, Any]]:
    """Where the page of a cursor begins, and the values of its parameters. Raises BadCursor."""
    if not 1 <= size <= MOST_ROWS:
        raise BadCursor(f"a page has 1 to {MOST_ROWS} rows, not {size}")
    if not cursor:
        return Seek(sort, size), {}
    backward, texts = _decoded(cursor, sort)
    values = [
        None if text is None else _value(text, schema[name]) for name, text in zip(sort.columns, texts, strict=True)
    ]
    seek = Seek(sort, size, backward, tuple(value is None for value in values))
    return seek, {_label(number): value for number, value in enumerate(values) if value is not None}


def as_page(found: Sequence[Mapping[str, Any]], seek: Seek) -> Page:
    """The page of the rows that `rows_of_page` gives."""
    more = len(found) > seek.size
    rows = list(found[: seek.size])
    if seek.backward:
        rows.reverse()
    has_next = more if not seek.backward else True
    has_previous = more if seek.backward else bool(seek.nulls)
    return Page(
        rows,
        _encoded(seek.sort, rows[-1], backward=False) if rows and has_next else None,
        _encoded(seek.sort, rows[0], backward=True) if rows and has_previous else None,
    )


def in_order(rows: Sequence[Mapping[str, Any]], sort: Sort) -> list[Mapping[str, Any]]:
    """Rows that are all in memory, such as those of the register, in an order."""

    def compared(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
        return _compared(_place(one, sort), _place(other, sort), sort)

    return sorted(rows, key=cmp_to_key(compared))


def listed(
    rows: Sequence[Mapping[str, Any]], sort: Sort, size: int, cursor: str | None, types: Mapping[str, dt.DataType]
) -> Page:
    """A page of rows that are all in memory. Raises BadCursor."""
    ordered = in_order(rows, sort)
    seek, _ = start_of_page(sort, size, cursor, types)
    if not cursor:
        return as_page(ordered[: size + 1], seek)
    backward, texts = _decoded(cursor, sort)
    at = [None if text is None else _value(text, types[name]) for name, text in zip(sort.columns, texts, strict=True)]
    if backward:
        before = [row for row in ordered if _compared(_place(row, sort), at, sort) < 0]
        return as_page(before[::-1][: size + 1], seek)
    return as_page([row for row in ordered if _compared(_place(row, sort), at, sort) > 0][: size + 1], seek)


def _place(row: Mapping[str, Any], sort: Sort) -> list[Any]:
    """The values of a row that decide its place in the order."""
    return [row[name] for name in sort.columns]


def _compared(first: Sequence[Any], second: Sequence[Any], sort: Sort) -> int:
    """Below 0 if a row with the first values comes before one with the second values, above 0 if after."""
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        if one != other:
            if one is None or other is None:
                return 1 if one is None else -1
            after = 1 if one > other else -1
            return -after if sort.descending and number == 0 else after
    return 0


def _beyond(rows: ir.Table, seek: Seek) -> ir.BooleanValue:
    """Whether a row comes after the cursor's, in the direction of the page."""
    found: list[ir.BooleanValue] = []
    same: list[ir.BooleanValue] = []
    for number, (name, null) in enumerate(zip(seek.sort.columns, seek.nulls, strict=True)):
        column = rows[name]
        descending = (seek.sort.descending if number == 0 else False) != seek.backward
        if null:
            # Nulls are last: no value comes after them, and all values come before them.
            after = column.notnull() if seek.backward else ibis.literal(False)
            equal = column.isnull()
        else:
            value = Bound(_label(number), column.type()).to_expr()
            after = column < value if descending else column > value
            if not seek.backward:
                after = after | column.isnull()
            equal = column == value
        found.append(reduce(and_, [*same, after]))
        same.append(equal)
    return reduce(or_, found)


def cursor_labels(seek: Seek) -> set[str]:
    """The names of the parameters with the values that the page begins after."""
    return {_label(number) for number, null in enumerate(seek.nulls) if not null}


def _label(number: int) -> str:
    return f"cursor_{number}"


def _encoded(sort: Sort, row: Mapping[str, Any], *, backward: bool) -> str:
    values = [None if row[name] is None else _text(row[name]) for name in sort.columns]
    content = json.dumps([sort.column, sort.descending, backward, values], separators=(",", ":"))
    return urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _decoded(cursor: str, sort: Sort) -> tuple[bool, list[str | None]]:
    """The direction and the values of a cursor. Raises BadCursor."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        column, descending, backward, values = json.loads(urlsafe_b64decode(padded.encode("ascii")))
        if not isinstance(values, list) or not all(value is None or isinstance(value, str) for value in values):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("the cursor is damaged: begin with the first page") from None
    if (column, descending, len(values)) != (sort.column, sort.descending, len(sort.columns)):
        raise BadCursor("the cursor is of another sort order: begin with the first page")
    return bool(backward), values


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)


def _value(text: str, type_: dt.DataType) -> Any:
    """The value of a column's type. Raises BadCursor."""
    try:
        if type_.is_timestamp():
            return datetime.fromisoformat(text)
        if type_.is_date():
            return date.fromisoformat(text)
        if type_.is_decimal():
            return Decimal(text)
        if type_.is_integer():
            return int(text)
        if type_.is_floating():
            return float(text)
        if type_.is_boolean():
            return text == "True"
    except (ValueError, InvalidOperation, OverflowError):
        raise BadCursor("the cursor is damaged: begin with the first page") from None
    return text
