"""Restatements: finding what backdated events change on closed days, without computing all positions again.

The events have effective dates of the closed days, which end on DAY, and are posted after all days were closed.
"""

import random
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY, make_data
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions
from lending_pipelines.restatements import detect
from lending_pipelines.tables import TABLES

MEMORY = "6GB"


def ours(lake: str, days: int) -> int:
    """The detection of a close. Returns the number of restated values of principal_outstanding."""
    stored = Lake(lake, DuckDBEngine(MEMORY))
    found = detect(stored, Conventions())
    rows = stored.table("restatements")
    at = ibis.literal(found.at, "timestamp(6)")
    rows = rows.filter(rows.detected_at == at, rows.column == "principal_outstanding")
    return int(rows.count().to_pyarrow().as_py())


def run(options: Options) -> list[Row]:
    """10,000 loans and 100 events over 90 days; with `--full` 1,000,000 loans and 10,000 events over two years."""
    sizes = [(10_000, 100, 90)]
    if options.full:
        sizes.append((1_000_000, 10_000, 730))
    rows = []
    for loans, events, days in sizes:
        data = make_data(loans, options.folder)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            prepare(data, folder, events, days)
            case = f"{loans:,} loans, {events:,} events, {days} days"
            work = {"amount": events, "unit": "events", "rounds": 1}
            rows += compare("restatements", case, [ours], folder, days, **work)
    return rows


def prepare(data: Path, folder: str, events: int, days: int) -> None:
    """A lake whose days up to DAY are closed and compared, and to which backdated repayments were added since.

    The positions of the closed days are not written: days that a detection has compared are not read again.
    """
    lake = Lake(folder, DuckDBEngine(MEMORY))
    for name in positions.SOURCES:
        lake.replace(name, lake.engine.read_parquet([f"{data}/{name}/*.parquet"]))
    versions = {name: lake.version(name) for name in positions.SOURCES}
    closed = [DAY - timedelta(days=back) for back in range(days)]
    lake.replace_days("loan_positions", _nothing("loan_positions"), closed[-1], DAY)
    lake.record_days("loan_positions", closed, None, Conventions().stamp(), versions)
    detect(lake, Conventions())
    lake.append("transactions", ibis.memtable(_repayments(lake, closed, events)))
    lake.engine.close()


def _repayments(lake: Lake, closed: list[date], events: int) -> pa.Table:
    chance = random.Random(1)
    loans = lake.table("loans").filter(lambda rows: rows.disbursed_on <= closed[-1]).order_by("loan_id").loan_id
    chosen = chance.sample(loans.to_pyarrow().to_pylist(), events)
    posted_at = datetime(DAY.year, DAY.month, DAY.day) + timedelta(days=2)
    rows = [
        {
            "transaction_id": f"late-{number}",
            "loan_id": loan_id,
            "type": "repayment",
            "effective_on": chance.choice(closed),
            "posted_at": posted_at,
            "amount": 1,
            "principal": 1,
            "interest": 0,
            "fees": 0,
        }
        for number, loan_id in enumerate(chosen)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["transactions"].arrow_schema)


def _nothing(name: str) -> ir.Table:
    return ibis.memtable(TABLES[name].arrow_schema.empty_table(), schema=TABLES[name].schema)
