"""Rows of a worksheet as SpreadsheetML, formatted a column at a time in Arrow, because row by row is slow.

Numbers, dates and flags are typed. Values that Excel cannot represent are text: a number of more than 15 digits (so
money is exact to the cent or text), NaN and infinity, a date before 1 March 1900. Text is never a formula.
Source: ECMA-376 part 1, 18.3.1; Microsoft, Excel specifications and limits.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.compute as pc
from openpyxl.utils import get_column_letter

from lending_pipelines.exports.injection import FORMULA, is_formula
from lending_pipelines.exports.xlsx_styles import CellStyle

_LONGEST_TEXT = 32_767
"""The maximum length of a cell's text in UTF-16 units."""
_DIGITS = 15
"""The digits that Excel's numbers can represent."""
# Days from Excel's day 0 to 1970-01-01; its 1900 has a 29 February, so that days before March are off by one.
_EPOCH = 25_569
_FIRST_DAY, _END = 61 - _EPOCH, 2_958_466 - _EPOCH
_DAY = 86_400_000_000
# Literal characters and no look-ahead, because the same patterns are read by re and by Arrow's RE2.
_ILLEGAL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]"
"""The characters that a worksheet's XML cannot contain."""
_ESCAPE = "_x([0-9A-Fa-f]{4}_)"
_SPECIAL = f"{FORMULA}|{_ILLEGAL}|{_ESCAPE}|[&<>\r]|^[ \t\n]|[ \t\n]$"
"""The texts that cannot be written to the XML unchanged."""


def rows_xml(arrays: Sequence[pa.Array], styles: Sequence[CellStyle], first: int) -> pa.Buffer:
    """The rows as `<row>` elements, the first of them numbered `first`.

    Null gives no cell. A column of Arrow's null type gives empty cells with their style.
    """
    count = len(arrays[0])
    numbers = pa.array(range(first, first + count)).cast(pa.string())
    cells = (
        pc.binary_join_element_wise(f'<c r="{get_column_letter(column)}', numbers, '"', _cells(values, style), "")
        for column, (values, style) in enumerate(zip(arrays, styles, strict=True), start=1)
    )
    rows = pc.binary_join_element_wise('<row r="', numbers, '">', *cells, "</row>", "", null_handling="skip")
    return pc.binary_join(pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), rows), "")[0].as_buffer()


def row_xml(
    arrays: Sequence[pa.Array],
    styles: Sequence[CellStyle],
    row: int,
    formulas: Mapping[int, str] = MappingProxyType({}),
    height: float = 0.0,
) -> bytes:
    """One row as a `<row>` element.

    Args:
        arrays: One value per column.
        styles: The style of each.
        row: The number of the row.
        formulas: The formulas of numbers, by place, written beside their values.
        height: The height in points; 0 for Excel's default.
    """
    cells = []
    for place, (values, style) in enumerate(zip(arrays, styles, strict=True)):
        cell = _cells(values, style)[0].as_py()
        if cell is None:
            continue
        if place in formulas and 't="' not in cell:
            cell = cell.replace("><v>", f"><f>{escape(formulas[place])}</f><v>", 1)
        cells.append(f'<c r="{get_column_letter(place + 1)}{row}"{cell}')
    high = f' ht="{height}" customHeight="1"' if height else ""
    return f'<row r="{row}"{high}>{"".join(cells)}</row>'.encode()


def clean(text: str) -> str:
    """The text as XML and Excel allow it: control characters become �, and text that is too long ends with …."""
    text = re.sub(_ILLEGAL, "\ufffd", text)
    # Excel counts UTF-16 units.
    units = text.encode("utf-16-le")
    if len(units) <= 2 * _LONGEST_TEXT:
        return text
    return units[: 2 * (_LONGEST_TEXT - 1)].decode("utf-16-le", errors="ignore") + "…"


def _cells(values: pa.Array, style: CellStyle) -> pa.Array:
    """The XML of a column's cells after the cell reference: style, type and value."""
    if pa.types.is_null(values.type):
        return pa.repeat(f' s="{style.plain}"/>', len(values))
    if pa.types.is_string(values.type):
        return _text(values, style)
    if pa.types.is_boolean(values.type):
        return _element(f' s="{style.plain}" t="b"><v>', values.cast(pa.int8()), "</v></c>")
    shown, fits = _number(values)
    cells = _element(f' s="{style.plain}"><v>', shown, "</v></c>")
    if fits is None or pc.all(fits).as_py() is not False:
        return cells
    return pc.if_else(fits, cells, _text(values.cast(pa.string()), style))


def _number(values: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Excel's numbers for the values, and which of them it can represent; None if it can represent all of the type."""
    kind = values.type
    if pa.types.is_floating(kind):
        return values, pc.is_finite(values)
    if pa.types.is_date(kind):
        days = values.cast(pa.int32())
        return pc.add(days, _EPOCH), pc.and_(pc.greater_equal(days, _FIRST_DAY), pc.less(days, _END))
    if pa.types.is_timestamp(kind):
        days = pc.divide(values.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), float(_DAY))
        return pc.add(days, float(_EPOCH)), pc.and_(pc.greater_equal(days, _FIRST_DAY), pc.less(days, _END))
    precision, scale = (kind.precision, kind.scale) if pa.types.is_decimal(kind) else (kind.bit_width // 3, 0)
    if precision <= _DIGITS:
        return values, None
    largest = pa.scalar(Decimal(10) ** (_DIGITS - scale), pa.decimal128(38, scale)).cast(kind)
    return values, pc.and_(pc.less(values, largest), pc.greater(values, pc.negate(largest)))


def _text(values: pa.Array, style: CellStyle) -> pa.Array:
    cells = _element(f' s="{style.plain}" t="inlineStr"><is><t>', values, "</t></is></c>")
    special = pc.or_(pc.match_substring_regex(values, _SPECIAL), pc.greater(pc.binary_length(values), _LONGEST_TEXT))
    if not pc.any(special).as_py():
        return cells
    special = pc.fill_null(special, False)
    return pc.replace_with_mask(
        cells, special, pa.array([_special(text, style) for text in values.filter(special).to_pylist()])
    )


def _special(text: str, style: CellStyle) -> str:
    number = style.quoted if is_formula(text) else style.plain
    # Excel reads _x000D_ as a carriage return: the underscore before it is written so, too.
    inside = escape(re.sub(_ESCAPE, r"_x005F_x\1", clean(text)), {"\r": "&#13;"})
    return f' s="{number}" t="inlineStr"><is><t xml:space="preserve">{inside}</t></is></c>'


def _element(start: str, values: pa.Array, end: str) -> pa.Array:
    return pc.binary_join_element_wise(start, values.cast(pa.string()), end, "")
