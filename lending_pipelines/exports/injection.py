"""Spreadsheet formula injection: finds text that a spreadsheet would run as a formula, and makes it harmless.

Source: OWASP, CSV Injection: = + - @ tab, carriage return and line feed, and the full-width = + - @; here also after
leading blanks and invisible characters. Only text is changed: a negative number is not a formula.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

# Literal characters, because both re and Arrow's RE2 read the pattern.
_BLANKS = "\\x00-\\x20\u00a0\u200b\ufeff"
FORMULA = f"^(?:[\t\r\n]|[{_BLANKS}]*[=+@＝＋－＠-])"
"""The pattern of text that a spreadsheet could run as a formula, for re and for Arrow."""

_COMPILED = re.compile(FORMULA)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could treat the text as a formula."""
    return _COMPILED.match(text) is not None


def quoted(text: str) -> str:
    """The text, with a leading single quote if a spreadsheet could treat it as a formula."""
    return f"'{text}" if is_formula(text) else text


def unquoted_column(values: pa.Array) -> pa.Array:
    """A column of strings that `quoted_column` wrote, as it was before."""
    if not pc.any(pc.starts_with(values, "'")).as_py():
        return values
    return pc.replace_substring_regex(values, f"^'({FORMULA.removeprefix('^')})", r"\1")


def quoted_column(values: pa.Array) -> pa.Array:
    """`quoted` for a column of strings."""
    suspect = pc.fill_null(pc.match_substring_regex(values, FORMULA), False)
    if not pc.any(suspect).as_py():
        return values
    return pc.if_else(suspect, pc.binary_join_element_wise("'", values, ""), values)
