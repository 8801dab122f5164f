"""Runs that write the same rows at once leave them once; each works on what the other left."""

import threading
from datetime import date
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES

RUNS, ROUNDS = 3, 4
DAYS = [date(2025, month, 1) for month in range(1, ROUNDS + 1)]


def rows(table: str, *values: dict) -> ibis.Table:
    """Rows with these values, and nothing in the other columns."""
    schema = TABLES[table].arrow_schema
    return ibis.memtable(pa.Table.from_pylist([dict.fromkeys(schema.names) | value for value in values], schema=schema))


def all_at_once(folder: Path | str, work) -> Lake:
    """Let runs, each with an engine of its own, do `work(lake, number, turn)` at the same moment, turn by turn."""
    start, failures = threading.Barrier(RUNS), []

    def run(number: int) -> None:
        engine = DuckDBEngine(memory_limit="500MB", threads=1)
        try:
            for turn in range(ROUNDS):
                start.wait(timeout=30)
                work(Lake(str(folder), engine), number, turn)
        except Exception as error:
            failures.append(error)
        finally:
            engine.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(RUNS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return Lake(str(folder), DuckDBEngine(threads=1))


@pytest.mark.parametrize("table", ["loan_positions", "trial_balance"])
def test_the_same_day_is_there_once(tmp_path, table):
    key = {"loan_positions": "loan_id", "trial_balance": "account_code"}[table]

    def close(lake: Lake, number: int, turn: int) -> None:
        lake.replace_days(table, rows(table, {"business_date": DAYS[turn], key: "A"}), DAYS[turn], DAYS[turn])

    lake = all_at_once(tmp_path, close)

    assert sorted(lake.table(table).to_pyarrow()["business_date"].to_pylist()) == DAYS


def test_the_same_events_are_added_once_and_each_runs_own_too(tmp_path):
    def sync(lake: Lake, number: int, turn: int) -> None:
        names = (f"all {turn}", f"own {number} {turn}")
        lake.append("transactions", rows("transactions", *({"transaction_id": name} for name in names)))

    lake = all_at_once(tmp_path, sync)

    names = sorted(lake.table("transactions").to_pyarrow()["transaction_id"].to_pylist())
    own = [f"own {number} {turn}" for number in range(RUNS) for turn in range(ROUNDS)]
    assert names == [*(f"all {turn}" for turn in range(ROUNDS)), *own]


def test_changed_rows_take_the_place_of_those_with_their_key(tmp_path):
    def sync(lake: Lake, number: int, turn: int) -> None:
        changed = {"loan_id": "L", "purpose": f"turn {turn}"}
        lake.merge("loans", rows("loans", changed, {"loan_id": f"own {number} {turn}", "purpose": "new"}))

    Lake(str(tmp_path), DuckDBEngine(threads=1)).replace(
        "loans", rows("loans", {"loan_id": "L", "purpose": "held"}, {"loan_id": "K", "purpose": "held"})
    )
    lake = all_at_once(tmp_path, sync)

    loans = lake.table("loans").to_pyarrow().to_pylist()
    purposes = {row["loan_id"]: row["purpose"] for row in loans}
    assert len(loans) == len(purposes) == RUNS * ROUNDS + 2
    assert (purposes["L"], purposes["K"]) == (f"turn {ROUNDS - 1}", "held")
