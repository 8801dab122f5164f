import re
import zipfile
from datetime import date, datetime
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest

from lending_pipelines.exports.export import export
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("name", "Name", "text"),
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("amount", "Amount", "money"),
    ReportColumn("rate", "Rate", "rate"),
    ReportColumn("par", "PAR", "rate"),
    ReportColumn("moic", "MOIC", "ratio"),
    ReportColumn("collected_pct", "Collected", "percent"),
    ReportColumn("loans", "Loans", "count"),
    ReportColumn("due_on", "Due", "date"),
    ReportColumn("seen_at", "Seen", "instant"),
    ReportColumn("late", "Late", "flag"),
)
VALUES = (
    "USD",
    Decimal("-1234567.80"),
    Decimal("0.068750"),
    0.25,
    1.5,
    97.25,
    1234,
    date(2025, 1, 31),
    datetime(2025, 2, 1, 4, 5, 6),
    True,
)


def table(title, *names, **more):
    rows = [(name, *VALUES) for name in names]
    return ReportTable(title, COLUMNS, pd.DataFrame(rows, columns=[c.name for c in COLUMNS], dtype=object), **more)


def workbook(path, *tables, charts=()):
    parameters, conventions = {"portfolio": "ALL"}, {"par_operator": ">=", "dpd_method": "rolling"}
    book = ReportBook(
        "test",
        "=Test",
        parameters,
        conventions,
        date(2025, 1, 31),
        {"loan_positions": 12},
        tables,
        charts,
        ["Mind this."],
    )
    return export(book, "xlsx", str(path)), openpyxl.load_workbook(f"{path}.xlsx")


def test_cells_are_typed_and_formatted(tmp_path):
    file, book = workbook(tmp_path / "x", table("Loans", "Ørsted 漢字", None))
    assert file.rows == 2
    sheet = book["Loans"]
    assert [cell.value for cell in sheet[5]] == [column.label for column in COLUMNS]
    assert [(cell.value, cell.data_type, cell.number_format) for cell in sheet[6]] == [
        ("Ørsted 漢字", "s", "@"),
        ("USD", "s", "@"),
        (-1234567.8, "n", "#,##0.00"),
        (0.06875, "n", "0.00####%"),
        (0.25, "n", "0.00%"),
        (1.5, "n", "0.0000"),
        (97.25, "n", '0.00"%"'),
        (1234, "n", "#,##0"),
        (datetime(2025, 1, 31), "d", "yyyy-mm-dd"),
        (datetime(2025, 2, 1, 4, 5, 6), "d", "yyyy-mm-dd hh:mm:ss"),
        (True, "b", "General"),
    ]
    assert sheet["A7"].value is None


def test_the_sheet_is_ready_to_work_with(tmp_path):
    sheet = workbook(tmp_path / "x", table("Loans", "a", "b" * 200))[1]["Loans"]
    assert sheet.freeze_panes == "C6"
    assert sheet.auto_filter.ref == "A5:K7"
    assert sheet["A5"].font.b
    assert sheet.column_dimensions["A"].width == 60
    assert sheet.column_dimensions["C"].width >= len("-1,234,567.80")
    assert sheet.print_title_rows == "$5:$5"


def test_totals_are_bold_values_below_the_filter(tmp_path):
    totals = ({"currency": "EUR", "amount": Decimal("1.10")}, {"currency": "USD", "amount": Decimal("-2.20")})
    sheet = workbook(tmp_path / "x", table("Loans", "a", totals=totals))[1]["Loans"]
    assert sheet.auto_filter.ref == "A5:K6"
    assert [(row[0].value, row[1].value, row[2].value, row[3].value) for row in sheet.iter_rows(min_row=7)] == [
        ("Total EUR", "EUR", 1.1, None),
        ("Total USD", "USD", -2.2, None),
    ]
    assert sheet["C7"].font.b
    assert (sheet["C8"].data_type, sheet["C8"].number_format) == ("n", "#,##0.00")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =cmd|'/c calc'!A1", "#N/A", "=A1:A2"])
def test_text_is_never_a_formula_nor_an_error(tmp_path, text):
    book = workbook(tmp_path / "x", table("Loans", text, totals=({"name": text},)))[1]
    for cell in (book["Loans"]["A6"], book["Loans"]["A7"]):
        assert (cell.value, cell.data_type) == (text, "s")
        assert cell.quotePrefix == (text != "#N/A")
    assert (book["Cover"]["A1"].value, book["Cover"]["A1"].data_type) == ("=Test", "s")
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        sheets = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
    assert not any(re.search(rb"<f[ >]", sheet) for sheet in sheets)


def test_a_negative_amount_is_a_number(tmp_path):
    cell = workbook(tmp_path / "x", table("Loans", "a"))[1]["Loans"]["C6"]
    assert (cell.data_type, cell.quotePrefix) == ("n", False)


def test_control_characters_and_endless_text_stay_visible(tmp_path):
    sheet = workbook(tmp_path / "x", table("Loans", "a\x00b", "c" * 40_000))[1]["Loans"]
    assert sheet["A6"].value == "a\ufffdb"
    assert len(sheet["A7"].value) == 32_767
    assert sheet["A7"].value.endswith("…")


def test_an_empty_table_says_no_data(tmp_path):
    file, book = workbook(tmp_path / "x", table("Loans", no_data="no loan is overdue"))
    assert file.rows == 0
    assert [cell.value for cell in book["Loans"][6]] == ["no data: no loan is overdue", *[None] * 10]


def test_the_cover_says_where_the_numbers_come_from(tmp_path):
    cover = workbook(tmp_path / "x", table("Loans", "a"))[1]["Cover"]
    lines = {row[0]: row[1] for row in cover.iter_rows(values_only=True) if row[1:] and row[1] is not None}
    assert lines["As of"] == "2025-01-31"
    assert lines["portfolio"] == "ALL"
    assert lines["dpd_method"] == "rolling"
    assert lines["loan_positions"] == "12"
    assert lines["Generated by"].startswith("lending_pipelines ")
    assert lines["Loans"] == "1 row"
    assert lines["1"] == "Mind this."


def test_charts_draw_the_cells_of_their_table(tmp_path):
    charts = [
        Chart("Balance", "Dén's table", "line", "due_on", ("amount", "par")),
        Chart("Stack", "Dén's table", "stacked", "due_on", ("amount",)),
        Chart("Nothing", "Empty", "bar", "due_on", ("amount",)),
    ]
    tables = (table("Dén's table", "a", "b", totals=({"amount": Decimal("1.00")},)), table("Empty", no_data="none"))
    book = workbook(tmp_path / "x", *tables, charts=charts)[1]
    line, stack = book["Dén's table"]._charts
    assert [series.val.numRef.f for series in line.series] == [
        "'Dén''s table'!$C$6:$C$7",
        "'Dén''s table'!$E$6:$E$7",
    ]
    assert [series.tx.strRef.f for series in line.series] == ["'Dén''s table'!$C$5", "'Dén''s table'!$E$5"]
    assert line.series[0].cat.numRef.f == "'Dén''s table'!$I$6:$I$7"
    assert (stack.grouping, stack.overlap) == ("stacked", 100)
    assert not line.x_axis.delete
    assert stack.x_axis.tickLblPos == "low"
    assert book["Empty"]._charts == []


def test_the_same_book_is_the_same_bytes(tmp_path):
    charts = [Chart("Balance", "Loans", "line", "due_on", ("amount",))]
    one = workbook(tmp_path / "one", table("Loans", "a"), charts=charts)[0]
    two = workbook(tmp_path / "two", table("Loans", "a"), charts=charts)[0]
    assert one.sha256 == two.sha256


def _sums(tmp_path, *totals):
    """The workbook's totals as formulas, and as the values kept beside them."""
    columns = (ReportColumn("loan", "Loan", "text"), COLUMNS[1], ReportColumn("amount", "Amount", "money"))
    rows = [("a", "USD", Decimal("1.10")), ("b", "EUR", Decimal("5.00")), ("c", "USD", Decimal("2.20"))]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns], dtype=object)
    workbook(tmp_path / "x", ReportTable("Loans", columns, frame, totals))
    formulas, values = (openpyxl.load_workbook(tmp_path / "x.xlsx", data_only=only)["Loans"] for only in (False, True))
    return [(formulas[f"C{row}"].value, values[f"C{row}"].value) for row in range(9, 9 + len(totals))]


def test_a_total_of_a_currency_is_a_formula_with_its_value(tmp_path):
    totals = ({"currency": "EUR", "amount": Decimal("5.00")}, {"currency": "USD", "amount": Decimal("3.30")})
    assert _sums(tmp_path, *totals) == [
        ('=SUMIFS(C$6:C$8,$B$6:B$8,"EUR")', 5),
        ('=SUMIFS(C$6:C$8,$B$6:B$8,"USD")', 3.3),
    ]


def test_a_total_of_more_than_the_listed_rows_is_a_value(tmp_path):
    assert _sums(tmp_path, {"currency": "USD", "amount": Decimal("99.00")}) == [(99, 99)]


def test_every_sheet_says_what_it_is_of_when_and_in_what_unit(tmp_path):
    book = workbook(tmp_path / "x", table("Loans", "a"))[1]
    assert [book["Loans"][f"A{row}"].value for row in (1, 2, 3)] == [
        "Loans",
        "=Test, as of 2025-01-31",
        "Amounts in USD, to the cent. Rates in per cent. Ratios as decimal numbers. Counts in units.",
    ]
    for sheet in book:
        assert sheet.oddHeader.right.text == "as of 2025-01-31"
        assert sheet.oddFooter.right.text == "Page &P of &N"
        assert str(sheet.page_setup.paperSize) == "9"


def test_a_wide_table_keeps_its_size_on_paper_and_repeats_its_keys(tmp_path):
    columns = (COLUMNS[0], *(ReportColumn(f"c{n}", f"C {n}", "money") for n in range(30)))
    frame = pd.DataFrame([["a", *[Decimal("1234567.80")] * 30]], columns=[c.name for c in columns], dtype=object)
    book = workbook(tmp_path / "x", ReportTable("Wide", columns, frame), table("Loans", "a"))[1]
    wide = book["Wide"]
    assert (wide.page_setup.scale, wide.print_title_cols, wide.sheet_properties.pageSetUpPr.fitToPage) == (
        64,
        "$A:$A",
        None,
    )
    assert book["Cover"].sheet_properties.pageSetUpPr.fitToPage


def test_the_cover_links_to_each_table(tmp_path):
    cover = workbook(tmp_path / "x", table("Dén's table", "a"))[1]["Cover"]
    [link] = [cell.hyperlink for row in cover.iter_rows() for cell in row if cell.hyperlink]
    assert (cover[link.ref].value, link.location) == ("Dén's table", "'Dén''s table'!A1")


def test_keys_beside_names_are_folded_and_the_sheet_is_named_right_of_them(tmp_path):
    columns = (
        ReportColumn("portfolio_id", "Portfolio ID", "text"),
        ReportColumn("name", "Portfolio", "text"),
        ReportColumn("amount", "Amount", "money"),
    )
    rows = [("264d021afcc240e582a9ffe6de1fe118", "Seasoned 2024", Decimal("1.00"))]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    sheet = workbook(tmp_path / "x", ReportTable("Keys", columns, frame, ({"amount": Decimal("1.00")},)))[1]["Keys"]
    assert [sheet.column_dimensions[letter].hidden for letter in "ABC"] == [True, False, False]
    assert sheet.column_dimensions["A"].outlineLevel == 1
    assert (sheet["A1"].value, sheet["B1"].value) == (None, "Keys")
    assert (sheet["A6"].value, sheet["B7"].value, sheet["C7"].value) == (rows[0][0], "Total", "=SUM(C$6:C$6)")


def test_amounts_fit_their_columns_totals_included(tmp_path):
    total = {"currency": "USD", "amount": Decimal("-123456789012.34")}
    sheet = workbook(tmp_path / "x", table("Loans", "a", totals=(total,)))[1]["Loans"]
    assert sheet.column_dimensions["C"].width >= len("-123,456,789,012.34") + 1


def test_a_chart_is_below_a_short_table_and_beside_a_long_one(tmp_path):
    tables = (table("Short", *["a"] * 5), table("Long", *["a"] * 100))
    charts = [Chart(title, title, "bar", "due_on", ("amount",)) for title in ("Short", "Long")]
    book = workbook(tmp_path / "x", *tables, charts=charts)[1]
    places = {name: book[name]._charts[0].anchor._from for name in ("Short", "Long")}
    # Counted from 0: the last row of the short table is in row 10, and the long one has 11 columns.
    assert (places["Short"].col, places["Short"].row > 9) == (0, True)
    assert (places["Long"].col > 10, places["Long"].row) == (True, 4)
    assert not book["Short"].print_area
    assert "," in book["Long"].print_area


def test_a_chart_of_a_currency_draws_only_its_rows(tmp_path):
    columns = (
        ReportColumn("currency", "Currency", "text"),
        ReportColumn("product", "Product", "text"),
        ReportColumn("amount", "Amount", "money"),
    )
    rows = [("EUR", "Vehicle loan", Decimal("1.00")), ("USD", "Vehicle loan", Decimal("2.00"))]
    rows += [("USD", "Working capital loan", Decimal("3.00"))]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns], dtype=object)
    chart = Chart("Amounts, USD", "Products", "bar", "product", ("amount",), currency="USD")
    [drawn] = workbook(tmp_path / "x", ReportTable("Products", columns, frame), charts=[chart])[1]["Products"]._charts
    assert drawn.series[0].val.numRef.f == "'Products'!$C$7:$C$8"
    # Long names: the bars lie on their side, the first at the top.
    assert (drawn.type, drawn.x_axis.scaling.orientation) == ("bar", "maxMin")


def test_the_cover_has_the_numbers_and_contents_on_its_first_page_and_the_version_at_its_end(tmp_path):
    book = workbook(tmp_path / "x", *(table(f"Loans {n}", "a") for n in range(30)))[1]
    cover = book["Cover"]
    first = [row[0].value for row in cover.iter_rows() if row[0].value]
    assert first.index("Tables") < first.index("Notes") < first.index("Parameters") < first.index("Report")
    [small_print] = cover.row_breaks.brk
    assert cover.cell(small_print.id + 2, 1).value == "Parameters"
    for sheet in book:
        assert sheet.oddFooter.left.text == "&A"


def test_a_page_of_the_worksheet_holds_the_table_and_the_charts_below_it(tmp_path):
    # 34 rows and a low chart are a page in portrait at the scale of 13 narrow columns; 60 rows leave it no room.
    columns = (
        ReportColumn("age", "Months on book", "count"),
        *(ReportColumn(f"p{n}", "2025Q1", "rate") for n in range(12)),
    )
    places = {}
    for rows in (34, 60):
        frame = pd.DataFrame([[n, *[0.5] * 12] for n in range(rows)], columns=[column.name for column in columns])
        heat = ReportTable("Heat", columns, frame, heatmap=True)
        chart = Chart("Heat", "Heat", "line", "age", ("p0",))
        sheet = workbook(tmp_path / str(rows), heat, charts=[chart])[1]["Heat"]
        anchor = sheet._charts[0].anchor
        # 360,000 units are a centimetre.
        places[rows] = (anchor._from.col, round(anchor.ext.height / 360_000, 1))
    assert places == {34: (0, 6.2), 60: (14, 9.5)}


def test_the_header_has_the_lender_and_the_title_apart(tmp_path):
    book = workbook(tmp_path / "x", table("Loans", "a"))[1]
    assert book["Loans"].oddHeader.left.text == "=Test"
    assert book["Loans"].oddHeader.center.text is None
