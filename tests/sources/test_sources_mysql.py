"""What is particular to reading MySQL and MariaDB: exact values as text, one state of all tables, zones, zero dates."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.sources.canonical import rows
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.ddl import create_tables
from lending_pipelines.tables.sql import servicing_metadata

TABLES = servicing_metadata().tables


@pytest.fixture
def engine(mariadb_url):
    """The servicing database, empty. With a pool: PyMySQL reads all certificates of the machine for each connection."""
    engine = sa.create_engine(mariadb_url)
    servicing_metadata().create_all(engine)
    yield engine
    engine.dispose()


def execute(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def many_transactions(number):
    """The SELECT of that many transactions."""
    return (
        "SELECT concat('T', seq) COLLATE utf8mb4_bin AS transaction_id, "
        "concat('L', seq % 1000) COLLATE utf8mb4_bin AS loan_id, 'repayment' AS type, "
        "date '2025-01-01' + interval (seq % 365) day AS effective_on, "
        "timestamp '2025-01-02 00:00:00' + interval seq second AS posted_at, "
        "cast(seq / 100 AS decimal(18, 2)) AS amount, cast(seq / 100 AS decimal(18, 2)) AS principal, 0 AS interest, "
        "0 AS fees, cast(NULL AS char) AS channel, cast(NULL AS char) COLLATE utf8mb4_bin AS reverses_id "
        f"FROM seq_1_to_{number}"
    )


def insert_transactions(engine, number):
    execute(engine, f"INSERT INTO transactions {many_transactions(number)}")


def show_transactions(engine, number):
    """Make `transactions` a view of that many rows, which takes no time."""
    execute(engine, "DROP TABLE transactions", f"CREATE VIEW transactions AS {many_transactions(number)}")


def url_of(engine):
    return engine.url.render_as_string(hide_password=False)


def batches(engine, table, since=None):
    with open_source("canonical", url_of(engine)).snapshot() as reader:
        yield from reader.read(SERVICING[table], since)


def read(engine, table, since=None):
    return pa.Table.from_batches(batches(engine, table, since), SERVICING[table].arrow_schema).to_pylist()


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql"])
def test_the_installed_driver_is_used_whatever_the_scheme(engine, make_transaction, scheme):
    with engine.begin() as connection:
        connection.execute(TABLES["transactions"].insert(), make_transaction(1))
    with open_source("canonical", url_of(engine).replace("mysql+pymysql", scheme)).snapshot() as reader:
        [batch] = reader.read(SERVICING["transactions"])
    assert batch.to_pylist() == [make_transaction(1)]


def test_numbers_dates_and_instants_to_their_last_digit(engine):
    row = {
        "modification_id": "Mé\n☃🏦",
        "loan_id": "",
        "type": "reage",
        "effective_on": date(1000, 1, 1),
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
        "DROP TABLE compliance_checks",
        # A flag as BIT(1), a rate as a float, ids as numbers and as an enumeration, padded text, a date with a time.
        "CREATE TABLE compliance_checks (check_id bigint unsigned, rule_code enum('R1', 'R2'), rule_name char(10), "
        "category varchar(20), loan_id decimal(20, 0), checked_on datetime, passed bit(1), detail json)",
        "INSERT INTO compliance_checks VALUES (18446744073709551615, 'R2', 'Rule', 'K', 12345678901234567890, "
        "'2025-01-31', b'1', '{\"a\": 1}')",
        "ALTER TABLE modifications MODIFY before_rate double, MODIFY after_rate float, MODIFY before_term smallint, "
        "MODIFY posted_at timestamp(3) NULL",
        "INSERT INTO modifications VALUES ('M1', 'L1', 'reage', '2025-01-31', 0.1 + 0.2, 0.15, 12, 13, 1, 2, 3, 4, "
        "'2025-01-31 10:00:00.125')",
    )
    assert read(engine, "compliance_checks") == [
        {
            "check_id": "18446744073709551615",
            "rule_code": "R2",
            "rule_name": "Rule",
            "category": "K",
            "loan_id": "12345678901234567890",
            "checked_on": date(2025, 1, 31),
            "passed": True,
            "detail": '{"a": 1}',
        }
    ]
    [row] = read(engine, "modifications")
    assert (row["before_rate"], row["after_rate"]) == (Decimal("0.3"), Decimal("0.15"))
    assert (row["before_term"], row["posted_at"]) == (12, datetime(2025, 1, 31, 10, 0, 0, 125000))


def test_a_zero_date_is_no_date(engine, make_loan):
    with engine.begin() as connection:
        connection.execute(TABLES["loans"].insert(), [make_loan("L1"), make_loan("L2"), make_loan("L3")])
    execute(
        engine,
        "SET sql_mode = ''",
        "UPDATE loans SET disbursed_on = '0000-00-00' WHERE loan_id = 'L1'",
        "UPDATE loans SET approved_on = '0000-00-00', updated_at = '0000-00-00' WHERE loan_id = 'L2'",
        "UPDATE loans SET matures_on = '2025-00-00' WHERE loan_id = 'L3'",
    )
    reading = batches(engine, "loans")
    found = next(reading).to_pylist()
    # L1 is not disbursed. The others lack what a loan must have; the sync refuses a null there, by its rules.
    assert [row["disbursed_on"] for row in found] == [None, date(2025, 1, 1), date(2025, 1, 1)]
    assert [row["approved_on"] for row in found] == [date(2024, 12, 30), None, date(2024, 12, 30)]
    assert [row["updated_at"] for row in found] == [datetime(2025, 1, 1), None, datetime(2025, 1, 1)]
    with pytest.raises(SourceError, match=r"loans\.matures_on: 1 rows are not dates.*loan_id=L3 has '2025-00-00'"):
        list(reading)
    with open_source("canonical", url_of(engine)).snapshot() as reader:
        totals = reader.month_totals(SERVICING["loans"])
    assert dict(zip(totals["month"].to_pylist(), totals["rows"].to_pylist(), strict=True)) == {None: 1, "2025-01": 2}


@pytest.mark.parametrize(
    ("column", "type_", "value", "shown"),
    [
        ("amount", "decimal(30, 2)", "12345678901234567.00", "'12345678901234567.00'"),
        ("amount", "decimal(30, 6)", "0.001", "'0.001000'"),
        ("amount", "double", "0.001", "0.001"),
        ("effective_on", "time", "'10:00:00'", "'10:00:00'"),
        ("effective_on", "datetime", "'2025-01-31 10:00:00'", "'2025-01-31 10:00:00'"),
        ("channel", "varbinary(10)", "0xff00", "b'.xff.x00'"),
    ],
)
def test_a_value_that_the_table_cannot_hold_is_an_error_that_names_its_row(engine, column, type_, value, shown):
    insert_transactions(engine, 3)
    execute(
        engine,
        f"ALTER TABLE transactions DROP {column}, ADD {column} {type_}",
        f"UPDATE transactions SET {column} = {value} WHERE transaction_id = 'T2'",
    )
    with pytest.raises(SourceError, match=rf"transactions\.{column}: \d rows are not .*transaction_id=T2 has {shown}"):
        read(engine, "transactions")


def test_instants_do_not_depend_on_the_time_zone_of_the_server(engine, mariadb_server):
    execute(engine, "ALTER TABLE transactions MODIFY posted_at timestamp(6)")
    insert_transactions(engine, 2)
    execute(
        engine,
        "SET time_zone = '-05:00'",
        "UPDATE transactions SET posted_at = '2025-03-01 07:00' WHERE transaction_id = 'T1'",
        "UPDATE transactions SET posted_at = '2025-03-01 06:59:59.999999' WHERE transaction_id = 'T2'",
    )
    execute(mariadb_server, "SET GLOBAL time_zone = '-05:00'")
    try:
        (row,) = read(engine, "transactions", datetime(2025, 3, 1, 12))
    finally:
        execute(mariadb_server, "SET GLOBAL time_zone = 'SYSTEM'")
    assert (row["transaction_id"], row["posted_at"]) == ("T1", datetime(2025, 3, 1, 12))


def test_all_tables_show_one_state(engine, make_loan, make_transaction):
    with engine.begin() as connection:
        connection.execute(TABLES["loans"].insert(), make_loan())
    with open_source("canonical", url_of(engine)).snapshot() as reader:
        with engine.begin() as connection:
            connection.execute(TABLES["loans"].insert(), make_loan("L2"))
            connection.execute(TABLES["transactions"].insert(), make_transaction(1))
        assert [batch.num_rows for batch in reader.read(SERVICING["loans"])] == [1]
        assert list(reader.read(SERVICING["transactions"])) == []
        assert reader.month_totals(SERVICING["transactions"]).num_rows == 0
    assert len(read(engine, "transactions")) == 1


def test_nothing_can_be_written(engine):
    execute(
        engine,
        "RENAME TABLE programs TO stored",
        "CREATE FUNCTION sneak() RETURNS text MODIFIES SQL DATA BEGIN INSERT INTO stored VALUES ('P', 'x'); "
        "RETURN 'x'; END",
        "CREATE VIEW programs AS SELECT 'P1' AS program_id, sneak() AS name",
    )
    with pytest.raises(SourceError, match=r"cannot be read.*READ ONLY transaction"):
        read(engine, "programs")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stored").scalar() == 0


def test_ids_that_the_database_treats_as_equal_are_told(engine, make_loan, make_transaction):
    execute(
        engine,
        "ALTER TABLE loans MODIFY loan_id varchar(191) COLLATE utf8mb4_general_ci",
        "ALTER TABLE transactions MODIFY loan_id varchar(191) COLLATE utf8mb4_general_ci",
    )
    with engine.begin() as connection:
        connection.execute(TABLES["loans"].insert(), [make_loan("L1"), make_loan("L2")])
        connection.execute(
            TABLES["transactions"].insert(),
            [make_transaction(1), make_transaction(2, loan_id="l1"), make_transaction(3, loan_id="L2 ")],
        )
    with pytest.raises(
        SourceError, match=r"transactions\.loan_id: \d rows have an id that .* another spelling"
    ) as told:
        read(engine, "transactions")
    assert "'l1' and 'L1'" in str(told.value)
    assert "'L2 ' and 'L2'" in str(told.value)
    assert len(read(engine, "loans")) == 2


def test_columns_of_other_collations_are_read(engine, make_loan, make_transaction):
    execute(
        engine,
        "ALTER TABLE loans MODIFY loan_id varchar(191) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        "ALTER TABLE transactions MODIFY loan_id varchar(191) COLLATE utf8mb4_unicode_ci",
    )
    with engine.begin() as connection:
        connection.execute(TABLES["loans"].insert(), make_loan("Lé1"))
        connection.execute(TABLES["transactions"].insert(), make_transaction(1, loan_id="Lé1"))
    assert [row["loan_id"] for row in read(engine, "loans") + read(engine, "transactions")] == ["Lé1", "Lé1"]


def test_a_storage_engine_without_transactions_is_noted(engine):
    execute(engine, "ALTER TABLE programs ENGINE = MyISAM")
    with open_source("canonical", url_of(engine)).snapshot() as reader:
        assert reader.notes(SERVICING["programs"]) == {"not one snapshot": "storage engine MyISAM has no transactions"}
        assert reader.notes(SERVICING["loans"]) == {}


def test_the_tables_that_the_command_prints_can_be_made(mariadb_url, make_loan):
    engine = sa.create_engine(mariadb_url, poolclass=sa.NullPool)
    execute(engine, *(text for text in create_tables("mysql").split(";\n") if "CREATE" in text))
    with engine.begin() as connection:
        connection.execute(TABLES["loans"].insert(), [make_loan("L1"), make_loan("l1")])
    assert [row["loan_id"] for row in read(engine, "loans")] == ["L1", "l1"]


def test_the_doctor_knows_who_may_write_and_the_clock(engine, mariadb_server):
    with open_source("canonical", url_of(engine)).snapshot() as reader:
        found = reader.rights()
    assert found.writable == list(SERVICING)
    assert abs(datetime.now(UTC).replace(tzinfo=None) - found.now) < timedelta(minutes=1)

    name = engine.url.database
    execute(mariadb_server, f"CREATE USER reader_{name}@'%'", f"GRANT SELECT ON {name}.* TO reader_{name}@'%'")
    reading = engine.url.set(username=f"reader_{name}").render_as_string(hide_password=False)
    with open_source("canonical", reading).snapshot() as reader:
        assert reader.rights().writable == []
    execute(mariadb_server, f"GRANT INSERT ON {name}.loans TO reader_{name}@'%'")
    with open_source("canonical", reading).snapshot() as reader:
        assert reader.rights().writable == ["loans"]
    execute(mariadb_server, f"DROP USER reader_{name}@'%'")


def connections(engine):
    """The connections of others to this database."""
    query = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
    with engine.connect() as connection:
        return connection.scalars(sa.text(query)).all()


def test_a_reader_that_stops_early_leaves_no_connection(engine, monkeypatch):
    monkeypatch.setattr(rows, "FETCHED_ROWS", 500)
    show_transactions(engine, 20_000_000)
    reading = batches(engine, "transactions")
    assert next(reading).num_rows == 500
    assert len(connections(engine)) == 1
    started = time.monotonic()
    reading.close()
    # To read the other rows would take minutes.
    assert time.monotonic() - started < 20
    while connections(engine):
        assert time.monotonic() - started < 60
        time.sleep(0.05)


def test_a_connection_that_breaks_in_the_middle_is_an_error_not_a_shorter_table(engine, monkeypatch):
    monkeypatch.setattr(rows, "FETCHED_ROWS", 500)
    show_transactions(engine, 400_000)
    reading = batches(engine, "transactions")
    next(reading)
    for reader in connections(engine):
        execute(engine, f"KILL {reader}")
    with pytest.raises(SourceError, match="canonical: table transactions cannot be read from mysql"):
        list(reading)


MEMORY = """
import sys
from pathlib import Path
from lending_pipelines.sources import open_source
from lending_pipelines.tables import SERVICING

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
    show_transactions(engine, 200_000)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, url_of(engine)], capture_output=True, text=True, check=True, timeout=120
    )
    rows_read, kilobytes = map(int, done.stdout.split())
    assert rows_read == 200_000
    # All of them are 30 MB in Arrow.
    assert kilobytes < 10_000
