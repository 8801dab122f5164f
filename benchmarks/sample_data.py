"""The generated lender of the benchmarks, created once and kept between runs."""

import shutil
from datetime import date
from pathlib import Path

import duckdb

from lending_pipelines.sample import SampleSpec, fill_parquet
from lending_pipelines.tables import DERIVED, SERVICING

FIRST, DAY = date(2024, 7, 1), date(2026, 6, 30)
"""The days on which the lender's ledger ties out. Benchmarks close DAY, the last one."""

# Every loan has one portfolio and one investor: a product is a portfolio, a branch an investor.
_ASSIGNMENTS = {
    "loan_id": "loan_id",
    "assigned_on": "disbursed_on as assigned_on",
    "removed_on": "null::date as removed_on",
    "portfolio_id": "product_id as portfolio_id",
    "portfolio_name": "product_id as portfolio_name",
    "investor_id": "branch_id as investor_id",
    "investor_name": "branch_id as investor_name",
    "method": "'static' as method",
    "purchase_price": "null::decimal(18, 2) as purchase_price",
}


def make_data(loans: int, folder: Path) -> Path:
    """The servicing tables of a generated lender as Parquet, created once and kept in the folder.

    Data of an earlier version that lacks tables is created anew.
    """
    data = folder / "data" / f"loans-{loans}"
    if all((data / name).exists() for name in SERVICING):
        return data
    shutil.rmtree(data, ignore_errors=True)
    data.parent.mkdir(parents=True, exist_ok=True)
    building = data.with_name(f"{data.name}.filling")
    shutil.rmtree(building, ignore_errors=True)
    fill_parquet(SampleSpec(loans, FIRST, DAY), str(building))
    backend = duckdb.connect()
    for name in ("portfolio_membership", "loan_ownership"):
        target = building / name
        target.mkdir()
        wanted = ", ".join(_ASSIGNMENTS[column] for column in DERIVED[name].names)
        backend.execute(
            f"copy (select {wanted} from read_parquet('{building}/loans/*.parquet') where disbursed_on is not null) "
            f"to '{target}/0.parquet' (format parquet)"
        )
    building.rename(data)
    return data
