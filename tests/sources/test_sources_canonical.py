import sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.sources.canonical import rows
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata


def read(database, table: str, since: datetime | None = None) -> list[dict]:
    with database.source.snapshot() as reader:
        return pa.Table.from_batches(reader.read(SERVICING[table], since), SERVICING[table].arrow_schema).to_pylist()


def test_rows_come_out_as_they_were_put_in(database, make_transaction, make_loan):
    put_in = [
        make_transaction(
            1, "disbursement", amount=Decimal("1000.00"), principal=Decimal("1000.00"), interest=Decimal(0)
        ),
        make_transaction(2, channel="ach"),
        make_transaction(3, amount=Decimal("9999999999999.99"), principal=Decimal("9999999999959.94")),
        make_transaction(4, "reversal", reverses_id="T2"),
    ]
    database.insert("transactions", *put_in)
    database.insert("loans", make_loan(collateral_value=Decimal("0.10")), make_loan("L2", disbursed_on=None))

    assert read(database, "transactions") == put_in
    assert read(database, "loans") == [
        make_loan(collateral_value=Decimal("0.10")),
        make_loan("L2", disbursed_on=None),
    ]


def test_flags_and_whole_numbers(database):
    check = {"check_id": "C1", "rule_code": "R", "rule_name": "Rule", "category": "K", "loan_id": None}
    check |= {"checked_on": date(2025, 1, 31), "passed": False, "detail": None}
    database.insert("compliance_checks", check)

    assert read(database, "compliance_checks") == [check]


def test_every_table_of_the_contract_is_offered(database):
    with database.source.snapshot() as reader:
        assert reader.absent == frozenset()
        for name, table in SERVICING.items():
            assert pa.Table.from_batches(reader.read(table), table.arrow_schema).to_pylist() == [], name


def test_since_is_an_inclusive_lower_bound(database, make_transaction):
    database.insert("transactions", *(make_transaction(day) for day in (1, 2, 3)))

    assert [row["transaction_id"] for row in read(database, "transactions", make_transaction(2)["posted_at"])] == [
        "T2",
        "T3",
    ]


def test_a_table_larger_than_one_fetch_is_streamed_in_batches(sqlite_database, make_transaction, monkeypatch):
    monkeypatch.setattr(rows, "FETCHED_ROWS", 4)
    sqlite_database.insert("transactions", *(make_transaction(day) for day in range(1, 12)))

    with sqlite_database.source.snapshot() as reader:
        batches = list(reader.read(SERVICING["transactions"]))

    assert [batch.num_rows for batch in batches] == [4, 4, 3]
    assert {row["transaction_id"] for batch in batches for row in batch.to_pylist()} == {f"T{n}" for n in range(1, 12)}


def test_a_missing_table_is_absent_and_a_view_is_not(database):
    database.execute("DROP TABLE journal_lines")
    database.execute("DROP TABLE programs")
    database.execute("CREATE VIEW programs AS SELECT 'P1' AS program_id, 'Micro' AS name")

    with database.source.snapshot() as reader:
        assert reader.absent == {"journal_lines"}
        assert list(reader.read(SERVICING["journal_lines"])) == []


def test_missing_columns_are_named_at_once_with_what_else_is_wrong(database, make_transaction):
    database.insert("transactions", make_transaction(1))
    of_table = " ON transactions" if database.engine.name == "mysql" else ""
    database.execute(f"DROP INDEX ix_transactions_posted_at{of_table}")
    for column in ("reverses_id", "posted_at", "amount"):
        database.execute(f"ALTER TABLE transactions DROP COLUMN {column}")
    database.execute("ALTER TABLE transactions ADD COLUMN amount text DEFAULT 'a lot'")
    with pytest.raises(SourceError) as error:
        read(database, "transactions", datetime(2025, 1, 1))
    assert str(error.value) == (
        "canonical: table transactions cannot be read: transactions.posted_at: the column is missing; "
        "transactions.amount: 1 rows are not amounts with at most 2 decimals, up to 9,999,999,999,999,999.99 "
        "(transaction_id=T1 has 'a lot'); transactions.reverses_id: the column is missing"
    )


def test_an_optional_column_may_be_missing_and_is_null(database):
    line = {"entry_id": "E1", "line_no": 1, "account_code": "1", "entry_date": date(2025, 1, 1), "currency": "EUR"}
    line |= {"posted_at": datetime(2025, 1, 1), "debit": Decimal("1.00"), "credit": Decimal("0.00")}
    database.insert("journal_lines", line | {"branch_id": "B1"})
    assert [row["branch_id"] for row in read(database, "journal_lines")] == ["B1"]
    database.execute("ALTER TABLE journal_lines DROP COLUMN branch_id")
    (row,) = read(database, "journal_lines")
    assert (row["debit"], row["branch_id"]) == (Decimal("1.00"), None)


def test_more_than_two_decimals_are_an_error_not_rounded(database, make_transaction):
    database.retype("transactions", "amount", "numeric(18, 4)", "decimal(18, 4)")
    database.insert("transactions", make_transaction(1), make_transaction(2))
    database.execute("UPDATE transactions SET amount = 100.305 WHERE transaction_id = 'T2'")
    with pytest.raises(
        SourceError, match=r"transactions\.amount: 1 rows are not amounts with at most 2 decimals, .*=T2 has '?100\.305"
    ):
        read(database, "transactions")


def test_money_stored_as_text_is_an_error(database, make_transaction):
    database.retype("transactions", "amount", "text", "text")
    database.insert("transactions", make_transaction(1))
    database.execute("UPDATE transactions SET amount = 'a lot'")
    with pytest.raises(
        SourceError, match=r"transactions\.amount: 1 rows are not amounts .*transaction_id=T1 has 'a lot'"
    ):
        read(database, "transactions")


def test_text_that_is_no_date_is_an_error_in_sqlite(sqlite_database, make_transaction):
    sqlite_database.insert("transactions", *(make_transaction(day) for day in range(1, 10)))
    sqlite_database.execute("UPDATE transactions SET effective_on = 'abc' WHERE transaction_id <> 'T1'")
    with pytest.raises(SourceError) as error:
        read(sqlite_database, "transactions")
    assert str(error.value) == (
        "canonical: table transactions cannot be read: "
        "transactions.effective_on: 8 rows are not dates, such as 2024-01-31 ("
        + "; ".join(f"transaction_id=T{n} has 'abc'" for n in (2, 3, 4, 5, 6))
        + ")"
    )


def test_the_noise_of_sqlites_floats_is_taken_off(sqlite_database, make_transaction):
    sqlite_database.insert("transactions", make_transaction(1))
    sqlite_database.execute("UPDATE transactions SET fees = 0.1 + 0.2, interest = 39.75")
    (row,) = read(sqlite_database, "transactions")
    assert row["fees"] == Decimal("0.30")


def test_instants_with_a_zone_are_taken_as_utc_in_postgresql(postgres_url):
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    servicing_metadata().create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gateway_payments ALTER COLUMN paid_at TYPE timestamptz")
        connection.exec_driver_sql(
            "INSERT INTO gateway_payments VALUES ('G1', 'U1', 5, 'EUR', 'verified', '2025-01-31 10:00+02', 'x')"
        )
    with open_source("canonical", postgres_url).snapshot() as reader:
        (batch,) = reader.read(SERVICING["gateway_payments"])
    assert batch["paid_at"].to_pylist() == [datetime(2025, 1, 31, 8)]


def test_a_view_serves_as_a_table(database):
    database.execute("DROP TABLE programs")
    database.execute("CREATE VIEW programs AS SELECT 'P1' AS program_id, 'Micro' AS name, 'more' AS extra")
    assert read(database, "programs") == [{"program_id": "P1", "name": "Micro"}]


def test_the_database_is_opened_read_only(tmp_path):
    missing = tmp_path / "none.db"
    source = open_source("canonical", f"sqlite:///{missing}")
    with (
        pytest.raises(SourceError, match=r"canonical: the SQLite file .*none\.db does not exist: set LENDING_"),
        source.snapshot(),
    ):
        pass
    assert not missing.exists()


def test_a_locked_database_is_named_as_in_the_setting_with_what_to_do(tmp_path):
    file = tmp_path / "busy.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE loans (loan_id TEXT)")
        writer.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(SourceError) as told,
            open_source("canonical", f"sqlite:///{file}?timeout=0.1").snapshot(),
        ):
            pass
    assert str(told.value) == (
        f"canonical: the database sqlite:///{file} cannot be read: database is locked: another process holds the"
        " database: wait until it ends; then run the command again"
    )


def test_a_path_with_signs_that_mean_something_in_urls(tmp_path, sqlite_database):
    odd = tmp_path / "50% of #1?.db"
    (tmp_path / "servicing.db").rename(odd)
    url = sa.URL.create("sqlite", database=str(odd)).render_as_string()
    with open_source("canonical", url).snapshot() as reader:
        assert list(reader.read(SERVICING["loans"])) == []


def test_a_server_that_does_not_answer_is_an_error_without_the_password():
    source = open_source("canonical", "postgresql://reader:secret@127.0.0.1:1/servicing")
    with (
        pytest.raises(SourceError, match=r"canonical: the database postgresql.*://reader:.* cannot be read") as error,
        source.snapshot(),
    ):
        pass
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_database_url_is_an_error():
    with pytest.raises(SourceError, match="LENDING_SERVICING_URL is not a valid database URL"):
        open_source("canonical", "servicing.csv")
