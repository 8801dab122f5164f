"""manager_snapshots of a month against SQL by hand (managers_by_hand.sql), from the positions of the month.

What each contender returns is compared: the number of rows, and the sums of clients, amounts and scores.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

import duckdb
import ibis.expr.types as ir

from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY, make_data
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import managers, positions
from lending_pipelines.tables import TABLES

MEMORY = "6GB"
DAYS = 31
FIRST = DAY - timedelta(days=DAYS - 1)
SQL_AIM = 1 / 1.5

_ANSWER = (
    "select count(*), sum(active_clients), sum(new_clients), sum(churned_clients), sum({collected}), sum({due}),"
    " sum({opening}), round(sum(health_score), 3), round(sum(portfolio_yield), 3) from '{file}'"
)


def ours(data: str, folder: str) -> list[str]:
    """The package's own expression and engine."""
    engine = DuckDBEngine(MEMORY)
    held = engine.read_parquet([f"{folder}/positions/*.parquet"])
    rows = managers.manager_snapshots(held, _reader(engine, data), FIRST, DAY, Conventions())
    rows = TABLES["manager_snapshots"].shape(rows)
    engine.backend.to_parquet(rows, f"{folder}/ours.parquet")
    return _answer(f"{folder}/ours.parquet", "collected_in_window", "due_in_window", "opening_outstanding")


def by_hand(data: str, folder: str) -> list[str]:
    """The SQL in managers_by_hand.sql."""
    connection = duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": "false"})
    for name in managers.SOURCES:
        connection.sql(f"create view {name} as from read_parquet('{data}/{name}/*.parquet')")
    connection.sql(f"create view loan_positions as from read_parquet('{folder}/positions/*.parquet')")
    query = Path(__file__).with_name("managers_by_hand.sql").read_text()
    query = query.replace("$first", f"date '{FIRST}'").replace("$last", f"date '{DAY}'")
    connection.execute(f"copy ({query}) to '{folder}/by_hand.parquet' (format parquet)")
    return _answer(f"{folder}/by_hand.parquet", "collected", "due", "opening")


def run(options: Options) -> list[Row]:
    """A month of 10,000 and of 100,000 loans."""
    rows = []
    for loans in (10_000, 100_000):
        data = make_data(loans, options.folder)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _write_positions(str(data), folder)
            rows += compare(
                "managers",
                f"{loans:,} loans, {DAYS} days",
                [ours, by_hand],
                str(data),
                folder,
                amount=loans * DAYS,
                unit="loan-days",
                aims={"by_hand": SQL_AIM},
            )
    return rows


def _write_positions(data: str, folder: str) -> None:
    engine = DuckDBEngine(MEMORY)
    rows = positions.loan_positions(_reader(engine, data), FIRST, DAY, Conventions())
    engine.write_parquet(rows, f"{folder}/positions", "positions", None)
    engine.close()


def _reader(engine: DuckDBEngine, data: str):
    def read(name: str) -> ir.Table:
        return engine.read_parquet([f"{data}/{name}/*.parquet"])

    return read


def _answer(file: str, collected: str, due: str, opening: str) -> list[str]:
    query = _ANSWER.format(file=file, collected=collected, due=due, opening=opening)
    return [str(value) for value in duckdb.sql(query).fetchall()[0]]
