"""The whole close on Spark: every table as DuckDB makes it, and every check's result.

The other tests of Spark are in files of their own, so that they run side by side.
"""

import hashlib
import shutil

import pytest
from homes import DAILY_TABLES, Home, close
from spark_runs import SPARK, compare, evaluations


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
