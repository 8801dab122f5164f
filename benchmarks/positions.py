"""loan_positions, the main table of the close: compared with hand-written SQL and pandas, and a range with its days.

`day_by_day` is the cost of a range as a loop over days. `writing_only` reads and writes the finished rows without
computing them, the lower limit for any range.
"""

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import duckdb
import ibis.expr.types as ir
import pandas as pd

from benchmarks import in_pandas as pandas_way
from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY, make_data
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions

MEMORY = "6GB"
NUMBERS = ("principal_outstanding", "past_due_amount", "days_past_due")
SQL_AIM, PANDAS_AIM = 1 / 1.5, 10


def ours(data: str, out: str, days: int) -> None:
    """Positions of `days` days that end on DAY, with the package's expression and engine.

    The SQL is kept from one turn to the next, as a close keeps it for the next night.
    """
    engine = DuckDBEngine(MEMORY, sql_file=Path(out, "compiled_sql.json"))
    _write(engine, data, f"{out}/ours", DAY - timedelta(days=days - 1), DAY)
    engine.close()


def day_by_day(data: str, out: str, days: int) -> None:
    """The same days, one at a time."""
    engine = DuckDBEngine(MEMORY)
    for back in range(days):
        day = DAY - timedelta(days=back)
        _write(engine, data, f"{out}/day_by_day", day, day)


def writing_only(data: str, out: str, days: int) -> None:
    """The result of `ours`, read and written in the same way."""
    engine = DuckDBEngine(MEMORY)
    rows = engine.backend.read_parquet(f"{out}/ours/*/*.parquet", hive_partitioning=True)
    engine.write_parquet(rows, f"{out}/again", "again", "business_date")


def by_hand(data: str, out: str, days: int) -> None:
    """Positions of DAY with the SQL in by_hand.sql."""
    connection = duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": "false"})
    for name in positions.SOURCES:
        connection.sql(f"create view {name} as from read_parquet('{data}/{name}/*.parquet')")
    query = Path(__file__).with_name("by_hand.sql").read_text().replace("$day", f"date '{DAY}'")
    connection.execute(f"copy ({query}) to '{out}/by_hand.parquet' (format parquet, compression zstd)")


def in_pandas(data: str, out: str, days: int) -> None:
    """Positions of DAY with in_pandas.py."""
    pandas_way.positions(Path(data), pd.Timestamp(DAY)).to_parquet(f"{out}/in_pandas.parquet")


def run(options: Options) -> list[Row]:
    """A day of 10,000 and 100,000 loans, a week, a month; with `--full` a day of 1,000,000 and a year of 200,000."""
    rows = []
    sizes = (10_000, 100_000, 1_000_000) if options.full else (10_000, 100_000)
    for loans in sizes:
        rows += _day(loans, options.folder)
    rows += _range(10_000, 7, [ours, day_by_day, writing_only], options.folder)
    rows += _range(10_000, 31, [ours, writing_only], options.folder)
    rows += _range(100_000, 31, [ours, writing_only], options.folder)
    if options.full:
        rows += _range(200_000, 365, [ours, writing_only], options.folder)
    return rows


def _day(loans: int, folder: Path) -> list[Row]:
    data = make_data(loans, folder)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        rows = compare(
            "positions",
            f"{loans:,} loans, 1 day",
            [ours, by_hand, in_pandas],
            str(data),
            out,
            1,
            amount=loans,
            unit="loan-days",
            once=[in_pandas],
            aims={"by_hand": SQL_AIM, "in_pandas": PANDAS_AIM},
        )
        _same_answers(Path(out))
    return rows


def _range(loans: int, days: int, contenders: list, folder: Path) -> list[Row]:
    data = make_data(loans, folder)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        case = f"{loans:,} loans, {days} days"
        work = {"amount": loans * days, "unit": "loan-days"}
        return compare("positions", case, contenders, str(data), out, days, **work, rounds=1)


def _write(engine: DuckDBEngine, data: str, folder: str, first: date, last: date) -> None:
    def read(name: str) -> ir.Table:
        return engine.read_parquet([f"{data}/{name}/*.parquet"])

    rows = positions.loan_positions(read, first, last, Conventions())
    engine.write_parquet(rows, folder, "ours", "business_date")


def _same_answers(out: Path) -> None:
    """Stop if the programs' results differ, because the comparison is then invalid."""
    mine = f"(select distinct on (loan_id) * from read_parquet('{out}/ours/business_date={DAY}/*.parquet'))"
    for other in ("by_hand", "in_pandas"):
        for number in NUMBERS:
            different = duckdb.sql(
                f"select count(*) from {mine} a full join '{out}/{other}.parquet' b using (loan_id) "
                f"where coalesce(abs(a.{number}::double - b.{number}::double) > 0.005, true)"
            ).fetchall()[0][0]
            if different:
                sys.exit(f"{other} and ours disagree on {number} of {different} loans")
