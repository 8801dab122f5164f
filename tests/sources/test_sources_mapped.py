"""A lender's own tables and files by a mapping file: the tutorial, every expression, and what is told of mistakes."""

import os
import re
import sqlite3
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from homes import lending
from openpyxl import Workbook

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING

PAGE = Path(__file__).parents[2] / "docs" / "mapping-a-source.md"

PROGRAMS = """
from = "exports"

[tables.programs]
from = "{file}"
[tables.programs.columns]
program_id = "Code"
name = "Name"
"""


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def read(tmp_path: Path, mapping: str, table: str) -> list[dict]:
    file = tmp_path / "mapping.toml"
    file.write_text(mapping, encoding="utf-8")
    with open_source("mapped", str(file)).snapshot() as reader:
        return pa.Table.from_batches(reader.read(SERVICING[table]), SERVICING[table].arrow_schema).to_pylist()


def refusal(tmp_path: Path, mapping: str, table: str = "programs") -> str:
    with pytest.raises(SourceError) as error:
        read(tmp_path, mapping, table)
    return str(error.value)


@pytest.fixture
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the mapping as working folder, with nothing set in the environment."""
    for name in [name for name in os.environ if name.startswith(("LENDING_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_tutorial_leads_from_four_tables_to_a_close(tmp_path, nothing_set):
    text = PAGE.read_text(encoding="utf-8")
    own = sqlite3.connect(tmp_path / "core.db")
    own.executescript(re.search(r"```sql\n(.*?)```", text, re.DOTALL)[1])
    own.close()
    (tmp_path / "mapping.toml").write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1], encoding="utf-8")
    commands = re.search(r"```\n(lending .*?)```", text, re.DOTALL)[1].splitlines()
    assert [each.split()[1] for each in commands] == ["source", "init", "doctor", "close"]

    for command in commands:
        done = lending(*command.split()[1:])
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if command.startswith("lending source check"):
            assert "4 tables, 0 faults" in done.stdout
            assert re.search(r"IN-1 +C01 +repayment +2025-02-02 +2025-02-02 09:15:00 +102.00", done.stdout)
    # 200.00 of each, less the 100.00 that C01 and C02 paid; C03 has not paid the 102.00 of 2 February.
    assert re.search(r"Principal outstanding, 2025-02-03 +400\.00", done.stdout)
    assert re.search(r"Past due, 2025-02-03 +102\.00", done.stdout)


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


def test_a_database_of_each_kind_is_read(tmp_path, database):
    database.execute("CREATE TABLE kinds (code integer, price numeric(10, 4), since timestamp, label varchar(20))")
    database.execute(
        "INSERT INTO kinds VALUES (7, 12.5, '2025-03-01 23:30:00', 'x/y'), (8, 3, '2025-03-02 10:00:00', '')"
    )
    mapping = f"""
        from = "{database.url}"
        [tables.wallet_transactions]
        from = "kinds"
        where = {{ label = true }}
        [tables.wallet_transactions.columns]
        wallet_transaction_id = {{ column = "code", prefix = "W", codes = {{ 7 = "seven", 8 = "eight" }} }}
        wallet_id = {{ column = "label", split = "/", part = 2 }}
        amount = {{ column = "price", scale = "-2" }}
        occurred_at = {{ column = "since", zone = "Europe/Berlin" }}
        """
    [row] = read(tmp_path, mapping, "wallet_transactions")
    # 12.5 × −2; Berlin is an hour ahead of UTC in March before the summer time.
    assert row == {
        "wallet_transaction_id": "Wseven",
        "wallet_id": "y",
        "amount": Decimal("-25.00"),
        "occurred_at": datetime(2025, 3, 1, 22, 30),
    }


PAYMENTS = """
from = "exports"
[[tables.transactions]]
from = "payments.csv"
decimal_comma = true
where = {{ Kind = ["P", "X"] }}
[tables.transactions.columns]
transaction_id = "No"
loan_id = {{ coalesce = ["Loan", "Old loan"], default = "none" }}
type = {{ column = "Kind", codes = {{ P = "repayment"{more} }} }}
effective_on = {{ column = "Day", date = ["%d.%m.%Y", "%d.%m.%y"] }}
posted_at = {{ column = "Day", date = ["%d.%m.%Y", "%d.%m.%y"] }}
amount = {{ sum = ["Capital", "Interest"] }}
principal = {{ column = "Capital", default = 0 }}
interest = {{ column = "Interest", default = 0 }}
fees = {{ constant = 0 }}
"""

CSV = """No;Loan;Old loan;Kind;Day;Capital;Interest
1;L1;;P;31.01.2025;1.000,50;2,25
2;;A7;P;01.02.25;;3
3;;;X;02.02.2025;1;
4;L1;;C;03.02.2025;1;1
"""


def test_every_expression(tmp_path, exports):
    (exports / "payments.csv").write_text(CSV, encoding="utf-8")
    found = read(tmp_path, PAYMENTS.format(more=', X = "refund"'), "transactions")
    assert [(row["transaction_id"], row["loan_id"], row["type"], row["effective_on"]) for row in found] == [
        ("1", "L1", "repayment", date(2025, 1, 31)),
        ("2", "A7", "repayment", date(2025, 2, 1)),
        ("3", "none", "refund", date(2025, 2, 2)),
    ]
    assert [(row["amount"], row["principal"], row["interest"]) for row in found] == [
        (Decimal("1002.75"), Decimal("1000.50"), Decimal("2.25")),
        (Decimal("3.00"), Decimal("0.00"), Decimal("3.00")),
        (Decimal("1.00"), Decimal("1.00"), Decimal("0.00")),
    ]


def test_values_that_cannot_be_read_are_told_with_their_rows(tmp_path, exports):
    (exports / "payments.csv").write_text(
        CSV.replace("01.02.25", "2025-02-01").replace("1.000,50", "1.000.5"), encoding="utf-8"
    )
    told = refusal(tmp_path, PAYMENTS.format(more=""), "transactions")
    assert "transactions.type: 1 rows have a code that the mapping does not list ('X' in 1)" in told
    assert "transactions.effective_on: 1 rows are not dates" in told
    assert "transaction_id=2 has \"'2025-02-01', which is not written as %d.%m.%Y or %d.%m.%y\"" in told
    assert "transactions.amount: 1 rows are not amounts" in told
    assert "transaction_id=1 has '1.000.5'" in told


def test_mistakes_of_a_mapping_are_told_together_with_line_and_near_names(tmp_path):
    mapping = """\
from = "exports"
reviewed_by = "me"

[tables.loanz]
from = "a.csv"
[tables.loanz.columns]
loan_id = "No"

[[tables.programs]]
from = "a.csv"
columns = { program_id = "Code", name = "Name" }

[[tables.programs]]
from = "b.csv"
colums = 1
[tables.programs.columns]
program_id = "Code"
nam = "Name"
"""
    told = refusal(tmp_path, mapping)
    assert str(tmp_path / "mapping.toml") in told
    assert "line 2: reviewed_by: there is no such setting" in told
    assert "line 15: tables.programs.colums: there is no such setting; did you mean 'columns'?" in told
    told = refusal(tmp_path, mapping.replace('reviewed_by = "me"', "").replace("colums = 1", ""))
    assert "line 4: tables.loanz: there is no such servicing table; did you mean 'loans'?" in told
    assert "line 18: tables.programs.columns.nam: programs has no such column; did you mean 'name'?" in told
    assert "line 16: tables.programs.columns: programs must also have name" in told


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ('{ column = "A", constant = "x" }', "give exactly one of column, coalesce, sum, constant, found column and"),
        ("{ }", "give exactly one of column, coalesce, sum, constant, found none"),
        ('{ column = "A", scale = 2 }', "name is not a number"),
        ('{ column = "A", date = "%Y" }', "name is not a date or a timestamp"),
        ('{ column = "A", part = 2 }', "needs `split`"),
        ('{ column = "A", part = 0 }', "input should be greater than or equal to 1, found '0'"),
        ('{ column = "A", cods = { a = "b" } }', "did you mean 'codes'?"),
        ("{ column = 7 }", "input should be a valid string, found '7'"),
        ("7", "valid dictionary"),
    ],
)
def test_a_wrong_setting_of_a_column_is_told(tmp_path, column, told):
    text = refusal(tmp_path, PROGRAMS.format(file="a.csv").replace('"Name"', column))
    assert re.search(r"line 8: tables\.programs\.columns\.name", text), text
    assert told in text


def test_a_constant_that_the_column_does_not_know_is_told(tmp_path):
    told = refusal(tmp_path, PAYMENTS.format(more=', X = "refunds"'), "transactions")
    assert "line 10: tables.transactions.columns.type.codes: 'refunds' is no type; did you mean 'refund'" in told


def test_what_the_lenders_tables_do_not_have_is_told(tmp_path, exports):
    (exports / "programs.csv").write_text("Code,Label\nP1,x\n", encoding="utf-8")
    (exports / "broken.parquet").write_bytes(b"nothing")
    (exports / "old.csv").write_text("Code,Name\nP1,Größe\n", encoding="latin-1")
    told = refusal(tmp_path, PROGRAMS.format(file="programs.csv"))
    assert (
        "mapped: table programs cannot be read: programs.csv has no column 'Name'; use one of 'Code', 'Label'" in told
    )
    assert "did you mean 'programs.csv'?" in refusal(tmp_path, PROGRAMS.format(file="program.csv"))
    assert "broken.parquet: " in refusal(tmp_path, PROGRAMS.format(file="broken.parquet"))
    assert "old.csv: " in refusal(tmp_path, PROGRAMS.format(file="old.csv"))
    assert "cannot be read" in refusal(tmp_path, "from = [")


def test_the_url_takes_values_from_the_environment(tmp_path, sqlite_database, monkeypatch):
    sqlite_database.insert("programs", {"program_id": "P1", "name": "Micro"})
    mapping = PROGRAMS.format(file="programs").replace('"exports"', '"sqlite:///${CORE_FILE}"')
    mapping = mapping.replace('"Code"', '"program_id"').replace('"Name"', '"name"')
    monkeypatch.delenv("CORE_FILE", raising=False)
    assert "from: CORE_FILE is not set in the environment" in refusal(tmp_path, mapping)
    monkeypatch.setenv("CORE_FILE", sqlite_database.url.removeprefix("sqlite:///"))
    assert read(tmp_path, mapping, "programs") == [{"program_id": "P1", "name": "Micro"}]


def test_the_check_names_codes_columns_and_required_tables(tmp_path, exports, nothing_set):
    (exports / "payments.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "mapping.toml").write_text(PAYMENTS.format(more=""), encoding="utf-8")
    done = lending("source", "check", "mapping.toml", "--rows", "1")
    assert done.returncode == 1
    assert "transactions: 3 rows from payments.csv" in done.stdout
    assert "columns: 9 of 11; without channel, reverses_id" in done.stdout
    assert "FAULT: transactions.type: 1 rows have a code that the mapping does not list ('X' in 1)" in done.stdout
    assert "Required, but not in the mapping: loans, installments" in done.stdout
    assert done.stdout.endswith("1 tables, 3 faults\n")


def test_the_check_without_a_mapping_says_what_to_write(nothing_set):
    done = lending("source", "check")
    assert done.returncode == 1
    assert "LENDING_SOURCE is canonical, which has no mapping file: write the file" in done.stderr
