"""The sync against a real database, a real lake, and adapters that misbehave."""

import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from syncing import Rows, journal_line, refused, sync_table

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources import OVERLAP, SourceError, sync_tables
from lending_pipelines.sources import staging as staging_module
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.tables import SERVICING

TRANSACTIONS = SERVICING["transactions"]


def sync(database, table: str, lake, full: bool = False):
    return sync_table(database.source, SERVICING[table], lake, full)


def ids(lake, table: str) -> list[str]:
    key = SERVICING[table].key[0]
    return sorted(lake.table(table).select(key).to_pyarrow()[key].to_pylist())


def test_the_first_sync_writes_everything(database, lake, make_transaction):
    rows = [make_transaction(day) for day in (1, 2, 3)]
    database.insert("transactions", *rows)

    result = sync(database, "transactions", lake)

    assert (result.rows_read, result.rows_added, result.rows_updated, result.version) == (3, 3, 0, 0)
    assert result.watermark == datetime(2025, 1, 3, 10, 30, 15, 123456)
    assert lake.table("transactions").order_by("transaction_id").to_pyarrow().to_pylist() == rows


def test_a_later_sync_takes_instants_as_spark_reads_them(database, lake, make_transaction, monkeypatch):
    # Spark reads the instants of a file without their precision.
    read = lake.engine.read_parquet
    monkeypatch.setattr(lake.engine, "read_parquet", lambda paths: read(paths).cast({"posted_at": "timestamp"}))
    rows = [make_transaction(day) for day in (1, 2, 3)]
    database.insert("transactions", *rows[:2])
    sync(database, "transactions", lake)
    database.insert("transactions", rows[2])

    assert sync(database, "transactions", lake).rows_added == 1
    assert lake.table("transactions").order_by("transaction_id").to_pyarrow().to_pylist() == rows


def test_an_empty_table_is_recorded_as_empty_and_fills(database, lake, make_transaction):
    result = sync(database, "transactions", lake)

    assert (result.rows_read, result.rows_added, result.watermark, result.version) == (0, 0, None, 0)
    assert lake.has("transactions")
    assert ids(lake, "transactions") == []

    database.insert("transactions", make_transaction(1))

    assert sync(database, "transactions", lake).rows_added == 1
    assert ids(lake, "transactions") == ["T1"]


def test_an_empty_table_without_a_column_is_refused(sqlite_database, lake):
    sqlite_database.execute("ALTER TABLE programs DROP COLUMN name")
    assert refused(sqlite_database.source, "programs", lake) == "programs.name: the column is missing"


def test_a_table_that_the_source_does_not_have_is_empty_and_says_so(lake):
    for _ in range(2):
        result = sync_table(Rows(absent={"journal_lines"}), SERVICING["journal_lines"], lake)
        assert (result.absent, result.version) == (True, 0)
    assert ids(lake, "journal_lines") == []


@pytest.mark.parametrize("table", ["loans", "installments", "transactions"])
def test_a_source_without_what_positions_are_made_of_is_refused(lake, table):
    with pytest.raises(SourceError, match=f"rows: table {table} is missing: loans, installments"):
        sync_table(Rows(absent={table}), SERVICING[table], lake)
    assert not lake.has(table)


@pytest.mark.parametrize("lines", [[journal_line(1)], []], ids=["with rows", "empty"])
def test_a_table_that_was_there_and_is_gone_is_refused(lake, lines):
    # First absent, then offered: from then on it must be there.
    sync_table(Rows(absent={"journal_lines"}), SERVICING["journal_lines"], lake)
    sync_table(Rows(*lines), SERVICING["journal_lines"], lake)

    with pytest.raises(SourceError, match=r"rows: table journal_lines is missing, but an earlier sync read it"):
        sync_table(Rows(absent={"journal_lines"}), SERVICING["journal_lines"], lake)
    assert len(ids(lake, "journal_lines")) == len(lines)


def test_the_sources_notes_come_along(lake, make_transaction):
    assert sync_table(Rows(make_transaction(1)), TRANSACTIONS, lake).notes == {"of": "transactions"}


def test_only_new_events_are_read_and_added(database, lake, make_transaction):
    database.insert("transactions", *(make_transaction(day) for day in range(1, 11)))
    sync(database, "transactions", lake)
    database.insert("transactions", make_transaction(20))

    result = sync(database, "transactions", lake)

    # T9 and T10 lie in the day of overlap and are there already.
    assert (result.rows_read, result.rows_added, result.version) == (3, 1, 1)
    assert result.watermark == make_transaction(20)["posted_at"]
    assert len(ids(lake, "transactions")) == 11


def test_an_unchanged_table_commits_nothing(database, lake, make_transaction, make_loan):
    database.insert("transactions", make_transaction(1))
    database.insert("loans", make_loan())
    database.insert("programs", {"program_id": "P", "name": "Micro"})
    tables = [SERVICING[name] for name in ("transactions", "loans", "programs")]
    for full in (None, False, True):
        outcomes = dict(sync_tables(database.source, tables, lake, Conventions(), bool(full)))
        assert list(outcomes) == tables
        for table, result in outcomes.items():
            assert not isinstance(result, LendingError)
            if full is not None:
                assert (result.rows_read, result.rows_added, result.rows_updated, result.rows_removed) == (1, 0, 0, 0)
                assert (result.version, lake.version(table.name)) == (0, 0)


def test_a_row_that_was_committed_late_is_picked_up(database, lake, make_transaction):
    database.insert("transactions", make_transaction(5))
    sync(database, "transactions", lake)
    within = make_transaction(5)["posted_at"] - OVERLAP
    database.insert("transactions", make_transaction(4, posted_at=within))

    result = sync(database, "transactions", lake)

    assert (result.rows_read, result.rows_added, result.months_read_again) == (2, 1, ())
    assert ids(lake, "transactions") == ["T4", "T5"]


def test_changed_loans_are_merged(database, lake, make_loan):
    database.insert("loans", *(make_loan(name) for name in ("L1", "L2")))
    sync(database, "loans", lake)
    database.execute(
        "UPDATE loans SET region = 'North', updated_at = '2025-03-01 00:00:00.000000' WHERE loan_id = 'L2'"
    )
    database.insert("loans", make_loan("L3", updated_at=datetime(2025, 3, 2)))

    result = sync(database, "loans", lake)

    assert (result.rows_added, result.rows_updated, result.rows_removed, result.version) == (1, 1, 0, 1)
    assert result.watermark == datetime(2025, 3, 2)
    assert lake.table("loans").order_by("loan_id").to_pyarrow().to_pylist() == [
        make_loan("L1"),
        make_loan("L2", region="North", updated_at=datetime(2025, 3, 1)),
        make_loan("L3", updated_at=datetime(2025, 3, 2)),
    ]


def test_a_table_without_a_watermark_is_replaced(database, lake):
    database.insert("programs", *({"program_id": name, "name": "Micro"} for name in "ABC"))
    sync(database, "programs", lake)
    database.execute("DELETE FROM programs WHERE program_id = 'A'")
    database.execute("UPDATE programs SET name = 'Solar' WHERE program_id = 'B'")
    database.insert("programs", {"program_id": "D", "name": "Micro"})

    result = sync(database, "programs", lake)

    assert (result.rows_read, result.rows_added, result.rows_updated, result.rows_removed) == (3, 1, 1, 1)
    assert result.watermark is None
    assert lake.table("programs").order_by("program_id").to_pyarrow()["name"].to_pylist() == ["Solar", "Micro", "Micro"]


def test_a_reversal_may_undo_what_the_lake_holds_already(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1))
    sync(database, "transactions", lake)
    database.insert("transactions", make_transaction(20, "reversal", reverses_id="T1"))

    assert sync(database, "transactions", lake).rows_added == 1


def test_a_reversal_of_an_unknown_transaction_is_refused(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1))
    sync(database, "transactions", lake)
    database.insert("transactions", make_transaction(20, "reversal", reverses_id="T7"))

    assert refused(database.source, "transactions", lake) == (
        "transactions.reverses_id: 1 rows reverse a transaction that does not exist (transaction_id=T20 has 'T7')"
    )
    assert ids(lake, "transactions") == ["T1"]


def test_a_value_that_cannot_be_read_is_no_other_fault_too(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1), make_transaction(2, "reversal", reverses_id="T1"))
    sync(database, "transactions", lake)
    rows = make_transaction(1, channel=b""), make_transaction(2, "reversal", reverses_id=b"T1")
    assert refused(Rows(*rows), "transactions", lake) == (
        "transactions.channel: 1 rows are not text (transaction_id=T1 has b''); "
        "transactions.reverses_id: 1 rows are not text (transaction_id=T2 has b'T1')"
    )


def test_a_source_that_breaks_off_leaves_the_lake_and_no_files(lake, make_transaction, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sync_table(Rows(make_transaction(1)), TRANSACTIONS, lake)

    with pytest.raises(SourceError, match="the line went dead"):
        sync_table(Rows(make_transaction(2), fails=SourceError("rows: the line went dead")), TRANSACTIONS, lake)

    assert ids(lake, "transactions") == ["T1"]
    assert list(Path(tmp_path).glob("lending-scratch-*")) == []


def test_batches_are_put_together_to_row_groups(lake, make_transaction, monkeypatch):
    monkeypatch.setattr(staging_module, "ROW_GROUP_ROWS", 4)
    one_each = record_batches(
        "rows",
        TRANSACTIONS,
        ([[make_transaction(day)[name]] for name in TRANSACTIONS.names] for day in range(1, 11)),
    )

    assert sync_table(Rows(batches=one_each), TRANSACTIONS, lake).rows_added == 10
    assert len(ids(lake, "transactions")) == 10
