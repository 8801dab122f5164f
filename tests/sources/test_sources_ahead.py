"""Month totals that are computed in a thread: their order, their errors, and the snapshot of their connection."""

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import date

import pyarrow as pa
import pytest
import sqlalchemy as sa
from servicing_database import ServicingDatabase

from lending_pipelines.conventions import Conventions
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.sources import sync_tables
from lending_pipelines.sources.canonical import begin
from lending_pipelines.sources.canonical.ahead import TotalsAhead
from lending_pipelines.tables import SERVICING

TABLES = [SERVICING[name] for name in ("loans", "transactions", "journal_lines")]
PATIENCE = 20


class Connection:
    closed = False

    def close(self):
        self.closed = True


def test_totals_are_computed_in_order_before_they_are_asked_for():
    computed, complete, connection = [], threading.Event(), Connection()

    def compute(given, table):
        assert given is connection
        computed.append(table.name)
        if len(computed) == len(TABLES):
            complete.set()
        return pa.table({"of": [table.name]})

    with closing(TotalsAhead(connection, compute)) as ahead:
        ahead.expect(TABLES)

        assert complete.wait(PATIENCE)
        assert computed == ["loans", "transactions", "journal_lines"]
        assert ahead[TABLES[1]]["of"].to_pylist() == ["transactions"]
        assert TABLES[0] in ahead
        assert SERVICING["accruals"] not in ahead
    assert connection.closed


def test_an_error_of_a_total_is_raised_where_it_is_asked_for():
    def compute(connection, table):
        if table.name == "loans":
            raise ValueError("no totals")
        return pa.table({"of": [table.name]})

    with closing(TotalsAhead(Connection(), compute)) as ahead:
        ahead.expect(TABLES)
        with pytest.raises(ValueError, match="no totals"):
            ahead[TABLES[0]]
        assert ahead[TABLES[2]]["of"].to_pylist() == ["journal_lines"]


def test_a_close_waits_for_the_total_that_is_computed_and_computes_no_more():
    computed, begun, go_on, connection = [], threading.Event(), threading.Event(), Connection()

    def compute(given, table):
        begun.set()
        assert go_on.wait(PATIENCE)
        assert not connection.closed
        computed.append(table.name)

    ahead = TotalsAhead(connection, compute)
    ahead.expect(TABLES)
    assert begun.wait(PATIENCE)
    ending = threading.Thread(target=ahead.close)
    ending.start()
    # The close has cancelled the other totals when it waits for the first.
    others = list(ahead._totals.values())[1:]
    while ending.is_alive() and not all(future.cancelled() for future in others):
        ending.join(0.01)
    # A close that does not wait would have ended by then.
    ending.join(0.1)
    assert ending.is_alive()
    go_on.set()
    ending.join(PATIENCE)

    assert computed == ["loans"]
    assert connection.closed


def test_an_error_of_the_block_is_not_replaced_when_the_server_is_gone():
    class Gone(Connection):
        def close(self):
            super().close()
            raise sa.exc.OperationalError("ROLLBACK", {}, Exception("server closed the connection"))

    connection = Gone()
    with pytest.raises(ValueError, match="cannot be read"), closing(TotalsAhead(connection, lambda *given: None)):
        raise ValueError("cannot be read")
    assert connection.closed


def test_a_sync_computes_each_total_once_in_the_other_thread(database, sqlite_database, lake):
    """With a second connection to the snapshot, which MariaDB does not have."""
    fill_database(SampleSpec(20, date(2025, 1, 1), date(2025, 1, 31), 3), sqlite_database.url, overwrite=True)
    names = [name for name, table in SERVICING.items() if table.watermark]
    for name in names:
        database.copy_from(sqlite_database, name)
    tables = [SERVICING[name] for name in names]
    list(sync_tables(database.source, tables, lake, Conventions()))
    totals = {True: Counter(), False: Counter()}

    def begin_query(connection, cursor, statement, parameters, context, many):
        if "GROUP BY" in statement:
            ahead = threading.current_thread().name.startswith("month-totals")
            totals[ahead][statement.partition("FROM ")[2].split()[0].strip('`"')] += 1

    engine = database.source._engine
    sa.event.listen(engine, "before_cursor_execute", begin_query)
    outcomes = dict(sync_tables(database.source, tables, lake, Conventions()))
    sa.event.remove(engine, "before_cursor_execute", begin_query)

    ahead = engine.dialect.name in ("sqlite", "postgresql")
    # So few loans have no modifications, and nothing is accrued: the lake has no watermark from which to read.
    asked = names if ahead else [name for name in names if name not in ("accruals", "modifications")]
    assert totals[ahead] == dict.fromkeys(asked, 1)
    assert not totals[not ahead]
    assert not any(result.rows_added or result.months_read_again for result in outcomes.values())


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("between", [False, True], ids=["quiet", "another program commits"])
def test_both_connections_to_sqlite_show_one_state(sqlite_database, make_loan, monkeypatch, journal_mode, between):
    sqlite_database.insert("loans", make_loan("L1"))
    file = sqlite_database.source._engine.url.database.removeprefix("file:").partition("?")[0]
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA journal_mode = {journal_mode}")
    start, started = begin._start_sqlite, []

    def commit_and_start(connection):
        # In the mode `delete`, nobody can commit while the first connection reads.
        if between and len(started) == (journal_mode == "wal"):
            with closing(sqlite3.connect(file)) as other:
                other.execute("UPDATE loans SET loan_id = 'L2'")
                other.commit()
        started.append(connection)
        start(connection)

    monkeypatch.setattr(begin, "_start_sqlite", commit_and_start)
    with sqlite_database.source.snapshot() as reader:
        assert len(started) == 2
        assert (reader._ahead is None) == between
        seen = [connection.exec_driver_sql("SELECT loan_id FROM loans").scalar_one() for connection in started[:1]]
        if not between:
            seen.append(started[1].exec_driver_sql("SELECT loan_id FROM loans").scalar_one())

    assert set(seen) == ({"L2"} if between and journal_mode == "delete" else {"L1"})


def test_a_server_that_allows_no_more_connections_gives_no_second_one():
    assert begin.join(sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none"), "snapshot") is None


def test_without_a_second_connection_totals_are_computed_when_they_are_asked_for(
    postgres_url, make_loan, lake, monkeypatch
):
    database = ServicingDatabase(postgres_url)
    database.insert("loans", make_loan("L1"))
    monkeypatch.setattr("lending_pipelines.sources.canonical.database.join", lambda engine, name: None)
    for _ in range(2):
        [(_, result)] = sync_tables(database.source, [SERVICING["loans"]], lake, Conventions())

    assert result.rows_added == 0
    assert result.months_read_again == ()
