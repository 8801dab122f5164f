"""What the tests of the close on Spark share: its settings, the comparison of two lakes, and processes to kill."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date

import dagster as dg
import pytest
from homes import Home

from lending_pipelines.tables import TABLES

SOME_DAYS = date(2025, 2, 27), date(2025, 3, 1)
SPARK = {"LENDING_ENGINE": "spark", "LENDING_SPARK_MASTER": "local[2]"}
PATIENCE = 300


OF_THE_RUN = {("closed_days", "closed_at"), ("reported_days", "closed_at")}
"""Columns with the instant of a run."""


def compare(homes: dict[str, Home], some: set[str]) -> None:
    """Every table of both lakes: ratios to 1e-9, all else exactly. Certificates state files and instants of a run."""
    assert homes["spark"].versions().keys() == homes["duckdb"].versions().keys()
    for name in homes["duckdb"].versions().keys() - {"close_certificates"}:
        expected, found = homes["duckdb"].rows(name), homes["spark"].rows(name)
        assert len(found) == len(expected), name
        assert expected or name not in some, f"{name} has no rows to compare"
        for row, wanted in zip(found, expected, strict=True):
            columns = [column for column in wanted if (name, column) not in OF_THE_RUN]
            wrong = {each: (row[each], wanted[each]) for each in columns if not same(row[each], wanted[each])}
            assert not wrong, (name, {key: row[key] for key in TABLES[name].key})


def same(found: object, wanted: object) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(wanted) and found == wanted


def evaluations(home: Home) -> dict[str, tuple[bool, object]]:
    """Of the last run, whether each check passed, and on how many rows it did not."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        with dg.DagsterInstance.get() as instance:
            run = instance.get_runs(limit=1)[0]
            records = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [record.get_dagster_event().asset_check_evaluation_data for record in records]
    return {
        f"{check.asset_key.to_user_string()}.{check.check_name}": (check.passed, check.metadata.get("failed_rows"))
        for check in found
    }


def until(true: Callable[[], bool], process: subprocess.Popen) -> bool:
    """Wait until it is true, or the process has ended; false when it never was."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if true():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    raise TimeoutError(f"nothing in {PATIENCE} s")


def writing(home: Home) -> Callable[[], bool]:
    """Whether files of positions are being written."""
    folder = home.folder / "lake" / "loan_positions" / "_temporary"
    return lambda: any(folder.rglob("*.parquet"))


def kill(process: subprocess.Popen) -> None:
    """Kill a process of this test and its children, which share its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
