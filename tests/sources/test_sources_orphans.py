"""Rows whose owner does not exist, and tables that are taken anew: a real database, a real lake."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources import preview_reload, sync_tables
from lending_pipelines.tables import SERVICING


def sync(database, lake, *names: str, **options):
    """What a sync of those tables did with each."""
    source = database.source
    tables = [SERVICING[name] for name in names]
    return {table.name: outcome for table, outcome in sync_tables(source, tables, lake, Conventions(), **options)}


def previewed(database, lake, *names: str) -> list[tuple[str, ...]]:
    """The changes that a reload of those tables would make."""
    source = database.source
    with preview_reload(source, [SERVICING[name] for name in names], lake, Conventions()) as previews:
        return [preview.changes for preview in previews]


def ids(lake, table: str) -> list[str]:
    key = SERVICING[table].key[0]
    return sorted(lake.table(table).select(key).to_pyarrow()[key].to_pylist())


def test_an_orphan_is_refused_by_its_key_and_the_other_rows_are_taken(database, lake, make_loan, make_transaction):
    database.insert("loans", make_loan("L1"))
    database.insert("transactions", make_transaction(1), make_transaction(2, loan_id="L9"))

    found = sync(database, lake, "loans", "transactions")["transactions"]

    assert [str(finding) for finding in found.rejected_rows] == [
        "loan_id: 1 rows refer to a row that loans does not have (transaction_id=T2 has 'L9')"
    ]
    assert (found.rows_added, found.warnings) == (1, ())
    assert ids(lake, "transactions") == ["T1"]


def test_an_orphan_is_refused_in_every_sync_until_its_source_is_mended(database, lake, make_loan, make_transaction):
    """The loan of T2 appears. Then T3 is deleted, and the sync finds nothing else that changed."""
    database.insert("loans", make_loan("L1"))
    orphans = make_transaction(2, loan_id="L9"), make_transaction(3, loan_id="L8")
    database.insert("transactions", make_transaction(1), *orphans, make_transaction(28))
    for _ in range(2):
        [rejected] = sync(database, lake, "loans", "transactions")["transactions"].rejected_rows
        assert str(rejected).endswith("(transaction_id=T2 has 'L9'; transaction_id=T3 has 'L8')")

    database.insert("loans", make_loan("L9"))
    found = sync(database, lake, "loans", "transactions")["transactions"]

    [rejected] = found.rejected_rows
    assert str(rejected).endswith("(transaction_id=T3 has 'L8')")
    assert found.warnings == ()
    assert ids(lake, "transactions") == ["T1", "T2", "T28"]

    database.execute("DELETE FROM transactions WHERE transaction_id = 'T3'")
    found = sync(database, lake, "loans", "transactions")["transactions"]

    assert (found.rejected_rows, found.warnings) == ((), ())
    assert ids(lake, "transactions") == ["T1", "T2", "T28"]


def test_rows_of_a_loan_that_vanished_are_refused_however_old(database, lake, make_loan, make_transaction):
    database.insert("loans", make_loan("L1"), make_loan("L2"))
    old = {"posted_at": datetime(2023, 1, 1), "effective_on": date(2023, 1, 1), "loan_id": "L2"}
    database.insert("transactions", make_transaction(1, **old), make_transaction(28))
    sync(database, lake, "loans", "transactions")
    database.execute("DELETE FROM loans WHERE loan_id = 'L2'")

    found = sync(database, lake, "loans", "transactions")["transactions"]

    assert "(transaction_id=T1 has 'L2')" in str(found.rejected_rows[0])
    # It is in the source still, so that it vanished is not said.
    assert found.warnings == ()
    assert ids(lake, "transactions") == ["T28"]


def test_orphans_of_loans_that_were_rejected_first_are_refused_once_the_loans_are_read(
    database, lake, make_loan, make_transaction
):
    database.insert("loans", make_loan("L1"), make_loan("L2", day_count="30/361"))
    old = {"posted_at": datetime(2023, 1, 1), "effective_on": date(2023, 1, 1), "loan_id": "L9"}
    database.insert("transactions", make_transaction(1, **old), make_transaction(28))
    told = sync(database, lake, "loans", "transactions")["loans"]
    assert str(told).startswith("canonical: table loans is rejected: loans.day_count: 1 rows")
    database.execute("UPDATE loans SET day_count = '30/360' WHERE loan_id = 'L2'")

    found = sync(database, lake, "loans", "transactions")["transactions"]

    assert "(transaction_id=T1 has 'L9')" in str(found.rejected_rows[0])
    assert ids(lake, "transactions") == ["T28"]


def test_an_owner_table_that_the_source_does_not_keep_is_not_compared_with(database, lake):
    line = {"entry_id": "E1", "line_no": 1, "account_code": "1000", "entry_date": date(2025, 1, 1)}
    line |= {"posted_at": datetime(2025, 1, 2), "debit": Decimal(10), "credit": Decimal(0), "currency": "EUR"}
    database.insert("journal_lines", line)
    assert sync(database, lake, "gl_accounts", "journal_lines")["journal_lines"].rejected_rows == ()

    account = {"account_code": "2000", "name": "Cash", "account_type": "asset", "control_for": "cash"}
    database.insert("gl_accounts", account)
    found = sync(database, lake, "gl_accounts", "journal_lines", full=True)["journal_lines"]
    assert str(found.rejected_rows[0]) == (
        "account_code: 1 rows refer to a row that gl_accounts does not have (entry_id=E1, line_no=1 has '1000')"
    )


def test_a_reload_says_first_what_it_changes_and_keeps_what_was_known(database, lake, make_loan, make_transaction):
    # The mapping of the first sync was wrong: cents for dollars, and a test payment among the events.
    hundredfold = {"amount": Decimal("10030.00"), "principal": Decimal("6025.00"), "interest": Decimal("4005.00")}
    database.insert("loans", make_loan("L1"))
    wrong = make_transaction(1, **hundredfold)
    database.insert("transactions", wrong, make_transaction(2), make_transaction(3))
    sync(database, lake, "loans", "transactions")
    known = datetime.now(UTC).replace(tzinfo=None)
    database.execute("UPDATE transactions SET amount = 100.30, principal = 60.25, interest = 40.05")
    database.execute("DELETE FROM transactions WHERE transaction_id = 'T2'")
    database.insert("transactions", make_transaction(4))
    before = lake.version("transactions")

    assert previewed(database, lake, "transactions") == [
        ("1 added (transaction_id=T4)", "1 changed (transaction_id=T1)", "1 gone (transaction_id=T2)")
    ]
    assert lake.version("transactions") == before

    found = sync(database, lake, "transactions", reload=["transactions"])["transactions"]
    assert (found.rows_added, found.rows_updated, found.rows_removed) == (1, 1, 1)
    expected = [make_transaction(1), make_transaction(3), make_transaction(4)]
    assert lake.table("transactions").order_by("transaction_id").to_pyarrow().to_pylist() == expected
    superseded = lake.superseded("transactions", known - timedelta(seconds=1)).order_by("transaction_id")
    assert superseded.to_pyarrow().to_pylist() == [wrong, make_transaction(2)]


def test_a_reload_of_loans_keeps_the_earlier_rows_too(database, lake, make_loan):
    database.insert("loans", make_loan("L1"))
    sync(database, lake, "loans")
    database.execute("UPDATE loans SET principal = 10")
    found = sync(database, lake, "loans", reload=["loans"])["loans"]
    assert (found.rows_updated, lake.note("loans")) == (1, "corrected")
    assert lake.table("loans", version=0).to_pyarrow()["principal"].to_pylist() == [Decimal("1000.00")]


def test_a_reload_of_all_judges_new_ids_by_the_new_loans(database, lake, make_loan, make_transaction):
    database.insert("loans", make_loan("1"))
    database.insert("transactions", make_transaction(1, loan_id="1"))
    sync(database, lake, "loans", "transactions")
    database.execute("UPDATE loans SET loan_id = 'A-1'")
    database.execute("UPDATE transactions SET loan_id = 'A-1'")

    assert previewed(database, lake, "loans", "transactions") == [
        ("1 added (loan_id=A-1)", "1 gone (loan_id=1)"),
        ("1 changed (transaction_id=T1)",),
    ]
    done = sync(database, lake, "loans", "transactions", reload=["loans", "transactions"])
    assert not done["transactions"].rejected_rows
    assert lake.table("transactions").to_pyarrow()["loan_id"].to_pylist() == ["A-1"]


def test_a_table_that_was_offered_by_mistake_is_emptied_by_a_reload(database, lake):
    database.insert("programs", {"program_id": "P", "name": "Micro"})
    sync(database, lake, "programs")
    database.execute("DROP TABLE programs")
    refused = sync(database, lake, "programs")["programs"]
    assert isinstance(refused, LendingError)
    assert "run `lending sync --reload programs`" in str(refused)

    assert previewed(database, lake, "programs") == [("1 gone (the source does not have the table)",)]
    found = sync(database, lake, "programs", reload=["programs"])["programs"]
    assert (found.absent, found.rows_removed, ids(lake, "programs")) == (True, 1, [])
    assert sync(database, lake, "programs")["programs"].absent
