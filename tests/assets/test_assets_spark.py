"""The whole close on Spark: every table as DuckDB makes it, and every check's result. A killed run leaves the
previous versions of its tables.

The closes on Spark in a process of pytest are all in this file: they share one Java process, whose start and first
queries cost most.
"""

import csv
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest
from homes import DAILY_TABLES, LAST, Home, close, materialise
from spark_runs import SOME_DAYS, SPARK, compare, evaluations, kill, until, writing

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics.positions import loan_positions

BIN = Path(sys.executable).parent
TAPE_DAYS = date(2019, 9, 30), date(2019, 10, 1)
TAPE_LOANS = 100
ENGINES = {"duckdb": {}, "spark": SPARK}


@pytest.fixture(scope="module")
def sample(java: None, filled_home: Home, closed_home: Home, tmp_path_factory) -> dict[str, Home]:
    """A small lender's days closed by each engine."""
    by_spark = Home(shutil.copytree(filled_home.folder, tmp_path_factory.mktemp("sample") / "spark"))
    close(by_spark, **SPARK)
    return {"duckdb": closed_home, "spark": by_spark}


@pytest.fixture(scope="module")
def tape_cut(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first loans of the real tape."""
    folder, whole = tmp_path_factory.mktemp("cut"), shared_dir / "data" / "autoloans"
    kept: set[str] = set()
    for name in ("loans.csv.gz", "monthly.csv.gz"):
        with gzip.open(whole / name, "rt", newline="") as source, gzip.open(folder / name, "wt", newline="") as cut:
            rows = csv.DictReader(source)
            writer = csv.DictWriter(cut, rows.fieldnames)
            writer.writeheader()
            for row in rows:
                if name == "loans.csv.gz" and len(kept) < TAPE_LOANS:
                    kept.add(row["assetNumber"])
                if row["assetNumber"] in kept:
                    writer.writerow(row)
    return folder


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


def test_every_table_of_the_sample_is_the_same_to_the_cent(sample):
    compare(sample, {*DAILY_TABLES, "loans", "transactions", "journal_lines", "portfolio_membership"})


def test_every_check_says_the_same(sample):
    expected = evaluations(sample["duckdb"])

    assert len(expected) > 50
    assert evaluations(sample["spark"]) == expected


def test_a_tape_is_the_same_to_the_byte(sample):
    tapes = {engine: list((home.folder / "exports").rglob("*.csv")) for engine, home in sample.items()}
    sums = {
        engine: {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        for engine, paths in tapes.items()
    }

    assert len(sums["duckdb"]) == 1
    assert sums["spark"] == sums["duckdb"]


def test_daily_interest_is_the_same_to_the_cent(sample):
    """The day counts of the sample's loans vary here. Interest of a loan on non-accrual is earned as cash."""
    from lending_pipelines.lake.engines.spark import SparkEngine

    day_counts = ("30/360", "actual/365", "actual/360", "actual/actual")
    conventions = Conventions(interest_accrual="daily", non_accrual_interest="cash", non_accrual_days=30)
    found = {}
    for name, engine in (("duckdb", DuckDBEngine()), ("spark", SparkEngine("", SPARK["LENDING_SPARK_MASTER"]))):
        lake = Lake(str(sample["duckdb"].folder / "lake"), engine)

        def read(table: str, lake: Lake = lake) -> ir.Table:
            rows = lake.table(table)
            if table != "loans":
                return rows
            ends = rows.loan_id.substr(rows.loan_id.length() - 1).cast("int64") % 4
            return rows.mutate(day_count=ibis.cases(*((ends == n, text) for n, text in enumerate(day_counts))))

        rows = loan_positions(read, LAST, LAST, conventions)
        rows = rows.select("loan_id", "status", "non_accrual", "interest_earned", "interest_receivable")
        found[name] = sorted(rows.to_pyarrow().to_pylist(), key=lambda row: row["loan_id"])
        engine.close()
    assert found["spark"] == found["duckdb"]
    assert len(found["spark"]) > 100
    assert any(row["non_accrual"] for row in found["spark"])


def test_every_table_of_the_real_tape_is_the_same_to_the_cent(java, tape_cut, tmp_path):
    source = {"LENDING_SOURCE": "absee", "LENDING_SERVICING_URL": str(tape_cut)}
    homes = {engine: Home(tmp_path / engine) for engine in ENGINES}
    for engine, environment in ENGINES.items():
        close(homes[engine], TAPE_DAYS, **source, **environment)

    compare(homes, {"loan_positions", "aging_buckets", "portfolio_snapshots", "installments", "transactions"})
    assert evaluations(homes["spark"]) == evaluations(homes["duckdb"])


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
