"""The close of the real tape on Spark: every table as DuckDB makes it, and every check's result."""

import csv
import gzip
from datetime import date
from pathlib import Path

import pytest
from homes import Home, close
from spark_runs import SPARK, compare, evaluations

TAPE_DAYS = date(2019, 9, 30), date(2019, 10, 1)
TAPE_LOANS = 100
ENGINES = {"duckdb": {}, "spark": SPARK}


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


def test_every_table_of_the_real_tape_is_the_same_to_the_cent(java, tape_cut, tmp_path):
    source = {"LENDING_SOURCE": "absee", "LENDING_SERVICING_URL": str(tape_cut)}
    homes = {engine: Home(tmp_path / engine) for engine in ENGINES}
    for engine, environment in ENGINES.items():
        close(homes[engine], TAPE_DAYS, **source, **environment)

    compare(homes, {"loan_positions", "aging_buckets", "portfolio_snapshots", "installments", "transactions"})
    assert evaluations(homes["spark"]) == evaluations(homes["duckdb"])
