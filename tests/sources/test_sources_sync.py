"""The sync against a real database, a real lake, and adapters that misbehave."""

import tempfile
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources import OVERLAP, SourceError, SyncError, open_source, sync_tables
from lending_pipelines.sources import staging as staging_module
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.servicing import TRANSACTION_TYPES

TRANSACTIONS = SERVICING["transactions"]
LOANS = SERVICING["loans"]


def sync_table(source, table, lake, full: bool = False, conventions: Conventions | None = None):
    """What the sync did with one table; the error for which it refused it is raised."""
    [(_, outcome)] = sync_tables(source, [table], lake, conventions or Conventions(), full)
    if isinstance(outcome, LendingError):
        raise outcome
    return outcome


def sync(database, table: str, lake, full: bool = False):
    return sync_table(database.source, SERVICING[table], lake, full)


def ids(lake, table: str) -> list[str]:
    key = SERVICING[table].key[0]
    return sorted(lake.table(table).select(key).to_pyarrow()[key].to_pylist())


def journal_line(number: int, **changes) -> dict:
    row = {"entry_id": "E1", "line_no": number, "account_code": "1000", "entry_date": date(2025, 1, 1)}
    row |= {"posted_at": datetime(2025, 1, 2), "debit": Decimal(10), "credit": Decimal(0), "currency": "EUR"}
    return row | changes


class Rows:
    """An adapter that gives the rows, or batches, that it was made with."""

    name = "rows"
    absent: frozenset[str] = frozenset()

    def __init__(self, *rows: dict, batches=(), fails: Exception | None = None, absent=()):
        self._rows, self._batches, self._fails, self.absent = rows, batches, fails, frozenset(absent)

    @contextmanager
    def snapshot(self):
        yield self

    def month_totals(self, table):
        return None

    def read(self, table, since=None, months=None):
        if self._rows:
            columns = [[row.get(name) for row in self._rows] for name in table.names]
            yield from record_batches(self.name, table, [columns])
        yield from self._batches
        if self._fails:
            raise self._fails

    def notes(self, table):
        return {"of": table.name}


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


def test_an_empty_table_is_recorded_as_empty(database, lake):
    result = sync(database, "transactions", lake)

    assert (result.rows_read, result.rows_added, result.watermark, result.version) == (0, 0, None, 0)
    assert lake.has("transactions")
    assert ids(lake, "transactions") == []


def test_an_empty_table_without_a_column_is_refused(sqlite_database, lake):
    sqlite_database.execute("ALTER TABLE programs DROP COLUMN name")
    assert refused(sqlite_database.source, "programs", lake) == "programs.name: the column is missing"


def test_a_table_that_was_empty_fills(database, lake, make_transaction):
    sync(database, "transactions", lake)
    database.insert("transactions", make_transaction(1))

    assert sync(database, "transactions", lake).rows_added == 1
    assert ids(lake, "transactions") == ["T1"]


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
    for table in ("transactions", "loans", "programs"):
        sync(database, table, lake)
        for full in (False, True):
            result = sync(database, table, lake, full=full)
            assert (result.rows_read, result.rows_added, result.rows_updated, result.rows_removed) == (1, 0, 0, 0)
            assert (result.version, lake.version(table)) == (0, 0)


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


def refused(source, table: str, lake) -> str:
    """The message with which a sync is refused, which must leave the lake as it was."""
    before = lake.version(table) if lake.has(table) else None
    with pytest.raises(SyncError) as error:
        sync_table(source, SERVICING[table], lake)
    assert (lake.version(table) if lake.has(table) else None) == before
    kept = "" if before is None else " and keeps its earlier rows"
    prefix = f"{source.name}: table {table} is rejected{kept}: "
    assert str(error.value).startswith(prefix)
    return str(error.value).removeprefix(prefix)


def test_an_unknown_transaction_type_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1), make_transaction(2, "gift")), "transactions", lake)
    assert message.startswith("transactions.type: 1 rows have a value that is not one of disbursement, capitalization")
    assert message.endswith("(transaction_id=T2 has 'gift')")


def test_a_null_in_a_required_column_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, loan_id=None)), "transactions", lake)
    assert message == "transactions.loan_id: 1 rows have no value (transaction_id=T1)"


def test_an_amount_that_is_not_its_components_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, amount=Decimal("100.31"))), "transactions", lake)
    assert message == "transactions.amount: 1 rows are not principal + interest + fees (transaction_id=T1 has 100.31)"


def test_a_negative_component_is_refused(lake, make_transaction):
    row = make_transaction(1, amount=Decimal("20.20"), interest=Decimal("-40.05"))
    assert refused(Rows(row), "transactions", lake) == (
        "transactions.interest: 1 rows are negative (transaction_id=T1 has -40.05)"
    )


@pytest.mark.parametrize("keys_at_a_time", [1_000, 3])
def test_duplicate_keys_are_refused_with_the_first_few(lake, make_transaction, monkeypatch, keys_at_a_time):
    """Also if they are looked for in groups of few keys."""
    monkeypatch.setattr("lending_pipelines.sources.rules.KEYS_AT_A_TIME", keys_at_a_time)
    twice = [make_transaction(day) for day in range(1, 8)] * 2
    assert refused(Rows(*twice), "transactions", lake) == (
        "transactions.transaction_id: 7 rows have a key that occurs more than once "
        "(transaction_id=T1; transaction_id=T2; transaction_id=T3; transaction_id=T4; transaction_id=T5)"
    )


def test_a_key_of_two_columns_is_shown_whole(lake):
    message = refused(Rows(journal_line(1), journal_line(1)), "journal_lines", lake)
    assert (
        message
        == "journal_lines.entry_id, line_no: 1 rows have a key that occurs more than once (entry_id=E1, line_no=1)"
    )


RED_STORNO = Conventions(negative_journal_lines=True)


@pytest.mark.parametrize(("debit", "credit"), [("10", "10"), ("10", "-5"), ("-10", "10")])
@pytest.mark.parametrize("conventions", [Conventions(), RED_STORNO], ids=["default", "red storno"])
def test_a_journal_line_has_one_side(lake, debit, credit, conventions):
    lines = journal_line(1), journal_line(2, debit=Decimal(debit), credit=Decimal(credit))
    with pytest.raises(SyncError) as error:
        sync_table(Rows(*lines), SERVICING["journal_lines"], lake, conventions=conventions)
    fault = f"journal_lines.debit: 1 rows have both a debit and a credit (entry_id=E1, line_no=2 has {debit}.00)"
    assert fault in str(error.value)


def test_negative_journal_lines_are_refused_with_the_convention_that_allows_them(lake):
    lines = journal_line(1, debit=Decimal(-10)), journal_line(2, debit=Decimal(0), credit=Decimal(-10))
    advice = "where the ledger corrects entries so (red storno), set the convention negative_journal_lines = true"
    assert refused(Rows(*lines), "journal_lines", lake) == (
        f"journal_lines.debit: 1 rows are negative; {advice} (entry_id=E1, line_no=1 has -10.00); "
        f"journal_lines.credit: 1 rows are negative; {advice} (entry_id=E1, line_no=2 has -10.00)"
    )
    assert sync_table(Rows(*lines), SERVICING["journal_lines"], lake, conventions=RED_STORNO).rows_added == 2


def test_a_journal_line_of_nothing_is_taken(lake):
    nothing = journal_line(1, debit=Decimal(0))
    assert sync_table(Rows(nothing), SERVICING["journal_lines"], lake).rows_added == 1


def test_a_reversal_of_an_unknown_transaction_is_refused(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1))
    sync(database, "transactions", lake)
    database.insert("transactions", make_transaction(20, "reversal", reverses_id="T7"))

    assert refused(database.source, "transactions", lake) == (
        "transactions.reverses_id: 1 rows reverse a transaction that does not exist (transaction_id=T20 has 'T7')"
    )
    assert ids(lake, "transactions") == ["T1"]


def test_a_reversal_of_nothing_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, "reversal")), "transactions", lake)
    assert message == "transactions.reverses_id: 1 rows are reversals without reverses_id (transaction_id=T1)"


def test_every_rule_that_is_broken_is_named(lake, make_transaction):
    message = refused(Rows(make_transaction(1, "gift", loan_id=None)), "transactions", lake)
    assert "transactions.type: 1 rows" in message
    assert "transactions.loan_id: 1 rows" in message


def test_values_that_cannot_be_read_and_rules_that_are_broken_are_named_together(lake, make_transaction):
    rows = make_transaction(1, fees="none"), make_transaction(2, "gift", effective_on="soon"), make_transaction(3)
    wrong_sum = make_transaction(4, amount=Decimal("1.00"))
    reversal = make_transaction(5, "reversal", reverses_id="T9")
    message = refused(Rows(*rows, wrong_sum, reversal), "transactions", lake)
    assert message.split("; transactions") == [
        "transactions.effective_on: 1 rows are not dates, such as 2024-01-31 (transaction_id=T2 has 'soon')",
        ".fees: 1 rows are not amounts with at most 2 decimals, up to 9,999,999,999,999,999.99 "
        "(transaction_id=T1 has 'none')",
        f".type: 1 rows have a value that is not one of {', '.join(TRANSACTION_TYPES)} (transaction_id=T2 has 'gift')",
        ".amount: 1 rows are not principal + interest + fees (transaction_id=T4 has 1.00)",
        ".reverses_id: 1 rows reverse a transaction that does not exist (transaction_id=T5 has 'T9')",
    ]


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
    assert list(Path(tmp_path).glob("lending-sync-*")) == []


def test_an_adapter_that_gives_another_type_is_refused(lake):
    batch = pa.RecordBatch.from_pydict({"program_id": pa.array([1]), "name": pa.array(["Micro"])})
    with pytest.raises(SourceError, match=r"rows: programs\.program_id must be string, but the adapter returns int64"):
        sync_table(Rows(batches=[batch]), SERVICING["programs"], lake)


def test_an_adapter_that_leaves_out_a_column_is_refused(lake):
    batch = pa.RecordBatch.from_pydict({"program_id": pa.array(["P"])})
    with pytest.raises(
        SourceError, match=r"rows: programs\.name must be string, but the adapter returns no such column"
    ):
        sync_table(Rows(batches=[batch]), SERVICING["programs"], lake)


def test_batches_are_put_together_to_row_groups(lake, make_transaction, monkeypatch):
    monkeypatch.setattr(staging_module, "ROW_GROUP_ROWS", 4)
    one_each = record_batches(
        "rows",
        TRANSACTIONS,
        ([[make_transaction(day)[name]] for name in TRANSACTIONS.names] for day in range(1, 11)),
    )

    assert sync_table(Rows(batches=one_each), TRANSACTIONS, lake).rows_added == 10
    assert len(ids(lake, "transactions")) == 10


def test_the_real_tape_comes_in_whole_and_unchanged_the_second_time(shared_dir, lake):
    tape = open_source("absee", str(shared_dir / "data" / "autoloans"))

    outcomes = sync_tables(tape, SERVICING.values(), lake, Conventions())
    first = {table.name: outcome for table, outcome in outcomes}

    assert [str(outcome) for outcome in first.values() if isinstance(outcome, LendingError)] == []
    assert first["loans"].rows_added == 2861
    assert first["loans"].notes == {"skipped_loans_without_balance_at_cut_off": 34}
    # The tape says neither what was charged off nor how late a loan is.
    assert first["transactions"].notes.keys() == {"repossession_costs_above_recoveries"}
    assert first["transactions"].watermark == datetime(2023, 7, 1)
    assert first["journal_lines"].absent
    repayments = lake.table("transactions").filter(lambda t: t.type == "repayment").amount.sum()
    assert repayments.to_pyarrow().as_py() == Decimal("37793514.92")
    assert sync_table(tape, TRANSACTIONS, lake).rows_added == 0
    assert lake.version("transactions") == 0
