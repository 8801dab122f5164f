"""Backfills of disjoint ranges at once, with a report and a reader beside them: as if one after another.

Each run is a process of its own on one Dagster instance and one lake, as run workers are; one of them has a process for
each step (run_worker.py).
"""

import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import dagster as dg
import ibis
from homes import FIRST, LAST, Home
from run_worker import MADE

from lending_pipelines.tables import SERVICING, TABLES

WORKER = Path(__file__).parents[1] / "run_worker.py"
RANGES = {
    # They share months, and so files of the tables that have one a month.
    ("2025-02-12", "2025-02-19"): "in_process",
    ("2025-02-20", "2025-02-27"): "multiprocess",
    ("2025-02-28", "2025-03-06"): "in_process",
    ("2025-03-07", "2025-03-13"): "in_process",
}


def days_of(home: Home, table: str) -> dict[date, list[dict]]:
    days: dict[date, list[dict]] = {}
    for row in home.rows(table):
        days.setdefault(row["business_date"], []).append(row)
    return days


def forget_all_but_the_last_day(home: Home) -> None:
    with home.lake() as lake:
        for table in MADE:
            nothing = ibis.memtable(TABLES[table].arrow_schema.empty_table())
            lake.replace_days(table, nothing, FIRST, date.fromisoformat(max(RANGES)[1]))


def read_while(home: Home, workers: subprocess.Popen, expected: dict) -> int:
    """How often everything could be read while the workers ran, and each day found was whole."""
    times = 0
    while workers.poll() is None:
        for table in MADE:
            found = days_of(home, table)
            assert LAST in found
            assert found == {day: expected[table][day] for day in found}
        with home.lake() as lake:
            assert {name: lake.table(name).count().to_pyarrow().as_py() for name in SERVICING} == expected["counts"]
        times += 1
        # The processors are the runs' too.
        time.sleep(1)
    return times


def test_four_backfills_a_report_and_a_reader_at_once(home, tmp_path):
    expected = {table: days_of(home, table) for table in MADE}
    with home.lake() as lake:
        expected["counts"] = {name: lake.table(name).count().to_pyarrow().as_py() for name in SERVICING}
    forget_all_but_the_last_day(home)
    assert {table: list(days_of(home, table)) for table in MADE} == {table: [LAST] for table in MADE}

    words = [word for days, executor in RANGES.items() for word in (executor, *days)]
    workers = subprocess.Popen([sys.executable, WORKER, tmp_path, str(LAST), *words])
    times_read = read_while(home, workers, expected)

    files = sorted(tmp_path.glob("*.log"))
    logs = "\n".join(f"{file.name}:\n{file.read_text()}" for file in files)
    assert workers.returncode == 0, logs
    assert len(files) == len(RANGES) + 1
    assert "locked" not in logs
    assert times_read > 1
    assert {table: days_of(home, table) for table in MADE} == {table: expected[table] for table in MADE}
    assert [request.status for request in home.requests()] == ["completed"]
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="days"))
        spans = {
            (run.tags["dagster/asset_partition_range_start"], run.tags["dagster/asset_partition_range_end"])
            for run in runs
        }
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * len(RANGES)
    assert spans == RANGES.keys()
