import re
from datetime import date, datetime
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pytest

from lending_pipelines.exports.export import export_rows
from lending_pipelines.exports.xlsx_rows import rows_xml
from lending_pipelines.exports.xlsx_styles import CellStyle
from lending_pipelines.reports.book import Cover, ReportColumn


def cell(value, arrow_type, kind, folder):
    """The first cell of a worksheet of one value, as openpyxl reads it."""
    reader = pa.table({"x": pa.array([value], arrow_type)}).to_reader()
    export_rows(reader, [ReportColumn("x", "X", kind)], "xlsx", str(folder / "x"), Cover("T", {}))
    return openpyxl.load_workbook(folder / "x.xlsx")["T"]["A2"]


@pytest.mark.parametrize(
    ("value", "arrow_type", "shown"),
    [
        # Fifteen digits are what a double always holds; one more and it is text, exact to the last.
        (Decimal("9999999999999.99"), pa.decimal128(18, 2), 9999999999999.99),
        (Decimal("-9999999999999.99"), pa.decimal128(18, 2), -9999999999999.99),
        (Decimal("10000000000000.00"), pa.decimal128(18, 2), "10000000000000.00"),
        (Decimal("-1234567890123456.78"), pa.decimal128(18, 2), "-1234567890123456.78"),
        (
            Decimal("12345678901234567890123456789012345.67"),
            pa.decimal128(38, 2),
            "12345678901234567890123456789012345.67",
        ),
        (Decimal("0.10"), pa.decimal128(4, 2), 0.1),
        (999_999_999_999_999, pa.int64(), 999_999_999_999_999),
        (-1_000_000_000_000_000, pa.int64(), "-1000000000000000"),
        (2**62, pa.int64(), str(2**62)),
        (-5, pa.int8(), -5),
        (1e-7, pa.float64(), 1e-7),
        (1e300, pa.float64(), 1e300),
        (float("nan"), pa.float64(), "nan"),
        (float("-inf"), pa.float64(), "-inf"),
    ],
)
def test_a_number_is_exact_or_text(tmp_path, value, arrow_type, shown):
    found = cell(value, arrow_type, "money", tmp_path)
    assert found.value == shown
    assert found.data_type == ("s" if isinstance(shown, str) else "n")


@pytest.mark.parametrize(
    ("value", "arrow_type", "shown"),
    [
        (date(1900, 3, 1), pa.date32(), datetime(1900, 3, 1)),
        # Excel has a 29 February 1900 and nothing before that year.
        (date(1900, 2, 28), pa.date32(), "1900-02-28"),
        (date(1850, 1, 1), pa.date32(), "1850-01-01"),
        (date(9999, 12, 31), pa.date32(), datetime(9999, 12, 31)),
        (datetime(2025, 2, 1, 4, 5, 6), pa.timestamp("us"), datetime(2025, 2, 1, 4, 5, 6)),
        (datetime(2025, 2, 1, 4, 5, 6), pa.timestamp("s"), datetime(2025, 2, 1, 4, 5, 6)),
        (datetime(1850, 1, 1, 1, 2, 3), pa.timestamp("s"), "1850-01-01 01:02:03"),
    ],
)
def test_a_day_is_a_date_where_excel_has_it(tmp_path, value, arrow_type, shown):
    assert cell(value, arrow_type, "date" if pa.types.is_date(arrow_type) else "instant", tmp_path).value == shown


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<a> & \"b\" 'c'", "<a> & \"b\" 'c'"),
        ("  spaces around ", "  spaces around "),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("ends with a line\n", "ends with a line\n"),
        ("carriage\rreturn", "carriage\rreturn"),
        ("Ørsted 漢字 \U0001f600", "Ørsted 漢字 \U0001f600"),
        ("not\ufffea character", "not\ufffda character"),
        ("\x00", "\ufffd"),
        # 32,767 UTF-16 units, of which a face is two.
        ("\U0001f600" * 16_383 + "x", "\U0001f600" * 16_383 + "x"),
        ("\U0001f600" * 16_384, "\U0001f600" * 16_383 + "…"),
        ("é" * 32_767, "é" * 32_767),
        ("", ""),
    ],
)
def test_text_stays_as_it_is(tmp_path, text, kept):
    found = cell(text, pa.string(), "text", tmp_path)
    assert (found.value or "", found.quotePrefix) == (kept, False)


def test_text_that_looks_like_an_escape_is_escaped():
    # ECMA-376, ST_Xstring: _x0041_ is read as A unless its first underscore is written _x005F_.
    xml = rows_xml([pa.array(["_x0041_"])], [CellStyle(1, 2)], 2).to_pybytes()
    assert b">_x005F_x0041_<" in xml


def test_rows_and_cells_are_numbered_and_null_is_no_cell():
    arrays = [pa.array([1, None]), pa.array([None, "a"]), pa.array([None, True])]
    xml = rows_xml([*arrays, pa.nulls(2)], [CellStyle(number, 9) for number in range(4)], 7).to_pybytes().decode()
    assert re.findall(r'<(row|c) r="(\w+)"', xml) == [
        ("row", "7"),
        ("c", "A7"),
        ("c", "D7"),
        ("row", "8"),
        ("c", "B8"),
        ("c", "C8"),
        ("c", "D8"),
    ]
    assert '<c r="D8" s="3"/>' in xml
