"""The whole daily close in a lake: seconds and peak memory of every daily table, each in its own process.

positions.py compares loan_positions with pandas and hand-written SQL. This module compares a month of each table with
one day, which gives the cost of one more day.
"""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import ibis.expr.types as ir

from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY, make_data
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import delinquency, ledger, managers, platform, portfolios, positions
from lending_pipelines.tables import SERVICING

MONTH = 31


def _transitions(lake: Lake, first: date, last: date) -> ir.Table:
    held = lake.table("loan_positions", first - timedelta(days=MONTH), last)
    return delinquency.aging_transitions(held, first, last, Conventions())


def _snapshots(lake: Lake, first: date, last: date) -> ir.Table:
    held = lake.table("loan_positions", first, last)
    return portfolios.portfolio_snapshots(held, lake.table, first, last, Conventions())


def _tieouts(lake: Lake, first: date, last: date) -> ir.Table:
    days = (lake.table(name, first, last) for name in ("loan_positions", "trial_balance"))
    return ledger.ledger_tieouts(*days, lake.table("journal_lines"), lake.table("gl_accounts"), first, last)


TABLES: dict[str, Callable[[Lake, date, date], ir.Table]] = {
    "loan_positions": lambda lake, *days: positions.loan_positions(lake.table, *days, Conventions()),
    "aging_buckets": lambda lake, *days: delinquency.aging_buckets(lake.table("loan_positions", *days)),
    "aging_transitions": _transitions,
    "portfolio_snapshots": _snapshots,
    "manager_snapshots": lambda lake, first, last: managers.manager_snapshots(
        lake.table("loan_positions", first, last), lake.table, first, last, Conventions()
    ),
    "trial_balance": lambda lake, *days: ledger.trial_balance(
        lake.table("journal_lines"), lake.table("gl_accounts"), *days
    ),
    "ledger_tieouts": _tieouts,
    "platform_activity": lambda lake, first, last: platform.platform_activity(
        lake.table("loan_positions", first, last), lake.table, first, last, "UTC"
    ),
}
"""The daily tables in the order of the close, with the expression of each."""


def month(lake: str, table: str) -> None:
    """The table's month that ends on DAY, computed and committed."""
    _close(lake, table, DAY - timedelta(days=MONTH - 1))


def day(lake: str, table: str) -> None:
    """The table's last day alone, replacing that day of the month."""
    _close(lake, table, DAY)


def run(options: Options) -> list[Row]:
    """10,000 and 100,000 loans; with `--full` also 1,000,000."""
    rows = []
    for loans in (10_000, 100_000, 1_000_000) if options.full else (10_000, 100_000):
        lake = str(make_lake(loans, options.folder))
        for table in TABLES:
            case = f"{table}, {loans:,} loans"
            rows += compare("close", case, [month, day], lake, table, amount=loans, unit="loans", rounds=1)
    return rows


def make_lake(loans: int, folder: Path) -> Path:
    """Create a new lake with the servicing tables and assignments of the generated lender."""
    path = folder / f"close-{loans}"
    shutil.rmtree(path, ignore_errors=True)
    data, lake = make_data(loans, folder), Lake(str(path), DuckDBEngine())
    for name in (*SERVICING, "portfolio_membership", "loan_ownership"):
        lake.replace(name, lake.engine.read_parquet([f"{data}/{name}/*.parquet"]))
    return path


def _close(url: str, table: str, first: date) -> None:
    lake = Lake(url, DuckDBEngine())
    lake.replace_days(table, TABLES[table](lake, first, DAY), first, DAY)
