"""A run on Spark that is killed leaves the previous versions of its tables."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from homes import DAILY_TABLES, materialise
from spark_runs import SOME_DAYS, SPARK, kill, until, writing

BIN = Path(sys.executable).parent


def positions_run() -> subprocess.Popen:
    """A run in a process of its own that makes positions again on Spark."""
    return subprocess.Popen(
        [
            *(BIN / "dagster", "asset", "materialize", "-m", "lending_pipelines.definitions"),
            *("--select", 'key:"loan_positions"', "--partition-range", "...".join(map(str, SOME_DAYS))),
        ],
        env=os.environ | SPARK,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_killed_run_leaves_the_previous_version_and_the_next_run_completes(java, home, monkeypatch):
    before, versions = {name: home.rows(name) for name in DAILY_TABLES}, home.versions()

    run = positions_run()
    try:
        assert until(writing(home), run), run.communicate()[1]
    finally:
        kill(run)

    assert run.returncode == -signal.SIGKILL
    # The days as reported are kept before they are replaced.
    assert home.versions() == versions | {"reported_days": 0}
    assert {name: home.rows(name) for name in DAILY_TABLES} == before
    for name, value in SPARK.items():
        monkeypatch.setenv(name, value)
    materialise(*SOME_DAYS, "loan_positions")
    made = {name: versions[name] + 1 for name in ("loan_positions", "closed_days")}
    assert home.versions() == versions | made | {"reported_days": 0}
    assert home.rows("loan_positions") == before["loan_positions"]
