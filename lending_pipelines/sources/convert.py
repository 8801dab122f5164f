"""Converts values from databases to the exact Arrow types of the servicing tables.

Databases return different types: SQLite returns a NUMERIC as int or float and a date as text, PostgreSQL returns
Decimal and date. A value is converted only if this loses nothing: a whole number to an id, a timestamp at midnight to a
date. Values are never rounded; only the imprecision of binary floats is removed. Other values raise an error, which
batches.py collects.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Values: TypeAlias = Sequence[Any] | pa.Array
"""One column's values as a database returns them."""

REFUSED = (pa.ArrowInvalid, pa.ArrowTypeError)
"""The exceptions of `to_arrow` for a value that does not convert without loss."""

_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_FLAGS = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_CENT = 0.01


def to_arrow(values: Values, wanted: pa.DataType) -> pa.Array:
    """Convert values to one of the types of the servicing tables.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: A value does not convert without loss.
    """
    array = _array(values)
    if array.type == wanted or pa.types.is_null(array.type):
        return array.cast(wanted)
    if pa.types.is_decimal(wanted):
        return _decimals(array, wanted)
    if pa.types.is_integer(wanted):
        return _integers(array).cast(wanted)
    if pa.types.is_date(wanted):
        return _dates(array, wanted)
    if pa.types.is_timestamp(wanted):
        return _instants(array, wanted)
    if pa.types.is_boolean(wanted):
        return _booleans(array)
    return _texts(array, wanted)


def _array(values: Values) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    array = pa.array(values)
    # Among dates, Arrow converts a datetime to a date and drops its time.
    if pa.types.is_date(array.type) and any(isinstance(value, datetime) for value in values):
        raise pa.ArrowInvalid("dates mixed with timestamps")
    return array


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _refuse(array: pa.Array, wanted: str) -> pa.ArrowInvalid:
    return pa.ArrowInvalid(f"{array.type} is not {wanted}")


def _decimals(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(array.type):
        return array.cast(wanted)
    if pa.types.is_integer(array.type):
        # An int64 has up to 19 digits before the decimal point. The second cast rejects values that do not fit.
        return array.cast(pa.decimal128(19 + wanted.scale, wanted.scale)).cast(wanted)
    if pa.types.is_floating(array.type):
        return _without_noise(array, wanted)
    if _is_text(array.type):
        return _numerals(array).cast(wanted)
    raise _refuse(array, "a number")


def _numerals(array: pa.Array) -> pa.Array:
    """Texts that are plain decimal numbers, without a plus sign and trailing zeros."""
    if pc.any(pc.invert(pc.match_substring_regex(array, _NUMBER))).as_py():
        raise pa.ArrowInvalid("not a plain decimal number")
    trimmed = pc.replace_substring_regex(array, r"(\.\d*?)0+$", r"\1")
    return pc.utf8_rtrim(pc.utf8_ltrim(trimmed, "+"), ".")


def _without_noise(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The decimals that floats represent."""
    known = array.drop_null().to_numpy(zero_copy_only=False)
    if np.any(np.spacing(np.abs(known)) > _CENT):
        raise pa.ArrowInvalid("a float of this size is not exact to the cent")
    if array.type != pa.float64():
        # For a 32-bit float, use its shortest text: 0.15, not 0.1500000059604645.
        array = array.cast(pa.string()).cast(pa.float64())
    exact = array.cast(wanted)
    noise = pc.abs(pc.subtract(exact.cast(pa.float64()), array))
    # 0.1 + 0.2 means 0.30, but 1.005 is not an amount in cents. The tolerance is one ten-thousandth of the last digit,
    # or the precision of the float for amounts of billions.
    tolerance = pc.add(pc.multiply(pc.abs(array), 2.0**-51), 10.0 ** -(wanted.scale + 4))
    if pc.any(pc.greater(noise, tolerance)).as_py():
        raise pa.ArrowInvalid(f"more than {wanted.scale} decimals")
    return exact


def _integers(array: pa.Array) -> pa.Array:
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        return array.cast(pa.int64())
    if _is_text(array.type):
        return _numerals(array).cast(pa.int64())
    raise _refuse(array, "a whole number")


def _dates(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_date(array.type):
        return array.cast(wanted)
    instants = _instants(array, pa.timestamp("us"))
    dates = instants.cast(wanted)
    if pc.any(pc.not_equal(dates.cast(instants.type), instants)).as_py():
        raise pa.ArrowInvalid("a timestamp that is not at midnight is not a date")
    return dates


def _instants(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        return array.cast(wanted)
    if not _is_text(array.type):
        raise _refuse(array, "a timestamp")
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        # Text with a time zone is converted to UTC.
        return array.cast(pa.timestamp("us", "UTC")).cast(wanted)


def _booleans(array: pa.Array) -> pa.Array:
    texts = array if _is_text(array.type) else _integers(array).cast(pa.string())
    folded = pc.utf8_lower(texts)
    numbers = pc.index_in(folded, pa.array(list(_FLAGS)))
    if numbers.null_count > array.null_count:
        raise pa.ArrowInvalid(f"not one of {', '.join(_FLAGS)}")
    return pa.array(list(_FLAGS.values())).take(numbers)


def _texts(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if _is_text(array.type):
        return array.cast(wanted)
    if pa.types.is_integer(array.type):
        return array.cast(wanted)
    if pa.types.is_floating(array.type):
        return array.cast(pa.int64()).cast(wanted)
    if pa.types.is_decimal(array.type):
        return array.cast(pa.decimal128(38, 0)).cast(wanted)
    raise _refuse(array, "text")
