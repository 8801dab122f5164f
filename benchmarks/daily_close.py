"""The close's central table, loan_positions: ours against pandas and against SQL by hand, and a range against its days.

    python -m benchmarks.daily_close            10,000 and 100,000 loans
    python -m benchmarks.daily_close --full     1,000,000 too

Each contender is a process of its own, so that its peak memory is its own; contenders take turns, the fastest of three
counts, and their answers are compared. Ratios, not seconds, are what carries over to other machines.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions
from lending_pipelines.tables import DERIVED

SPEC_FIRST, DAY = date(2024, 7, 1), date(2026, 6, 30)
MEMORY = "6GB"
ROUNDS = 3
NUMBERS = ("principal_outstanding", "past_due_amount", "days_past_due")


def ours(data: Path, out: Path, days: int) -> None:
    """Positions of `days` days ending on DAY, through the package's own expression and engine."""
    engine = DuckDBEngine(MEMORY)

    def read(name: str):
        return engine.read_parquet([f"{data}/{name}/*.parquet"])

    first = DAY - timedelta(days=days - 1)
    rows = positions.loan_positions(read, first, DAY, Conventions())
    engine.write_parquet(rows, str(out), "ours", "business_date")


def by_hand(data: Path, out: Path, days: int) -> None:
    """Positions of DAY by the SQL in by_hand.sql."""
    connection = duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": "false"})
    for name in positions.SOURCES:
        connection.sql(f"create view {name} as from read_parquet('{data}/{name}/*.parquet')")
    query = Path(__file__).with_name("by_hand.sql").read_text().replace("$day", f"date '{DAY}'")
    connection.execute(f"copy ({query}) to '{out}/by_hand.parquet' (format parquet, compression zstd)")


def in_pandas(data: Path, out: Path, days: int) -> None:
    """Positions of DAY by in_pandas.py."""
    import pandas as pd

    from benchmarks import in_pandas as pandas_way

    rows = pandas_way.positions(data, pd.Timestamp(DAY))
    rows.to_parquet(out / "in_pandas.parquet")


CONTENDERS = {"ours": ours, "by_hand": by_hand, "in_pandas": in_pandas}


def measure(contender: str, data: Path, out: Path, days: int = 1) -> tuple[float, float]:
    """Seconds of the work alone, and peak memory in GB, of one contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.daily_close", "--one", contender, str(data), str(out), str(days)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return answer["seconds"], answer["gigabytes"]


def compare(loans: int, data: Path) -> None:
    """Print how the contenders do at one size, and what a range of days saves."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        best: dict[str, tuple[float, float]] = {}
        for number in range(ROUNDS):
            for contender in CONTENDERS:
                if contender == "in_pandas" and number > 0:
                    continue
                found = measure(contender, data, out)
                best[contender] = min(found, best.get(contender, found))
        _same_answers(out)
        for contender, (seconds, gigabytes) in best.items():
            ratio = seconds / best["ours"][0]
            print(f"{loans:>10,}  {contender:<10}{seconds:>9.2f} s{gigabytes:>8.2f} GB{ratio:>9.2f} x ours")
        days = 365 if loans <= 100_000 else 31
        seconds, gigabytes = measure("ours", data, out, days)
        saved = days * best["ours"][0] / seconds
        print(f"{loans:>10,}  {days} days  {seconds:>9.2f} s{gigabytes:>8.2f} GB{saved:>9.1f} x faster than day by day")


def _same_answers(out: Path) -> None:
    """Stop when the contenders disagree: a wrong answer has no speed."""
    mine = f"read_parquet('{out}/business_date={DAY}/ours*.parquet')"
    for other in ("by_hand", "in_pandas"):
        for number in NUMBERS:
            different = duckdb.sql(
                f"select count(*) from {mine} a full join '{out}/{other}.parquet' b using (loan_id) "
                f"where coalesce(abs(a.{number}::double - b.{number}::double) > 0.005, true)"
            ).fetchall()[0][0]
            if different:
                sys.exit(f"{other} and ours disagree on {number} of {different} loans")


def make_data(loans: int, folder: Path) -> Path:
    """The servicing tables of a made-up lender as Parquet, made once and kept in the folder."""
    from lending_pipelines.sample import SampleSpec, fill_parquet

    data = folder / f"loans-{loans}"
    if not data.exists():
        fill_parquet(SampleSpec(loans, SPEC_FIRST, DAY), str(data))
    backend = duckdb.connect()
    for name in ("portfolio_membership", "loan_ownership"):
        target = data / name
        target.mkdir(exist_ok=True)
        wanted = ", ".join(
            {
                "loan_id": "loan_id",
                "assigned_on": "disbursed_on as assigned_on",
                "removed_on": "null::date as removed_on",
                "portfolio_id": "product_id as portfolio_id",
                "portfolio_name": "product_id as portfolio_name",
                "investor_id": "branch_id as investor_id",
                "investor_name": "branch_id as investor_name",
                "method": "'static' as method",
                "purchase_price": "null::decimal(18, 2) as purchase_price",
            }[column]
            for column in DERIVED[name].names
        )
        backend.execute(
            f"copy (select {wanted} from read_parquet('{data}/loans/*.parquet') where disbursed_on is not null) "
            f"to '{target}/0.parquet' (format parquet)"
        )
    return data


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="1,000,000 loans too")
    parser.add_argument("--data", type=Path, default=Path(".lending/benchmarks"), help="where sample data is kept")
    parser.add_argument("--one", nargs=4, metavar=("CONTENDER", "DATA", "OUT", "DAYS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        contender, data, out, days = options.one
        started = time.monotonic()
        CONTENDERS[contender](Path(data), Path(out), int(days))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps({"seconds": time.monotonic() - started, "gigabytes": peak}))
        return
    options.data.mkdir(parents=True, exist_ok=True)
    for loans in (10_000, 100_000, 1_000_000) if options.full else (10_000, 100_000):
        compare(loans, make_data(loans, options.data))


if __name__ == "__main__":
    main()
