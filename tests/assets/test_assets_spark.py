"""The whole close on Spark: every table as DuckDB makes it, and every check's result.

The other tests of Spark are in files of their own, so that they run side by side.
"""

import hashlib
import shutil

import ibis
import ibis.expr.types as ir
import pytest
from homes import DAILY_TABLES, LAST, Home, close
from spark_runs import SPARK, compare, evaluations

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics.positions import loan_positions


@pytest.fixture(scope="module")
def sample(java: None, filled_home: Home, closed_home: Home, tmp_path_factory) -> dict[str, Home]:
    """A small lender's days closed by each engine."""
    by_spark = Home(shutil.copytree(filled_home.folder, tmp_path_factory.mktemp("sample") / "spark"))
    close(by_spark, **SPARK)
    return {"duckdb": closed_home, "spark": by_spark}


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
