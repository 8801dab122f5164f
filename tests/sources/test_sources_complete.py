"""No row is missed unnoticed: late, changed and vanished rows, instants in the future, one moment for all tables."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from servicing_database import ServicingDatabase
from syncing import journal_line

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.resources import LakeReportSource
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.sources import open_source, sync_tables
from lending_pipelines.sources.totals import differing_months, lake_totals
from lending_pipelines.tables import SERVICING

YEAR_2034 = datetime(2034, 1, 20, 12)


def sync(database, lake, *tables, full=False):
    """What the sync did with each table; none may be refused."""
    source = database.source
    outcomes = {
        table.name: outcome
        for table, outcome in sync_tables(source, [SERVICING[t] for t in tables], lake, Conventions(), full)
    }
    assert [outcome for outcome in outcomes.values() if isinstance(outcome, LendingError)] == []
    return outcomes[tables[0]] if len(tables) == 1 else outcomes


def rows(lake, table="transactions", known_at=None):
    source = LakeReportSource(lake, Conventions())
    held = source.table(table) if known_at is None else source.as_known(table, known_at)
    return held.order_by(list(SERVICING[table].key)).to_pyarrow().to_pylist()


def ids(lake, known_at=None):
    return [row["transaction_id"] for row in rows(lake, known_at=known_at)]


def now():
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("months_back", [1, 8])
def test_a_late_row_with_an_early_posted_at_is_found(database, lake, make_transaction, months_back):
    early = datetime(2025, 1, 1) - timedelta(days=30 * months_back)
    database.insert("transactions", make_transaction(5), make_transaction(20))
    sync(database, lake, "transactions")
    database.insert("transactions", make_transaction(3, posted_at=early))

    result = sync(database, lake, "transactions")

    # T20 lies in the overlap; T3 is the only row of its month.
    assert (result.rows_read, result.rows_added, result.version) == (2, 1, 1)
    assert result.months_read_again == (f"{early:%Y-%m}",)
    assert result.warnings == ()
    assert ids(lake) == ["T20", "T3", "T5"]
    assert sync(database, lake, "transactions").months_read_again == ()


@pytest.mark.parametrize("full", [False, True])
def test_a_row_that_vanished_is_told_by_key_and_counts_no_more(database, lake, make_transaction, full):
    database.insert("transactions", *(make_transaction(day) for day in (1, 2, 20)))
    sync(database, lake, "transactions")
    before = now()
    database.execute("DELETE FROM transactions WHERE transaction_id = 'T2'")

    result = sync(database, lake, "transactions", full=full)

    assert (result.rows_added, result.rows_updated, result.rows_removed, result.version) == (0, 0, 1, 1)
    assert result.warnings == (
        "transactions: 1 rows of the lake are no longer in the source and do not count any more (transaction_id=T2)",
    )
    assert ids(lake) == ["T1", "T20"]
    # What was known before still has it, what is known since then does not.
    assert ids(lake, known_at=before) == ["T1", "T2", "T20"]
    assert ids(lake, known_at=now()) == ["T1", "T20"]
    assert ids(lake, known_at=datetime(2025, 1, 1, 12)) == ["T1"]
    assert sync(database, lake, "transactions", full=full).warnings == ()


def test_the_last_row_of_a_table_can_vanish(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1))
    sync(database, lake, "transactions")
    database.execute("DELETE FROM transactions")

    assert sync(database, lake, "transactions").rows_removed == 1
    assert ids(lake) == []


def test_an_event_that_was_changed_is_told_and_replaces_the_earlier_one(database, lake, make_transaction):
    database.insert("transactions", *(make_transaction(day) for day in (1, 2, 20)))
    sync(database, lake, "transactions")
    before = now()
    # 10.00 less principal, in a month whose latest posted_at stays.
    database.execute("UPDATE transactions SET amount = 90.30, principal = 50.25 WHERE transaction_id = 'T2'")

    result = sync(database, lake, "transactions")

    assert (result.rows_added, result.rows_updated, result.rows_removed) == (0, 1, 0)
    assert result.warnings == (
        "transactions: 1 rows have changed in the source, although events must not change; the new values count from "
        "now on (transaction_id=T2)",
    )
    amounts = {row["transaction_id"]: row["amount"] for row in rows(lake)}
    assert amounts == {"T1": Decimal("100.30"), "T2": Decimal("90.30"), "T20": Decimal("100.30")}
    known = {row["transaction_id"]: row["amount"] for row in rows(lake, known_at=before)}
    assert known == dict.fromkeys(("T1", "T2", "T20"), Decimal("100.30"))


def test_what_a_row_was_at_each_moment_when_it_changed_twice(sqlite_database, lake, make_transaction):
    sqlite_database.insert("transactions", make_transaction(1), make_transaction(20))
    sync(sqlite_database, lake, "transactions")
    first = now()
    sqlite_database.execute("UPDATE transactions SET channel = 'ach' WHERE transaction_id = 'T1'")
    sync(sqlite_database, lake, "transactions", full=True)
    second = now()
    sqlite_database.execute("DELETE FROM transactions WHERE transaction_id = 'T1'")
    sync(sqlite_database, lake, "transactions")

    assert [row["channel"] for row in rows(lake, known_at=first)] == [None, None]
    assert [row["channel"] for row in rows(lake, known_at=second)] == ["ach", None]
    assert ids(lake, known_at=now()) == ["T20"]


def test_a_loan_that_vanished_is_taken_out_and_one_that_changed_is_not_told(database, lake, make_loan):
    database.insert("loans", *(make_loan(name) for name in ("L1", "L2", "L3")))
    sync(database, lake, "loans")
    before = now()
    database.execute("DELETE FROM loans WHERE loan_id = 'L2'")
    # Its updated_at stays, which a servicing system should not do.
    database.execute("UPDATE loans SET principal = 900 WHERE loan_id = 'L3'")

    result = sync(database, lake, "loans")

    assert (result.rows_updated, result.rows_removed) == (1, 1)
    assert [warning.partition(":")[2] for warning in result.warnings] == [
        " 1 rows of the lake are no longer in the source and do not count any more (loan_id=L2)"
    ]
    assert [(row["loan_id"], row["principal"]) for row in rows(lake, "loans")] == [("L1", 1000), ("L3", 900)]
    assert [row["loan_id"] for row in rows(lake, "loans", before)] == ["L1", "L2", "L3"]


def test_a_posted_at_in_the_future_is_told_and_ends_no_sync(database, lake, make_transaction):
    database.insert("transactions", make_transaction(1), make_transaction(2, posted_at=YEAR_2034))
    first = sync(database, lake, "transactions")
    database.insert("transactions", make_transaction(5), make_transaction(6))

    second = sync(database, lake, "transactions")

    assert (first.rows_added, first.watermark) == (2, make_transaction(1)["posted_at"])
    assert (second.rows_added, second.watermark) == (2, make_transaction(6)["posted_at"])
    assert second.months_read_again == ()
    told = "transactions: 1 rows have posted_at in the future (transaction_id=T2, posted_at=2034-01-20 12:00:00)"
    assert first.warnings == second.warnings == (told,)


def test_of_many_rows_the_first_are_named(sqlite_database, lake, make_transaction):
    many = [make_transaction(1, transaction_id=f"T{n:03}") for n in range(30)]
    sqlite_database.insert("transactions", make_transaction(2), *many)
    sync(sqlite_database, lake, "transactions")
    sqlite_database.execute("DELETE FROM transactions WHERE transaction_id <> 'T2'")

    (warning,) = sync(sqlite_database, lake, "transactions").warnings

    assert warning.count("transaction_id=") == 20
    assert warning.endswith("transaction_id=T019; and 10 more)")


def test_a_correction_rewrites_only_the_files_that_hold_its_rows(sqlite_database, lake, make_transaction):
    for day in (1, 10, 20):
        sqlite_database.insert("transactions", make_transaction(day))
        sync(sqlite_database, lake, "transactions")
    files = set(DeltaTable(f"{lake.url}/transactions").file_uris())
    sqlite_database.execute("DELETE FROM transactions WHERE transaction_id = 'T10'")
    sync(sqlite_database, lake, "transactions")

    assert ids(lake) == ["T1", "T20"]
    kept = set(DeltaTable(f"{lake.url}/transactions").file_uris())
    assert (len(files), len(kept), kept < files) == (3, 2, True)


def accrual(interest, loan_id):
    """A row of accruals, which the sample's lender does not keep."""
    row = {"accrual_id": interest, "loan_id": loan_id, "effective_on": date(2025, 1, 31), "reverses_id": None}
    return row | {"posted_at": datetime(2025, 1, 31, 23), "interest": Decimal(interest), "fees": Decimal(0)}


def test_both_sides_add_every_table_up_alike(database, sqlite_database, lake):
    fill_database(SampleSpec(20, date(2025, 1, 1), date(2025, 1, 31), 3), sqlite_database.url, overwrite=True)
    with sqlite_database.engine.connect() as connection:
        loan_id = connection.exec_driver_sql("SELECT min(loan_id) FROM loans").scalar_one()
    sqlite_database.insert("accruals", *(accrual(interest, loan_id) for interest in ("7.10", "-0.35")))
    names = [name for name, table in SERVICING.items() if table.watermark]
    for name in names:
        database.copy_from(sqlite_database, name)
    sync(database, lake, *names)

    with database.source.snapshot() as reader, database.source.snapshot() as other:
        other.compute_totals_ahead(SERVICING[name] for name in names)
        for name in names:
            totals = reader.month_totals(SERVICING[name])
            read = sum(batch.num_rows for batch in other.read(SERVICING[name]))
            assert read == sum(totals["rows"].to_pylist()), name
            # A database gives groups in any order.
            assert other.month_totals(SERVICING[name]).sort_by("month").equals(totals.sort_by("month")), name
            # So few loans have no modifications.
            assert totals.num_rows > 0 or name == "modifications", name
            assert differing_months(totals, lake_totals(SERVICING[name], lake.table(name))) == [], name


def test_amounts_add_up_exactly_whatever_their_size(database, lake, make_transaction):
    big = Decimal("9007199254740.99")
    parts = {"amount": big, "principal": big, "interest": Decimal(0)}
    database.insert("transactions", *(make_transaction(day, **parts) for day in range(1, 10)))
    sync(database, lake, "transactions")

    assert sync(database, lake, "transactions").months_read_again == ()


class AfterFirstTable:
    """A source after whose first table another program commits."""

    def __init__(self, source, then):
        self.name, self._source, self._then = source.name, source, then

    @contextmanager
    def snapshot(self):
        with self._source.snapshot() as reader:
            yield _Interrupted(reader, self._then)


class _Interrupted:
    def __init__(self, reader, then):
        self._reader, self._then = reader, then

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def read(self, table, since=None, months=None):
        yield from self._reader.read(table, since, months)
        if self._then:
            then, self._then = self._then, None
            then()


def test_what_is_committed_in_mid_sync_is_in_no_table(database, lake, make_loan, make_transaction):
    """A loan, its transaction and a whole entry are posted after `loans` was read."""
    tables = ("loans", "transactions", "journal_lines")
    if database.engine.name == "sqlite":
        # So that a writer need not wait for readers.
        database.execute("PRAGMA journal_mode = WAL")
    database.insert("loans", make_loan("L1"))
    database.insert("transactions", make_transaction(1))

    def post():
        with database.engine.begin() as connection:
            connection.execute(sa.insert(database.metadata.tables["loans"]), [make_loan("L2")])
            connection.execute(sa.insert(database.metadata.tables["transactions"]), [make_transaction(2, loan_id="L2")])
            lines = [journal_line(1), journal_line(2, debit=Decimal(0), credit=Decimal(10))]
            connection.execute(sa.insert(database.metadata.tables["journal_lines"]), lines)

    source = AfterFirstTable(database.source, post)
    outcomes = list(sync_tables(source, [SERVICING[name] for name in tables], lake, Conventions()))

    assert [outcome.rows_read for _, outcome in outcomes] == [1, 1, 0]
    assert [outcome.rows_added for outcome in sync(database, lake, *tables).values()] == [1, 1, 2]


def test_another_sync_in_between_is_not_taken_for_rows_that_vanished(sqlite_database, lake, make_transaction):
    sqlite_database.execute("PRAGMA journal_mode = WAL")
    sqlite_database.insert("transactions", make_transaction(1))
    sync(sqlite_database, lake, "transactions")

    def post_and_sync():
        sqlite_database.insert("transactions", make_transaction(2))
        sync(sqlite_database, lake, "transactions")

    source = AfterFirstTable(sqlite_database.source, post_and_sync)
    tables = [SERVICING["programs"], SERVICING["transactions"]]
    (_, _), (_, second) = sync_tables(source, tables, lake, Conventions(), full=True)

    assert (second.rows_removed, second.warnings) == (0, ())
    assert ids(lake) == ["T1", "T2"]


def test_every_table_is_read_and_each_fault_is_told(database, lake, make_transaction, make_loan):
    database.insert("transactions", make_transaction(1, "gift"))
    database.insert("loans", make_loan(day_count="sometimes"))
    database.insert("programs", {"program_id": "P", "name": "Micro"})

    source = database.source
    outcomes = {table.name: outcome for table, outcome in sync_tables(source, SERVICING.values(), lake, Conventions())}

    assert {name for name, outcome in outcomes.items() if isinstance(outcome, LendingError)} == {
        "transactions",
        "loans",
    }
    assert "loans.day_count: 1 rows" in str(outcomes["loans"])
    assert "transactions.type: 1 rows" in str(outcomes["transactions"])
    assert outcomes["programs"].rows_added == 1
    assert not lake.has("loans")
    assert not lake.has("transactions")


def test_no_connection_stays_open_after_an_error(postgres_url, lake):
    database = ServicingDatabase(postgres_url)
    database.execute("ALTER TABLE transactions ALTER amount TYPE text")
    database.execute(
        "INSERT INTO transactions SELECT 'T' || n, 'L', 'repayment', date '2025-01-01', timestamp '2025-01-02', 'much',"
        " 1, 1, 1, NULL, NULL FROM generate_series(1, 3) n"
    )
    source = open_source("canonical", postgres_url)
    (_, outcome), *_ = sync_tables(source, [SERVICING["transactions"], SERVICING["loans"]], lake, Conventions())
    assert isinstance(outcome, LendingError)
    with database.engine.connect() as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.exec_driver_sql(others).scalar() == 0
