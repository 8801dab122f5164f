"""What export_rows wrote is read back as text, whatever the format; XML is the same bytes for the same rows."""

from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.export import export_rows
from lending_pipelines.exports.reading import read_batches
from lending_pipelines.exports.xml import XmlShape
from lending_pipelines.reports.book import Cover, ReportColumn

SHAPE = XmlShape("http://example.test/loans", "loans", "loan")
COVER = Cover("Loans", {})
TEXT = [ReportColumn("id", "Id", "text"), ReportColumn("name", "Name", "text")]
NAMES = ["id", "name"]
ROWS = [{"id": "A", "name": "one\nline & <more>"}, {"id": "B", "name": None}, {"id": "C", "name": "\x00 é"}]


def _write(rows, columns, output_format, tmp_path, batch=10):
    table = pa.Table.from_pylist(rows)
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=batch))
    return export_rows(reader, columns, output_format, str(tmp_path / "x"), COVER, SHAPE)


def _read(path, output_format, names):
    return [row for batch in read_batches(str(path), output_format, names) for row in batch.to_pylist()]


@pytest.mark.parametrize("output_format", ["csv", "parquet", "xlsx", "xml"])
def test_text_comes_back(tmp_path, output_format):
    rows = ROWS[:2]
    made = _write(rows, TEXT, output_format, tmp_path)
    assert made.rows == 2
    assert _read(made.url, output_format, NAMES) == rows


@pytest.mark.parametrize("output_format", ["csv", "parquet", "xlsx"])
def test_ids_that_a_spreadsheet_could_run_come_back_in_order(tmp_path, output_format):
    rows = [{"id": "+1", "name": "'quoted'"}, {"id": "1", "name": "=A1"}, {"id": "@2", "name": "-"}]
    made = _write(rows, TEXT, output_format, tmp_path)
    assert _read(made.url, output_format, NAMES) == rows


@pytest.mark.parametrize("output_format", ["csv", "parquet", "xlsx"])
def test_amounts_and_dates_come_back_as_the_format_has_them(tmp_path, output_format):
    columns = [ReportColumn("id", "Id", "text"), ReportColumn("due", "Due", "money"), ReportColumn("on", "On", "date")]
    made = _write([{"id": "A", "due": Decimal("-1.50"), "on": date(2025, 1, 31)}], columns, output_format, tmp_path)
    (row,) = _read(made.url, output_format, ["id", "due", "on"])
    assert Decimal(row["due"]) == Decimal("-1.5")
    assert row["on"][:10] == "2025-01-31"


def test_a_worksheet_without_rows_and_an_xml_file_without_rows_have_none(tmp_path):
    schema = pa.schema([("id", pa.string()), ("name", pa.string())])
    for output_format in ("xml", "xlsx", "csv"):
        made = export_rows(
            pa.RecordBatchReader.from_batches(schema, []), TEXT, output_format, str(tmp_path / "e"), COVER, SHAPE
        )
        assert _read(made.url, output_format, NAMES) == []


def test_xml_escapes_leaves_out_null_and_is_the_same_for_any_batches(tmp_path):
    made = _write(ROWS, TEXT, "xml", tmp_path)
    content = (tmp_path / "x.xml").read_bytes()
    root = ElementTree.fromstring(content)
    assert root.tag == "{http://example.test/loans}loans"
    children = [[(child.tag.rpartition("}")[2], child.text) for child in loan] for loan in root]
    assert children == [
        [("id", "A"), ("name", "one\nline & <more>")],
        [("id", "B")],
        # What XML cannot hold is shown as such.
        [("id", "C"), ("name", "\ufffd é")],
    ]
    assert _write(ROWS, TEXT, "xml", tmp_path, batch=1).sha256 == made.sha256


def test_what_is_no_text_or_has_no_shape_is_not_written_as_xml(tmp_path):
    columns = [ReportColumn("n", "N", "count")]
    with pytest.raises(ExportError, match="column n is not text"):
        _write([{"n": 1}], columns, "xml", tmp_path)
    table = pa.table({"id": ["A"]})
    with pytest.raises(ExportError, match="unknown row format 'xml'"):
        export_rows(table.to_reader(), TEXT[:1], "xml", str(tmp_path / "x"), COVER)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    for output_format in ("parquet", "xml", "xlsx"):
        path = tmp_path / f"x.{output_format}"
        path.write_bytes(b"nonsense")
        with pytest.raises(ExportError, match="cannot be read"):
            _read(path, output_format, NAMES)
    with pytest.raises(ExportError, match="rows cannot be read from 'pdf'"):
        _read("x.pdf", "pdf", NAMES)
