import csv
import json
from datetime import date
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.worksheet._writer import ALL_TEMP_FILES

from lending_pipelines.exports import xlsx
from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.export import export, export_rows
from lending_pipelines.reports.book import Cover, ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("loan", "Loan", "text"),
    ReportColumn("balance", "Balance", "money"),
    ReportColumn("on", "On", "date"),
)
SCHEMA = pa.schema([("loan", pa.string()), ("balance", pa.decimal128(18, 2)), ("on", pa.date32())])
COVER = Cover("Tape =1", {"Tape": {"Business date": "2025-01-31"}})


def reader(*batches):
    rows = [
        pa.RecordBatch.from_pylist(
            [{"loan": loan, "balance": Decimal(balance), "on": date(2025, 1, 31)} for loan, balance in batch], SCHEMA
        )
        for batch in batches
    ]
    return pa.RecordBatchReader.from_batches(SCHEMA, rows)


def two_batches():
    return reader([("L1", "1.10"), ("=L2", "-2.20")], [("L3", "3.30")])


def test_csv(tmp_path):
    file = export_rows(two_batches(), COLUMNS, "csv", str(tmp_path / "tape"), COVER)
    assert file.rows == 3
    with (tmp_path / "tape.csv").open(encoding="utf-8", newline="") as text:
        assert list(csv.reader(text)) == [
            ["loan", "balance", "on"],
            ["L1", "1.10", "2025-01-31"],
            ["'=L2", "-2.20", "2025-01-31"],
            ["L3", "3.30", "2025-01-31"],
        ]


def test_xlsx(tmp_path):
    file = export_rows(two_batches(), COLUMNS, "xlsx", str(tmp_path / "tape.xlsx"), COVER)
    assert (file.url, file.rows) == (str(tmp_path / "tape.xlsx"), 3)
    book = openpyxl.load_workbook(tmp_path / "tape.xlsx")
    assert book.sheetnames == ["Cover", "Tape =1"]
    assert [[cell.value for cell in row[:2]] for row in book["Tape =1"].iter_rows()] == [
        ["Loan", "Balance"],
        ["L1", 1.1],
        ["=L2", -2.2],
        ["L3", 3.3],
    ]
    assert book["Tape =1"]["A3"].data_type == "s"


def test_parquet_keeps_types_and_the_cover(tmp_path):
    file = export_rows(two_batches(), COLUMNS, "parquet", str(tmp_path / "tape"), COVER)
    assert file.rows == 3
    table = pq.read_table(tmp_path / "tape.parquet")
    assert table.schema.types == SCHEMA.types
    assert table["loan"].to_pylist() == ["L1", "=L2", "L3"]
    assert json.loads(table.schema.metadata[b"cover"]) == {"title": "Tape =1", "Tape": {"Business date": "2025-01-31"}}


def test_no_rows_are_a_header_alone(tmp_path):
    for output_format in ("csv", "xlsx", "parquet"):
        assert export_rows(reader(), COLUMNS, output_format, str(tmp_path / "tape"), COVER).rows == 0
    assert (tmp_path / "tape.csv").read_text(encoding="utf-8") == '"loan","balance","on"\n'
    assert pq.read_table(tmp_path / "tape.parquet").schema.types == SCHEMA.types


def test_a_reader_that_fails_leaves_nothing(tmp_path):
    def batches():
        yield from two_batches()
        raise RuntimeError("the lake went away")

    for output_format in ("csv", "xlsx", "parquet"):
        broken = pa.RecordBatchReader.from_batches(SCHEMA, batches())
        with pytest.raises(RuntimeError, match="the lake went away"):
            export_rows(broken, COLUMNS, output_format, str(tmp_path / "tape"), COVER)
    assert list(tmp_path.iterdir()) == []
    assert ALL_TEMP_FILES == []


def cells(path):
    book = openpyxl.load_workbook(path)
    return {sheet.title: [[cell.value for cell in row[:2]] for row in sheet.iter_rows()] for sheet in book}


def test_more_rows_than_a_worksheet_holds_go_on_in_the_next(tmp_path, monkeypatch):
    # A header and two rows: the second batch of three is cut in two.
    monkeypatch.setattr(xlsx, "_LAST_ROW", 3)
    rows = reader([("L1", "1.00")], [("L2", "2.00"), ("L3", "3.00"), ("L4", "4.00")], [("L5", "5.00")])
    assert export_rows(rows, COLUMNS, "xlsx", str(tmp_path / "tape"), COVER).rows == 5
    found = cells(tmp_path / "tape.xlsx")
    cover = dict(row[:2] for row in found.pop("Cover") if row[0])
    header = ["Loan", "Balance"]
    assert found == {
        "Tape =1": [header, ["L1", 1], ["L2", 2]],
        "Tape =1 2": [header, ["L3", 3], ["L4", 4]],
        "Tape =1 3": [header, ["L5", 5]],
    }
    assert cover["Split"].startswith("A worksheet holds 2 rows at most")
    assert cover["Tape =1 2"] == "rows 3 to 4 of Tape =1"
    assert cover["Tape =1 3"] == "rows 5 to 5 of Tape =1"


def test_a_worksheet_ends_before_it_is_larger_than_excel_opens(tmp_path, monkeypatch):
    # A row is 120 to 160 bytes, so that two slices of 16,384 rows are more than three million.
    monkeypatch.setattr(xlsx, "_LARGEST_XML", 3_000_000)
    loans = [f"L{number}" for number in range(20_000)]
    rows = reader([(loan, "1.00") for loan in loans])
    assert export_rows(rows, COLUMNS, "xlsx", str(tmp_path / "t"), COVER).rows == 20_000
    found = cells(tmp_path / "t.xlsx")
    assert dict(row[:2] for row in found["Cover"])["Tape =1 2"] == "rows 16,385 to 20,000 of Tape =1"
    assert [row[0] for name in ("Tape =1", "Tape =1 2") for row in found[name][1:]] == loans


def test_rows_that_fill_a_worksheet_need_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(xlsx, "_LAST_ROW", 4)
    export_rows(two_batches(), COLUMNS, "xlsx", str(tmp_path / "tape"), COVER)
    found = cells(tmp_path / "tape.xlsx")
    assert list(found) == ["Cover", "Tape =1"]
    assert not any(row[0] == "Split" for row in found["Cover"])


@pytest.mark.parametrize("output_format", ["csv", "xlsx", "parquet"])
def test_the_same_rows_are_the_same_bytes_however_they_are_handed_over(tmp_path, output_format):
    rows = [(f"L{number}", f"{number}.00") for number in range(20_000)]
    made = [
        export_rows(reader(*batches), COLUMNS, output_format, str(tmp_path / "tape"), COVER).sha256
        for batches in ([rows], [rows[:7], rows[7:17_000], [], rows[17_000:]])
    ]
    assert made[0] == made[1]


def test_columns_must_be_those_of_the_rows(tmp_path):
    with pytest.raises(ExportError, match=r"the columns \['loan', 'balance', 'on'\], expected \['loan'\]"):
        export_rows(two_batches(), COLUMNS[:1], "csv", str(tmp_path / "tape"), COVER)


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(ExportError, match="unknown row format 'xls': write one of csv, xlsx, parquet"):
        export_rows(two_batches(), COLUMNS, "xls", str(tmp_path / "tape"), COVER)
    table = ReportTable("T", COLUMNS, two_batches().read_all().to_pandas())
    book = ReportBook("r", "R", {}, {}, date(2025, 1, 31), {}, [table])
    with pytest.raises(ExportError, match="unknown report format 'doc': write one of csv, xlsx, pdf, json, parquet"):
        export(book, "doc", str(tmp_path / "tape"))


def test_a_book_and_a_stream_write_the_same_csv(tmp_path):
    table = ReportTable("T", COLUMNS, two_batches().read_all().to_pandas())
    book = ReportBook("r", "R", {}, {}, date(2025, 1, 31), {}, [table])
    from_book = export(book, "csv", str(tmp_path / "book"))
    assert from_book.sha256 == export_rows(two_batches(), COLUMNS, "csv", str(tmp_path / "rows"), COVER).sha256
