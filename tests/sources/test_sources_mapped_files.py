"""A lender's files by a mapping: every kind of file, odd values in them, and files that are no table."""

from datetime import date
from decimal import Decimal
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mappings import CSV, PAYMENTS, PROGRAMS, read, refusal
from openpyxl import Workbook

ROWS = {"Code": ["P1", "P2"], "Name": ["Größe", "Klein"]}


def test_files_of_every_kind_are_read(tmp_path, exports):
    (exports / "utf8.csv").write_text("Code;Name;More\nP1;Größe;x\nP2;Klein;\n", encoding="utf-8-sig")
    (exports / "tabs.tsv").write_text("Name\tCode\nGröße\tP1\nKlein\tP2\n", encoding="utf-8")
    (exports / "old.csv").write_text("Code,Name\nP1,Größe\nP2,Klein\n", encoding="latin-1")
    pq.write_table(pa.table(ROWS), exports / "book.parquet")
    book = Workbook()
    sheet = book.create_sheet("Programs")
    for row in (("Code", "Name"), ("P1", "Größe"), (None, None), ("P2", "Klein")):
        sheet.append(row)
    book.save(exports / "book.xlsx")
    expected = [{"program_id": "P1", "name": "Größe"}, {"program_id": "P2", "name": "Klein"}]
    for file in ("utf8.csv", "tabs.tsv", "book.parquet"):
        assert read(tmp_path, PROGRAMS.format(file=file), "programs") == expected, file
    with_encoding = PROGRAMS.format(file="old.csv").replace(
        'from = "old.csv"', 'from = "old.csv"\nencoding = "latin-1"'
    )
    assert read(tmp_path, with_encoding, "programs") == expected
    with_sheet = PROGRAMS.format(file="book.xlsx").replace(
        'from = "book.xlsx"', 'from = "book.xlsx"\nsheet = "Programs"'
    )
    assert read(tmp_path, with_sheet, "programs") == expected


def test_no_line_of_a_csv_file_is_left_out(tmp_path, exports):
    # A row that begins with #, quotes within a field, a column without a name, and a separator within a name.
    (exports / "a.csv").write_text('Code;Name, first;\nP1;5" disk;\n#2;"a;b";x\n', encoding="utf-8")
    mapping = PROGRAMS.format(file="a.csv").replace('"Name"', '"Name, first"')
    assert read(tmp_path, mapping, "programs") == [
        {"program_id": "P1", "name": '5" disk'},
        {"program_id": "#2", "name": "a;b"},
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "a.csv: the first row must have the names of the columns"),
        ("Report of May\nCode;Name\nP1;a\n", "a.csv has no column 'Code'; use one of 'Report of May'"),
        ("Code;Name\nP1;a\nP2\n", "a.csv: Invalid Input Error: CSV Error on Line: 3 Original Line: P2 Expected Number"),
        ("Code;Name\nP1;a;b\n", "Expected Number of Columns: 2 Found: 3"),
        ("Code;Name;name\nP1;a;b\n", "a.csv: columns with the same name: 'Name'; 'name'; give each its own name"),
    ],
)
def test_a_csv_file_that_is_no_table_is_refused(tmp_path, exports, content, told):
    (exports / "a.csv").write_text(content, encoding="utf-8")
    assert told in refusal(tmp_path, PROGRAMS.format(file="a.csv"))


def test_a_worksheet_with_a_formula_without_a_value_or_two_equal_names_is_refused(tmp_path, exports):
    for rows, told in (
        ((("Code", "Name"), ("P1", "=A2")), "book.xlsx: row 2 has a formula without a value"),
        ((("Code", "Name", "Name"), ("P1", "a", "b")), "book.xlsx: columns with the same name: 'Name'; 'Name'"),
    ):
        book = Workbook()
        for row in rows:
            book.active.append(row)
        book.save(exports / "book.xlsx")
        assert told in refusal(tmp_path, PROGRAMS.format(file="book.xlsx"))


def test_errors_in_the_cells_of_a_worksheet_are_refused_with_their_places(tmp_path, exports):
    book = Workbook()
    for row in (("Code", "Name", "Note"), ("P1", "#N/A", "#N/A"), ("P2", "a #N/A", "b"), ("#REF!", "c", None)):
        book.active.append(row)
    book.save(exports / "book.xlsx")
    assert (
        "book.xlsx: row 2 has #N/A in column 'Name'; row 4 has #REF! in column 'Code': correct the formula, or empty "
        "the cell"
    ) in refusal(tmp_path, PROGRAMS.format(file="book.xlsx"))


def test_rows_beyond_the_size_that_a_worksheet_claims_are_read(tmp_path, exports):
    book = Workbook()
    for row in (("Code", "Name"), ("P1", "a"), ("P2", "b")):
        book.active.append(row)
    book.save(tmp_path / "right.xlsx")
    with ZipFile(tmp_path / "right.xlsx") as right, ZipFile(exports / "book.xlsx", "w") as wrong:
        for name in right.namelist():
            wrong.writestr(name, right.read(name).replace(b'ref="A1:B3"', b'ref="A1:B2"'))
    found = read(tmp_path, PROGRAMS.format(file="book.xlsx"), "programs")
    assert [row["program_id"] for row in found] == ["P1", "P2"]


def test_values_that_no_expression_reads_are_refused(tmp_path, exports):
    for codes in ([1.0, float("nan")], [[1], [2]], [b"1", b"2"]):
        pq.write_table(pa.table({"Code": codes, "Name": ["a", "b"]}), exports / "a.parquet")
        mapping = PROGRAMS.format(file="a.parquet").replace('"Code"', '{ column = "Code", prefix = "P" }')
        assert "programs.program_id: " in refusal(tmp_path, mapping)


def test_a_code_is_one_value_however_a_file_stores_it(tmp_path, exports):
    names = pa.array(["a", "b", "c"])
    for codes in ([1.0, 2.0, 1.0], ["1", "2", "1 "], [1, 2, 1], [True, False, True]):
        pq.write_table(pa.table({"Code": codes, "Name": names}), exports / "a.parquet")
        mapping = PROGRAMS.format(file="a.parquet").replace(
            'from = "a.parquet"', 'from = "a.parquet"\nwhere = { Code = ["1", "true"] }'
        )
        mapping = mapping.replace('"Code"\n', '{ column = "Code", codes = { 1 = "one", true = "one" } }\n')
        assert read(tmp_path, mapping, "programs") == [
            {"program_id": "one", "name": "a"},
            {"program_id": "one", "name": "c"},
        ]


def test_text_of_blanks_is_no_value(tmp_path, exports):
    (exports / "payments.csv").write_text(CSV.replace("2;;A7", "2;  ;A7").replace(";1;\n", ";1;  \n"), encoding="utf-8")
    found = read(tmp_path, PAYMENTS.format(more=', X = "refund"'), "transactions")
    assert [(row["loan_id"], row["interest"]) for row in found[1:]] == [
        ("A7", Decimal("3.00")),
        ("none", Decimal("0.00")),
    ]
    (exports / "a.csv").write_text("Code;Name\nP1;  \n", encoding="utf-8")
    assert read(tmp_path, PROGRAMS.format(file="a.csv"), "programs") == [{"program_id": "P1", "name": None}]


def test_a_number_with_a_decimal_point_is_refused_among_decimal_commas(tmp_path, exports):
    # 1.500 is 1500 there, so 1.50 is doubtful.
    (exports / "payments.csv").write_text(CSV.replace("1.000,50", "1.50"), encoding="utf-8")
    told = refusal(tmp_path, PAYMENTS.format(more=', X = "refund"'), "transactions")
    assert "transaction_id=1 has \"'1.50', which is not written as 1.234,56\"" in told


def test_a_date_with_several_meanings_is_refused(tmp_path, exports):
    (exports / "payments.csv").write_text(
        "No;Loan;Old loan;Kind;Day;Capital;Interest\n1;L1;;P;31/01/2025;1;1\n2;L1;;P;03/04/2025;1;1\n", encoding="utf-8"
    )
    mapping = PAYMENTS.format(more="").replace('["%d.%m.%Y", "%d.%m.%y"]', '["%d/%m/%Y", "%m/%d/%Y"]')
    told = refusal(tmp_path, mapping.replace(', "X"]', "]"), "transactions")
    assert "transactions.effective_on: 1 rows are not dates" in told
    assert "'03/04/2025', which can be read in several ways by %d/%m/%Y or %m/%d/%Y" in told


def test_a_date_that_is_stored_as_a_number_is_read(tmp_path, exports):
    rows = {"no": [1], "day": [20250131]}
    pq.write_table(pa.table(rows), exports / "a.parquet")
    mapping = """
        from = "exports"
        [tables.loan_owners]
        from = "a.parquet"
        [tables.loan_owners.columns]
        loan_id = "no"
        assigned_on = { column = "day", date = "%Y%m%d" }
        investor_id = { constant = "I1" }
        investor_name = { constant = "First" }
        """
    [row] = read(tmp_path, mapping, "loan_owners")
    assert row["assigned_on"] == date(2025, 1, 31)
