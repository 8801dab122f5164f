"""The PDF, read through what goes into the template, Typst's own view of the document, and the file's metadata."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO

import pandas as pd
import pytest
import typst

from lending_pipelines.exports import pdf
from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.export import export
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("loan_id", "Loan", "text"),
    ReportColumn("amount", "Amount", "money"),
    ReportColumn("rate", "Rate", "rate"),
    ReportColumn("due_on", "Due", "date"),
)
ROW = ("L-1", Decimal("-1234567.80"), Decimal("0.068750"), date(2025, 1, 31))
MARKUP = '#import "x" *a* $y$ = @z <l> \\ // /* [#panic("!")] `c`'


def table(title, *rows, **more):
    return ReportTable(title, COLUMNS, pd.DataFrame(rows, columns=[c.name for c in COLUMNS], dtype=object), **more)


def book(*tables, title="Test", charts=(), notes=("Mind this.",)):
    conventions, versions = {"par_operator": ">="}, {"loan_positions": 12}
    return ReportBook(
        "test", title, {"portfolio": "ALL"}, conventions, date(2025, 1, 31), versions, tables, charts, notes
    )


def written(*tables, **more):
    sink = BytesIO()
    rows = pdf.write_book(book(*tables, **more), sink)
    return rows, sink.getvalue()


def pages(content):
    return int(re.search(rb"<xmpTPg:NPages>(\d+)<", content)[1])


def typeset(document, **how):
    return typst.compile(
        pdf._TEMPLATE.read_bytes(), sys_inputs={"document": json.dumps(document)}, ignore_system_fonts=True, **how
    )


def texts(document, selector):
    """The texts in the elements that Typst finds."""
    found = typst.query(
        pdf._TEMPLATE.read_bytes(), selector, sys_inputs={"document": json.dumps(document)}, ignore_system_fonts=True
    )
    return list(_texts_in(json.loads(found)))


def _texts_in(content):
    if isinstance(content, list):
        for part in content:
            yield from _texts_in(part)
    elif content.get("func") == "text":
        yield content["text"]
    else:
        for name in ("body", "child", "children"):
            yield from _texts_in(content.get(name, []))


def test_everything_that_is_printed():
    totals = ({"currency": "EUR", "amount": Decimal("-1234567.80")},)
    document = pdf.document_of(book(table("Loans", ROW, (None,) * 4, totals=totals), table("Lost", no_data="none is")))
    assert document.pop("about").startswith("lending_pipelines ")
    loans, lost = document.pop("tables")
    assert document == {
        "title": "Test",
        "running_title": "Test",
        "as_of": "2025-01-31",
        "report_type": "test",
        "landscape": False,
        "parameters": [["portfolio", "ALL"]],
        "notes": ["Mind this."],
        "appendix": {"Conventions": [["par_operator", ">="]], "Data versions": [["loan_positions", "12"]]},
        "no_font": "",
    }
    [part] = loans.pop("parts")
    assert loans == {"title": "Loans", "no_data": "", "left_out": "", "charts": []}
    assert part["grid"]["labels"] == ["Loan", "Amount", "Rate", "Due"]
    assert part["grid"]["right"] == [False, True, True, False]
    assert part["grid"]["rows"] == [["L-1", "−1,234,567.80", "6.875%", "2025-01-31"], ["–"] * 4]
    assert part["grid"]["totals"] == [["Total EUR", "−1,234,567.80", "", ""]]
    assert (lost["title"], lost["no_data"], lost["parts"][0]["grid"]["rows"]) == ("Lost", "none is", [])


def test_the_document_holds_titles_cells_and_notes():
    document = pdf.document_of(book(table("Loans", ROW), table("Lost", no_data="none is")))
    assert texts(document, "heading.where(level: 1)") == ["Loans", "Lost", "Where the numbers come from"]
    assert texts(document, "heading.where(level: 2)") == [
        "Parameters",
        "Contents",
        "Notes",
        "Conventions",
        "Data versions",
    ]
    assert texts(document, "table") == ["Loan", "Amount", "Rate", "Due", "L-1", "−1,234,567.80", "6.875%", "2025-01-31"]


def test_text_is_never_markup():
    markup = (MARKUP, *ROW[1:])
    odd = table(MARKUP, markup, totals=({"loan_id": MARKUP},))
    document = pdf.document_of(book(odd, table("Lost", no_data=MARKUP), title=MARKUP, notes=[MARKUP]))
    assert texts(document, "heading.where(level: 1)")[0] == MARKUP
    assert texts(document, "table").count(MARKUP) == 2
    assert texts(document, "enum") == [MARKUP]
    rows, content = written(odd, title=MARKUP, notes=[MARKUP])
    assert (rows, content[:5]) == (1, b"%PDF-")


def test_headers_repeat_and_pages_are_numbered():
    document = pdf.document_of(book(table("Loans", *[ROW] * 200)))
    drawn = typeset(document, format="svg")
    assert len(drawn) > 3
    header = b"#1f3864"
    assert all(header in page for page in drawn[:-1])
    assert pages(written(table("Loans", *[ROW] * 200))[1]) == len(drawn)


def test_only_the_first_rows_of_a_long_table_are_printed_and_it_says_so():
    long = table("Loans", *[ROW] * 2345, totals=({"amount": Decimal("1.00")},))
    [printed] = pdf.document_of(book(long))["tables"]
    assert len(printed["parts"][0]["grid"]["rows"]) == pdf.PRINTED_ROWS == 2000
    assert printed["left_out"] == (
        "The first 2,000 of 2,345 rows are printed and 345 left out; totals are of all rows."
        " All rows are in the same report as CSV, XLSX, JSON or Parquet."
    )
    assert pdf.document_of(book(table("Loans", *[ROW] * 2000)))["tables"][0]["left_out"] == ""


def test_a_wide_table_is_printed_in_landscape_in_parts():
    columns = (ReportColumn("loan_id", "Loan", "text"), *(ReportColumn(f"c{n}", f"C {n}", "money") for n in range(40)))
    rows = pd.DataFrame([["L-1", *[Decimal("1234567.80")] * 40]] * 30, columns=[c.name for c in columns], dtype=object)
    document = pdf.document_of(book(ReportTable("Wide", columns, rows)))
    assert document["landscape"]
    assert len(document["tables"][0]["parts"]) > 1
    assert all(part["grid"]["labels"][0] == "Loan" for part in document["tables"][0]["parts"])
    assert b"/MediaBox[0 0 841.8898 595.2756]" in written(ReportTable("Wide", columns, rows))[1]


def test_charts_are_drawn_above_their_table_and_not_of_nothing():
    charts = (
        Chart("Amounts", "Loans", "bar", "due_on", ("amount",)),
        Chart("None", "Lost", "bar", "due_on", ("rate",)),
    )
    tables = (table("Loans", ROW), table("Lost", no_data="none is"))
    loans, lost = pdf.document_of(book(*tables, charts=charts))["tables"]
    assert [(chart["alt"], chart["svg"][:4]) for chart in loans["charts"]] == [("Amounts", "<svg")]
    assert lost["charts"] == []
    assert pages(written(*tables, charts=charts)[1]) >= 1


def test_it_is_an_archive_file_of_the_business_date_and_always_the_same(tmp_path):
    one, two = (export(book(table("Loans", ROW)), "pdf", str(tmp_path / name)) for name in ("one", "two"))
    assert (one.url, one.rows, one.sha256) == (str(tmp_path / "one.pdf"), 1, two.sha256)
    content = (tmp_path / "one.pdf").read_bytes()
    assert b"<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A<" in content
    assert b"/CreationDate(D:20250131000000Z)" in content
    assert datetime.now().strftime("%Y%m%d").encode() not in content


@pytest.mark.parametrize(
    "text",
    ["Łódź Ørsted Île", "Nguyễn Thị", "Иванов Ґї", "Ωμέγα", "שלום", "مرحبا", "नमस्ते", "€ £ ¥ ₹ ₽ ₺ ₴ ₦", "≥ − ÷ → …"],
)
def test_the_fonts_of_the_package_have(text):
    document = pdf.document_of(book(table("Loans", (text, *ROW[1:]))))
    assert typeset(document, format="pdf", pdf_standards=["a-2a"]).startswith(b"%PDF-")


def test_characters_without_a_font_are_named(monkeypatch):
    tried = []

    def compiled(document, system_fonts, archival=True):
        tried.append((document["no_font"], system_fonts, archival))
        return compile_(document, system_fonts, archival)

    compile_ = pdf._compile
    monkeypatch.setattr(pdf, "_compile", compiled)
    # U+0378 is not assigned: no font has it. U+E123 is for private use, which the standard does not allow.
    for text, named in (("a\u0378b", "U+0378"), ("a\ue123b", "")):
        tried.clear()
        content = written(table("Loans", (text, *ROW[1:])))[1]
        assert tried == [("", False, True), ("", True, True), (named, True, False)]
        assert content.startswith(b"%PDF-")
        assert b"pdfaid:part" not in content


def test_a_document_that_typst_refuses_is_an_error():
    document = {**pdf.document_of(book(table("Loans", ROW))), "as_of": "never"}
    with pytest.raises(ExportError, match="test: the PDF cannot be typeset: error: "):
        pdf._typeset(document)
