import io
import json
import zipfile
from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.exports.export import export
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("loan_id", "Loan", "text"),
    ReportColumn("amount", "Amount", "money"),
    ReportColumn("due_on", "Due", "date"),
)
ROWS = [("Ø", Decimal("-1.10"), date(2025, 1, 31)), (None, None, None)]


def table(title, rows, **more):
    return ReportTable(title, COLUMNS, pd.DataFrame(rows, columns=[c.name for c in COLUMNS], dtype=object), **more)


def book(*tables):
    return ReportBook("test", "Test", {"portfolio": "ALL"}, {}, date(2025, 1, 31), {"loan_positions": 12}, tables)


def test_one_table_is_one_file_with_types_kinds_and_cover(tmp_path):
    totals = ({"amount": Decimal("-1.10")},)
    file = export(book(table("Loans", ROWS, totals=totals)), "parquet", str(tmp_path / "x"))
    assert (file.url, file.rows) == (str(tmp_path / "x.parquet"), 2)
    read = pq.read_table(tmp_path / "x.parquet")
    assert read.schema.types == [pa.string(), pa.decimal128(38, 2), pa.date32()]
    assert [tuple(row.values()) for row in read.to_pylist()] == ROWS
    assert [field.metadata for field in read.schema] == [
        {b"kind": column.kind.encode(), b"label": column.label.encode()} for column in COLUMNS
    ]
    cover = json.loads(read.schema.metadata[b"cover"])
    assert (cover["title"], cover["Report"]["As of"]) == ("Test", "2025-01-31")
    assert (cover["Parameters"], cover["Data versions"]) == ({"portfolio": "ALL"}, {"loan_positions": "12"})


def test_more_tables_are_a_zip_of_a_file_each(tmp_path):
    tables = (table("Loans; due", ROWS), table("Lost", [], no_data="no loan is lost"))
    file = export(book(*tables), "parquet", str(tmp_path / "x"))
    assert (file.url, file.rows) == (str(tmp_path / "x.zip"), 2)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == ["loans_due.parquet", "lost.parquet"]
        loans, lost = (pq.read_table(io.BytesIO(archive.read(name))) for name in archive.namelist())
    assert loans["loan_id"].to_pylist() == ["Ø", None]
    assert lost.num_rows == 0
    assert lost.schema.equals(loans.schema, check_metadata=True)
    assert json.loads(lost.schema.metadata[b"cover"])["Tables"]["Lost"] == "no data: no loan is lost"


def test_the_same_book_is_the_same_bytes(tmp_path):
    tables = (table("A", ROWS), table("B", ROWS))
    one, two = (export(book(*tables), "parquet", str(tmp_path / name)) for name in ("one", "two"))
    assert one.sha256 == two.sha256
