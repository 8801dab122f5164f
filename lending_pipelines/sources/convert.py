"""Converts the values that databases hand out to the exact Arrow types of the servicing tables.

Databases differ (SQLite gives a NUMERIC as int or float and a date as text, PostgreSQL gives Decimal and date). A value
that converts without loss is taken: a whole number as an id, a timestamp at midnight as a date. Nothing is rounded:
only the noise of binary floats is removed. What cannot be converted is refused; batches.py collects and reports it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Values: TypeAlias = Sequence[Any] | pa.Array
"""One column's values as a database hands them out."""

REFUSED = (pa.ArrowInvalid, pa.ArrowTypeError)
"""What `to_arrow` raises for a value that does not convert without loss."""

_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_FLAGS = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_CENT = 0.01


def to_arrow(values: Values, wanted: pa.DataType) -> pa.Array:
    """The values as an array of the wanted type, one of the servicing tables' types.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: A value does not convert without loss.
    """
    found = _array(values)
    if found.type == wanted or pa.types.is_null(found.type):
        return found.cast(wanted)
    if pa.types.is_decimal(wanted):
        return _decimals(found, wanted)
    if pa.types.is_integer(wanted):
        return _integers(found).cast(wanted)
    if pa.types.is_date(wanted):
        return _dates(found, wanted)
    if pa.types.is_timestamp(wanted):
        return _instants(found, wanted)
    if pa.types.is_boolean(wanted):
        return _booleans(found)
    return _texts(found, wanted)


def _array(values: Values) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    found = pa.array(values)
    # Arrow takes a datetime among dates for a date, and drops its time.
    if pa.types.is_date(found.type) and any(isinstance(value, datetime) for value in values):
        raise pa.ArrowInvalid("dates mixed with timestamps")
    return found


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _refuse(found: pa.Array, wanted: str) -> pa.ArrowInvalid:
    return pa.ArrowInvalid(f"{found.type} is not {wanted}")


def _decimals(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(found.type):
        return found.cast(wanted)
    if pa.types.is_integer(found.type):
        # An int64 has up to 19 digits before the point; the second cast refuses what does not fit.
        return found.cast(pa.decimal128(19 + wanted.scale, wanted.scale)).cast(wanted)
    if pa.types.is_floating(found.type):
        return _without_noise(found, wanted)
    if _is_text(found.type):
        return _numerals(found).cast(wanted)
    raise _refuse(found, "a number")


def _numerals(found: pa.Array) -> pa.Array:
    """Texts that are plain decimal numbers, without sign + and zeros after the last digit."""
    if pc.any(pc.invert(pc.match_substring_regex(found, _NUMBER))).as_py():
        raise pa.ArrowInvalid("not a plain decimal number")
    trimmed = pc.replace_substring_regex(found, r"(\.\d*?)0+$", r"\1")
    return pc.utf8_rtrim(pc.utf8_ltrim(trimmed, "+"), ".")


def _without_noise(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Floats as the decimals that they stand for."""
    known = found.drop_null().to_numpy(zero_copy_only=False)
    if np.any(np.spacing(np.abs(known)) > _CENT):
        raise pa.ArrowInvalid("a float of this size is not exact to the cent")
    if found.type != pa.float64():
        # A real's own digits are those of its shortest text: 0.15, not 0.1500000059604645.
        found = found.cast(pa.string()).cast(pa.float64())
    exact = found.cast(wanted)
    noise = pc.abs(pc.subtract(exact.cast(pa.float64()), found))
    # 0.1 + 0.2 is meant as 0.30, 1.005 is not a money amount: a ten-thousandth of the last digit tells them apart, or
    # for amounts of billions the last bits that a float has.
    tolerance = pc.add(pc.multiply(pc.abs(found), 2.0**-51), 10.0 ** -(wanted.scale + 4))
    if pc.any(pc.greater(noise, tolerance)).as_py():
        raise pa.ArrowInvalid(f"more than {wanted.scale} decimals")
    return exact


def _integers(found: pa.Array) -> pa.Array:
    if pa.types.is_integer(found.type) or pa.types.is_floating(found.type) or pa.types.is_decimal(found.type):
        return found.cast(pa.int64())
    if _is_text(found.type):
        return _numerals(found).cast(pa.int64())
    raise _refuse(found, "a whole number")


def _dates(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_date(found.type):
        return found.cast(wanted)
    instants = _instants(found, pa.timestamp("us"))
    dates = instants.cast(wanted)
    if pc.any(pc.not_equal(dates.cast(instants.type), instants)).as_py():
        raise pa.ArrowInvalid("a timestamp that is not at midnight is not a date")
    return dates


def _instants(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_date(found.type) or pa.types.is_timestamp(found.type):
        return found.cast(wanted)
    if not _is_text(found.type):
        raise _refuse(found, "a timestamp")
    try:
        return found.cast(wanted)
    except pa.ArrowInvalid:
        # Text with a zone: the same instant in UTC.
        return found.cast(pa.timestamp("us", "UTC")).cast(wanted)


def _booleans(found: pa.Array) -> pa.Array:
    texts = found if _is_text(found.type) else _integers(found).cast(pa.string())
    folded = pc.utf8_lower(texts)
    numbers = pc.index_in(folded, pa.array(list(_FLAGS)))
    if numbers.null_count > found.null_count:
        raise pa.ArrowInvalid(f"not one of {', '.join(_FLAGS)}")
    return pa.array(list(_FLAGS.values())).take(numbers)


def _texts(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if _is_text(found.type):
        return found.cast(wanted)
    if pa.types.is_integer(found.type):
        return found.cast(wanted)
    if pa.types.is_floating(found.type):
        return found.cast(pa.int64()).cast(wanted)
    if pa.types.is_decimal(found.type):
        return found.cast(pa.decimal128(38, 0)).cast(wanted)
    raise _refuse(found, "text")
