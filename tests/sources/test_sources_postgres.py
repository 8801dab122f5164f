"""What is particular to reading PostgreSQL: exact types through Arrow, a stream, read only, and broken connections."""

import subprocess
import sys
import time
from datetime import date, datetime
from decimal import Decimal

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pytest
import sqlalchemy as sa

from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical import postgresql, rows
from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata

TABLES = servicing_metadata().tables


@pytest.fixture
def engine(postgres_url):
    """The servicing database, empty."""
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    servicing_metadata().create_all(engine)
    return engine


def execute(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def many_transactions(number):
    """The SELECT of that many transactions."""
    return (
        "SELECT 'T' || n AS transaction_id, 'L' || n % 1000 AS loan_id, 'repayment' AS type, "
        "date '2025-01-01' + n % 365 AS effective_on, timestamp '2025-01-02' + n * interval '1 second' AS posted_at, "
        "(n / 100.0)::numeric(18, 2) AS amount, (n / 100.0)::numeric(18, 2) AS principal, "
        "0::numeric(18, 2) AS interest, 0::numeric(18, 2) AS fees, NULL::text AS channel, NULL::text AS reverses_id "
        f"FROM generate_series(1, {number}) n"
    )


def insert_transactions(engine, number):
    execute(engine, f"INSERT INTO transactions {many_transactions(number)}")


def show_transactions(engine, number):
    """Make `transactions` a view of that many rows, which takes no time."""
    execute(engine, "DROP TABLE transactions", f"CREATE VIEW transactions AS {many_transactions(number)}")


def batches(engine, table, since=None):
    url = engine.url.render_as_string(hide_password=False)
    with open_source("canonical", url).snapshot() as reader:
        yield from reader.read(SERVICING[table], since)


def read(engine, table, since=None):
    return pa.Table.from_batches(batches(engine, table, since), SERVICING[table].arrow_schema).to_pylist()


def test_every_table_of_the_sample_is_what_the_plain_driver_reads(engine):
    fill_database(
        SampleSpec(40, date(2025, 1, 1), date(2025, 1, 31), 3), engine.url.render_as_string(hide_password=False)
    )
    source = open_source("canonical", engine.url.set(drivername="postgresql").render_as_string(hide_password=False))

    with source.snapshot() as reader:
        readings = {
            name: pa.Table.from_batches(reader.read(table), table.arrow_schema) for name, table in SERVICING.items()
        }
    for name, table in SERVICING.items():
        with engine.connect() as connection:
            fetched = rows.fetch(connection, sa.select(*TABLES[name].columns))
            plain = list(record_batches("plain", table, fetched))
        expected = pa.Table.from_batches(plain, table.arrow_schema)
        found = readings[name]
        order = [(key, "ascending") for key in table.key]
        assert found.sort_by(order).equals(expected.sort_by(order)), name
    assert found.num_rows > 0


def test_numbers_dates_and_instants_to_their_last_digit(engine):
    row = {
        "modification_id": "Mé\n☃",
        "loan_id": "",
        "type": "reage",
        "effective_on": date(1, 1, 1),
        "before_rate": Decimal("-999.999999"),
        "after_rate": Decimal("0.000001"),
        "before_term": 2**63 - 1,
        "after_term": None,
        "before_payment": Decimal("9999999999999999.99"),
        "after_payment": Decimal("-9999999999999999.99"),
        "before_principal": Decimal("0.01"),
        "after_principal": None,
        "posted_at": datetime(9999, 12, 31, 23, 59, 59, 999999),
    }
    with engine.begin() as connection:
        connection.execute(TABLES["modifications"].insert(), row)

    assert read(engine, "modifications") == [row]


def test_types_that_mean_the_same_are_taken(engine):
    execute(
        engine,
        "CREATE DOMAIN money_amount AS numeric(18, 2)",
        "CREATE TYPE payment_state AS ENUM ('verified', 'failed')",
        "ALTER TABLE gateway_payments ALTER payment_id TYPE uuid USING payment_id::uuid, "
        "ALTER amount TYPE money_amount, ALTER status TYPE payment_state USING status::payment_state, "
        "ALTER currency TYPE char(3)",
        "ALTER TABLE loans ALTER term_count TYPE smallint, ALTER principal TYPE numeric, "
        "ALTER annual_rate TYPE double precision",
        "INSERT INTO gateway_payments VALUES ('8eeee505-d7bb-493b-94ae-0ce9ced7af75', 'U1', 5.1, 'EUR', 'verified', "
        "'2025-01-31 10:00', 'x')",
    )
    with engine.begin() as connection:
        loan = dict.fromkeys(SERVICING["loans"].names, "x") | dict.fromkeys(("collateral_value", "credit_score"))
        loan |= dict.fromkeys(("approved_on", "disbursed_on", "first_due_on", "matures_on"), date(2025, 1, 1))
        loan |= dict.fromkeys(("posted_at", "updated_at"), datetime(2025, 1, 1))
        loan |= {"principal": Decimal("1000.5"), "annual_rate": Decimal("0.125"), "term_count": 12}
        connection.execute(TABLES["loans"].insert(), loan)

    assert read(engine, "loans") == [loan]
    assert read(engine, "gateway_payments") == [
        {
            "payment_id": "8eeee505-d7bb-493b-94ae-0ce9ced7af75",
            "user_id": "U1",
            "amount": Decimal("5.10"),
            "currency": "EUR",
            "status": "verified",
            "paid_at": datetime(2025, 1, 31, 10),
            "reference": "x",
        }
    ]


@pytest.mark.parametrize(
    ("column", "type_", "value", "shown"),
    [
        ("amount", "numeric", "'NaN'", "'NaN'"),
        ("amount", "numeric", "'-Infinity'", "'-Infinity'"),
        ("amount", "numeric", "12345678901234567.00", "12345678901234567.00"),
        ("amount", "numeric", "0.001", "0.001"),
        ("effective_on", "date", "'infinity'", "'infinity'"),
        ("posted_at", "timestamp", "'-infinity'", "'infinity'"),
        ("posted_at", "timestamptz", "'infinity'", "'infinity'"),
        ("effective_on", "interval USING interval '1 day'", "'3 days'", "MonthDayNano.*days=3"),
        ("channel", "numeric USING 1", "7.5", "7.5"),
        ("channel", "boolean USING true", "false", "False"),
    ],
)
def test_a_value_that_the_table_cannot_hold_is_an_error_that_names_its_row(engine, column, type_, value, shown):
    insert_transactions(engine, 3)
    execute(
        engine,
        f"ALTER TABLE transactions ALTER {column} TYPE {type_}",
        f"UPDATE transactions SET {column} = {value} WHERE transaction_id = 'T2'",
    )
    with pytest.raises(SourceError, match=rf"transactions\.{column}: \d rows are not .*transaction_id=T2 has {shown}"):
        read(engine, "transactions")


def test_instants_do_not_depend_on_the_time_zone_of_the_server(engine):
    execute(
        engine,
        f"ALTER DATABASE {engine.url.database} SET timezone = 'America/New_York'",
        "ALTER TABLE transactions ALTER posted_at TYPE timestamptz USING posted_at AT TIME ZONE 'UTC'",
    )
    insert_transactions(engine, 2)
    execute(engine, "UPDATE transactions SET posted_at = '2025-03-01 12:00+00' WHERE transaction_id = 'T1'")
    execute(engine, "UPDATE transactions SET posted_at = '2025-03-01 11:59:59.999999+00' WHERE transaction_id = 'T2'")

    (row,) = read(engine, "transactions", datetime(2025, 3, 1, 12))
    assert (row["transaction_id"], row["posted_at"]) == ("T1", datetime(2025, 3, 1, 12))


def test_nothing_can_be_written(engine):
    execute(
        engine,
        "ALTER TABLE programs RENAME TO stored",
        "CREATE FUNCTION sneak() RETURNS text LANGUAGE sql "
        "AS $$ INSERT INTO stored VALUES ('P', 'x') RETURNING name $$",
        "CREATE VIEW programs AS SELECT 'P1' AS program_id, sneak() AS name",
    )
    with pytest.raises(SourceError, match=r"table programs cannot be read from .*read-only transaction"):
        read(engine, "programs")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stored").scalar() == 0


def backends(engine):
    """The processes of the server that others have in this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        return connection.scalars(sa.text(f"{query} AND backend_type = 'client backend'")).all()


def test_a_reader_that_stops_early_leaves_no_connection(engine, monkeypatch):
    monkeypatch.setattr(postgresql, "BATCH_BYTES", 10_000)
    show_transactions(engine, 50_000)
    reading = batches(engine, "transactions")
    assert 0 < next(reading).num_rows < 1000
    # The one that holds the snapshot, and the one that reads.
    assert len(backends(engine)) == 2
    reading.close()
    assert backends(engine) == []


def test_one_connection_reads_all_tables_also_after_one_that_cannot_be_read(engine, monkeypatch):
    insert_transactions(engine, 3)
    view = "CREATE VIEW programs AS SELECT 'P' AS program_id, (1 / 0)::text AS name"
    execute(engine, "ALTER TABLE programs RENAME TO stored", view)
    connected = []
    connect = adbc_driver_postgresql.dbapi.connect
    monkeypatch.setattr(adbc_driver_postgresql.dbapi, "connect", lambda url: connected.append(url) or connect(url))
    with open_source("canonical", engine.url.render_as_string(hide_password=False)).snapshot() as reader:
        for _ in range(2):
            assert sum(batch.num_rows for batch in reader.read(SERVICING["transactions"])) == 3
            assert list(reader.read(SERVICING["loans"])) == []
        assert len(connected) == 1
        with pytest.raises(SourceError, match="table programs cannot be read from postgresql"):
            list(reader.read(SERVICING["programs"]))
        # The failed SELECT has ended the transaction of its connection.
        for _ in range(2):
            assert sum(batch.num_rows for batch in reader.read(SERVICING["transactions"])) == 3
        assert len(connected) == 2
        # The one that holds the snapshot, and the one that reads.
        assert len(backends(engine)) == 2
    assert backends(engine) == []


def test_a_reader_waits_between_two_tables_however_short_the_servers_limit(engine):
    execute(engine, f"ALTER DATABASE {engine.url.database} SET idle_in_transaction_session_timeout = '500ms'")
    insert_transactions(engine, 3)
    with open_source("canonical", engine.url.render_as_string(hide_password=False)).snapshot() as reader:
        for pause in (0, 1.2):
            time.sleep(pause)
            assert sum(batch.num_rows for batch in reader.read(SERVICING["transactions"])) == 3


def test_a_connection_that_cannot_join_the_snapshot_is_closed(engine):
    reader = postgresql.SnapshotReader(engine, "no snapshot")
    with pytest.raises(ReadFailed):
        list(reader.fetch(sa.select(sa.literal(1))))
    assert backends(engine) == []


def test_a_connection_that_breaks_in_the_middle_is_an_error_not_a_shorter_table(engine, monkeypatch):
    monkeypatch.setattr(postgresql, "BATCH_BYTES", 10_000)
    show_transactions(engine, 100_000)
    reading = batches(engine, "transactions")
    next(reading)
    readers = backends(engine)
    with engine.begin() as connection:
        for reader in readers:
            connection.execute(sa.select(sa.func.pg_terminate_backend(reader)))
    with pytest.raises(SourceError, match="canonical: table transactions cannot be read from postgresql"):
        list(reading)


MEMORY = """
import sys
from pathlib import Path
from lending_pipelines.sources import open_source
from lending_pipelines.sources.canonical import postgresql
from lending_pipelines.tables import SERVICING

postgresql.BATCH_BYTES = 1_000_000

def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

with open_source("canonical", sys.argv[1]).snapshot() as reader:
    reading = reader.read(SERVICING["transactions"])
    rows = sum(next(reading).num_rows for _ in range(3))
    before = peak()
    rows += sum(batch.num_rows for batch in reading)
print(rows, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_memory_is_flat_however_many_rows(engine):
    show_transactions(engine, 300_000)
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", MEMORY, url], capture_output=True, text=True, check=True, timeout=120)
    rows_read, kilobytes = map(int, done.stdout.split())
    assert rows_read == 300_000
    # All of them are 45 MB in Arrow.
    assert kilobytes < 15_000
