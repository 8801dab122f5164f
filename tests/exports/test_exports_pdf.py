"""The PDF, read through what goes into the template, Typst's own view of the document, and the file's metadata."""

import json
import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO

import pandas as pd
import pytest
import typst
from pypdf import PdfReader

from lending_pipelines.exports import pdf
from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.export import export
from lending_pipelines.exports.lender import Lender
from lending_pipelines.exports.pdf_grid import PRINTED_ROWS
from lending_pipelines.reports.book import Chart, Comparison, ReportBook, ReportColumn, ReportTable, Section

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
        "lender": "",
        "logo": [],
        "logo_format": "",
        "title": "Test",
        "running_title": "Test",
        "as_of": "2025-01-31",
        "compared_with": "",
        "alerts": [],
        "headlines": [],
        "charts": [],
        "beside": False,
        "report_type": "test",
        "landscape": False,
        "parameters": [["portfolio", "ALL"]],
        "notes": ["Mind this."],
        "appendix": {"Conventions": [["par_operator", ">="]], "Data versions": [["loan_positions", "12"]]},
        "no_font": "",
    }
    [part] = loans.pop("parts")
    assert loans == {"title": "Loans", "no_data": "", "left_out": "", "empty": "", "heatmap": False, "charts": []}
    assert part["grid"]["labels"] == ["Loan", "Amount", "Rate", "Due"]
    assert part["grid"]["right"] == [False, True, True, False]
    assert part["grid"]["rows"] == [["L-1", "−1,234,567.80", "6.875%", "2025-01-31"], ["–"] * 4]
    assert part["grid"]["totals"] == [["Total EUR", "−1,234,567.80", "", ""]]
    assert (lost["title"], lost["no_data"], lost["parts"][0]["grid"]["rows"]) == ("Lost", "none is", [])


def test_the_document_holds_titles_cells_and_notes():
    document = pdf.document_of(book(table("Loans", ROW), table("Lost", no_data="none is")))
    assert texts(document, "heading.where(level: 1)") == ["Loans", "Lost", "Notes", "Parameters and conventions"]
    assert texts(document, "heading.where(level: 2)") == [
        "Contents",
        "Parameters",
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
    assert len(printed["parts"][0]["grid"]["rows"]) == PRINTED_ROWS == 2000
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
        Chart("Rates", "Loans", "bar", "due_on", ("rate",)),
        Chart("Amounts", "Loans", "bar", "due_on", ("amount",)),
        Chart("None", "Lost", "bar", "due_on", ("rate",)),
    )
    tables = (table("Loans", ROW), table("Lost", no_data="none is"))
    document = pdf.document_of(book(*tables, charts=charts))
    loans, lost = document["tables"]
    assert [chart["alt"] for chart in document["charts"]] == ["Rates"]
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


def _page(content, number):
    return " ".join(PdfReader(BytesIO(content)).pages[number].extract_text().split())


def test_the_first_page_has_the_lender_the_numbers_with_their_change_and_the_alerts():
    columns = (
        ReportColumn("currency", "Currency", "text"),
        ReportColumn("balance", "Balance", "money"),
        ReportColumn("par_30", "PAR 30", "rate"),
        ReportColumn("loans", "Loans", "count"),
    )
    rows = [("EUR", Decimal("110.00"), 0.05, 3)]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns], dtype=object)
    earlier = ({"currency": "EUR", "balance": Decimal("100.00"), "par_30": 0.0625, "loans": 0},)
    made = replace(
        book(table("Loans", ROW)),
        headlines=ReportTable("Headline numbers", columns, frame),
        previous=Comparison("2024-12-31", earlier),
        alerts=["Sold to A Fund."],
    )
    sink = BytesIO()
    pdf.write_book(made, sink, Lender("Cedar Bank"))
    first = _page(sink.getvalue(), 0)
    # 110 is 10 % more than 100; 5 % is 1.25 points less than 6.25 %; from 0 there is no percentage.
    for text in (
        "Cedar Bank",
        "Sold to A Fund.",
        "Change from 2024-12-31",
        "+10.0% from 100.00",
        "−1.25 pp from 6.25%",
    ):
        assert text in first
    assert "+3 from 0" in first
    assert first.index("Contents") > first.index("Balance")


def test_the_parameters_are_at_the_end():
    content = written(table("Loans", ROW))[1]
    text = " ".join(_page(content, n) for n in range(pages(content)))
    assert text.rindex("Parameters and conventions") > text.rindex("−1,234,567.80")


def test_an_empty_column_is_left_out_and_named():
    [printed] = pdf.document_of(book(table("Loans", (*ROW[:3], None), (*ROW[:3], None))))["tables"]
    assert printed["parts"][0]["grid"]["labels"] == ["Loan", "Amount", "Rate"]
    assert printed["empty"] == "Empty and left out: Due."


def test_printed_shares_add_up_to_the_printed_total():
    # Thirds are 33.33 % each: one of them is printed as 33.34 %, the first of equal remainders.
    rows = [(f"L-{n}", Decimal("1.00"), 1 / 3, None) for n in range(3)]
    [printed] = pdf.document_of(book(table("Loans", *rows, totals=({"rate": 1.0},))))["tables"]
    grid = printed["parts"][0]["grid"]
    assert [row[2] for row in grid["rows"]] == ["33.34%", "33.33%", "33.33%"]
    assert grid["totals"][0][2] == "100.00%"


def test_each_section_has_its_heading_opening_and_closing():
    sections = (
        Section("1000 Cash", 1, {"loan_id": "Opening", "amount": Decimal("5.00")}, {"loan_id": "Closing"}),
        Section("2000 Debt", 2, {"loan_id": "Opening"}, {"loan_id": "Closing", "amount": Decimal("7.00")}),
    )
    [printed] = pdf.document_of(book(table("Lines", ROW, ROW, ROW, sections=sections)))["tables"]
    grid = printed["parts"][0]["grid"]
    assert grid["lines"] == ["heading", "bound", "row", "bound", "heading", "bound", "row", "row", "bound"]
    assert [row[0] for row in grid["rows"]][:2] == ["1000 Cash", "Opening"]
    assert grid["rows"][1][1] == "5.00"
    assert grid["rows"][-1][:2] == ["Closing", "7.00"]
    assert "1000 Cash" in _page(written(table("Lines", ROW, ROW, ROW, sections=sections))[1], 0)


def test_a_marked_row_stands_out_and_a_heat_map_is_shaded_by_size():
    marked, heat = pdf.document_of(
        book(
            table("Marked", ROW, ("L-2", *ROW[1:]), marked=("loan_id", "L-2")),
            ReportTable(
                "Heat", (COLUMNS[0], ReportColumn("r", "R", "rate")), _rates(0.0, 0.5, None, 2.0), heatmap=True
            ),
        )
    )["tables"]
    assert marked["parts"][0]["grid"]["lines"] == ["row", "marked"]
    # Of the largest, 2.0, these are nothing, a quarter and all.
    assert [row[1] for row in heat["parts"][0]["grid"]["fills"]] == [0.0, 0.25, None, 1.0]


def _rates(*rates):
    return pd.DataFrame({"loan_id": [f"L-{n}" for n in range(len(rates))], "r": pd.array(rates, dtype="Float64")})


def test_a_table_of_no_printed_rows_is_in_other_formats_alone():
    document = pdf.document_of(book(table("Loans", ROW), table("Long", ROW, printed_rows=0)))
    assert [printed["title"] for printed in document["tables"]] == ["Loans"]
    assert document["notes"][-1] == "Not printed, and in the same report as CSV, XLSX, JSON or Parquet: Long."
