"""A lender's own tables and files by a mapping file: the tutorial, every expression, messages about mistakes."""

import os
import re
import sqlite3
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from homes import lending
from mappings import CSV, PAYMENTS, PROGRAMS, read, refusal

PAGE = Path(__file__).parents[2] / "docs" / "mapping-a-source.md"


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
    assert "transaction_id=1 has \"'1.000.5', which is not written as 1.234,56\"" in told


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


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "{ constant = 0 }",
            '{ constant = "none" }',
            "line 16: tables.transactions.columns.fees.constant: 'none' is not",
        ),
        ("{ constant = 0 }", "{ constant = 1, scale = 2 }", "a constant is used as it is: leave out scale"),
        ("default = 0 }", 'default = "0,00" }', "principal.default: '0,00' is not of the type decimal(18, 2)"),
        ("default = 0 }", "scale = 0 }", "principal.scale: must not be 0"),
        ('"%d.%m.%Y", ', '"DD.MM.YYYY", ', "effective_on.date: 'DD.MM.YYYY' is not a date format with a year"),
        ("decimal_comma", 'encoding = "latin-99"\ndecimal_comma', "encoding: there is no encoding 'latin-99'"),
    ],
)
def test_a_wrong_value_in_a_mapping_is_told(tmp_path, before, after, told):
    assert told in refusal(tmp_path, PAYMENTS.format(more="").replace(before, after), "transactions")


def test_a_table_of_constants_only_is_told(tmp_path):
    mapping = (
        PROGRAMS.format(file="a.csv").replace('"Code"', '{ constant = "P" }').replace('"Name"', '{ constant = "N" }')
    )
    assert "line 6: tables.programs.columns: no column of a.csv is used" in refusal(tmp_path, mapping)


def test_a_constant_that_the_column_does_not_know_is_told(tmp_path):
    told = refusal(tmp_path, PAYMENTS.format(more=', X = "refunds"'), "transactions")
    assert (
        "line 10: tables.transactions.columns.type.codes: 'refunds' is not a value of type; did you mean 'refund'"
        in told
    )


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


def test_a_column_that_is_only_in_the_header_of_its_settings_is_told_with_that_line(tmp_path):
    mapping = PROGRAMS.format(file="a.csv") + '[tables.programs.columns.nam.codes]\nA = "Alpha"\n'
    assert "line 9: tables.programs.columns.nam: programs has no such column" in refusal(tmp_path, mapping)


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


def test_the_check_tells_what_the_sync_would_reject(tmp_path, exports, nothing_set):
    (exports / "payments.csv").write_text(CSV.replace("\n2;", "\n1;").replace("X;02", ";02"), encoding="utf-8")
    (tmp_path / "mapping.toml").write_text(PAYMENTS.format(more=', X = "refund"'), encoding="utf-8")
    done = lending("source", "check", "mapping.toml")
    assert done.returncode == 1
    assert "transactions: 2 rows from payments.csv" in done.stdout
    assert "rows left out by where: 2" in done.stdout
    assert "transactions.transaction_id: 1 rows have a key that occurs more than once (transaction_id=1)" in done.stdout


def test_the_check_without_a_mapping_says_what_to_write(nothing_set):
    done = lending("source", "check")
    assert done.returncode == 1
    assert "LENDING_SOURCE is canonical, which has no mapping file: write the file" in done.stderr
