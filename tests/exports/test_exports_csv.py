import csv
import io
import zipfile
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from lending_pipelines.exports.export import export
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("loan_id", "Loan", "text"),
    ReportColumn("amount", "Amount", "money"),
    ReportColumn("rate", "Rate", "rate"),
    ReportColumn("par", "PAR", "rate"),
    ReportColumn("loans", "Loans", "count"),
    ReportColumn("due_on", "Due", "date"),
    ReportColumn("seen_at", "Seen", "instant"),
    ReportColumn("late", "Late", "flag"),
)
ROW = (
    'Ø,"1"\n漢',
    Decimal("-1234567.80"),
    Decimal("0.125000"),
    1e-7,
    3,
    date(2025, 1, 31),
    datetime(2025, 2, 1, 4, 5, 6),
    True,
)


def table(title, *rows, **more):
    return ReportTable(title, COLUMNS, pd.DataFrame(rows, columns=[c.name for c in COLUMNS], dtype=object), **more)


def book(*tables):
    return ReportBook(
        "test",
        "Test",
        {"as_of": "latest", "portfolio": "=ALL"},
        {"par_operator": ">="},
        date(2025, 1, 31),
        {"t": 3},
        tables,
    )


def read(text):
    return list(csv.reader(io.StringIO(text)))


def test_one_table_is_one_file_cell_by_cell(tmp_path):
    file = export(book(table("Loans", ROW, (None,) * 8)), "csv", str(tmp_path / "loans"))
    assert file.url == str(tmp_path / "loans.csv")
    assert file.rows == 2
    text = (tmp_path / "loans.csv").read_bytes().decode("utf-8")
    assert read(text) == [
        ["loan_id", "amount", "rate", "par", "loans", "due_on", "seen_at", "late"],
        ['Ø,"1"\n漢', "-1234567.80", "0.125000", "0.000000", "3", "2025-01-31", "2025-02-01T04:05:06Z", "true"],
        [""] * 8,
    ]


def test_totals_stay_out_so_that_a_column_adds_up(tmp_path):
    export(book(table("Loans", ROW, totals=({"amount": Decimal("-1234567.80")},))), "csv", str(tmp_path / "x.csv"))
    assert len(read((tmp_path / "x.csv").read_text(encoding="utf-8"))) == 2


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u00a0=1", "＝1", "\n=1", "\ufeff=1"]
)
def test_text_that_would_run_as_a_formula_is_quoted(tmp_path, text):
    export(book(table("Loans", (text, *ROW[1:]))), "csv", str(tmp_path / "x"))
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        row = list(csv.reader(file))[1]
    assert row[0] == f"'{text}"
    # A negative number is no formula.
    assert row[1] == "-1234567.80"


@pytest.mark.parametrize("text", ["a=1", "1-2", "O'Neil", "'=1", "", "e@mail.org"])
def test_other_text_is_left_alone(tmp_path, text):
    export(book(table("Loans", (text, *ROW[1:]))), "csv", str(tmp_path / "x"))
    assert read((tmp_path / "x.csv").read_text(encoding="utf-8"))[1][0] == text


def test_more_tables_are_a_zip_with_the_cover(tmp_path):
    empty = table("Loans; lost", no_data='nobody said "lost"')
    file = export(book(table("Loans", ROW), table("loans", ROW), empty), "csv", str(tmp_path / "all"))
    assert file.url.endswith("all.zip")
    assert file.rows == 2
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["cover.csv", "loans.csv", "loans_2.csv", "loans_lost.csv"]
        assert archive.testzip() is None
        cover = read(archive.read("cover.csv").decode())
        lost = read(archive.read("loans_lost.csv").decode())
    assert ["Parameters", "portfolio", "'=ALL"] in cover
    assert ["Report", "As of", "2025-01-31"] in cover
    assert ["Conventions", "par_operator", ">="] in cover
    assert ["Data versions", "t", "3"] in cover
    assert lost[1] == ['no data: nobody said "lost"', *[""] * 7]


def test_the_same_book_is_the_same_bytes(tmp_path):
    one = export(book(table("A", ROW), table("B", ROW)), "csv", str(tmp_path / "one"))
    two = export(book(table("A", ROW), table("B", ROW)), "csv", str(tmp_path / "two"))
    assert one.sha256 == two.sha256
