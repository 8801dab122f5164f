"""A real tape through positions and snapshots: every reported balance, and the totals published with it."""

import csv
import gzip
from datetime import date
from decimal import Decimal
from functools import cache

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.portfolios import portfolio_snapshots
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources.absee import Adapter
from lending_pipelines.tables import SERVICING, TABLES

CUT_OFF, LAST = date(2019, 8, 31), date(2023, 6, 30)

# The README of the tape: period end, loans with a balance, principal outstanding, paid to date.
TOTALS = [
    (date(2019, 8, 31), 2861, "37193021.80", "0.00"),
    (date(2019, 9, 30), 2829, "36298225.84", "1164270.83"),
    (date(2020, 8, 31), 2420, "26481612.13", "13223497.14"),
    (date(2023, 6, 30), 1096, "4804472.78", "37793514.92"),
]


@pytest.fixture(scope="module")
def lender(shared_dir):
    """A connection, what reads the tape's tables, and the daily positions of the tape's whole life.

    The positions have the columns that the tests compare: DuckDB computes no other.
    """
    connection = ibis.duckdb.connect()
    tape = Adapter(str(shared_dir / "data/autoloans"))

    @cache
    def read(name):
        batches = list(tape.read(TABLES[name], None)) if name in SERVICING else []
        return ibis.memtable(pa.Table.from_batches(batches, TABLES[name].arrow_schema))

    compared = ("business_date", "loan_id", "status", "principal_outstanding", "principal_charged_off")
    positions = loan_positions(read, CUT_OFF, LAST, Conventions())
    return connection, read, connection.create_table("positions", positions.select(compared))


def test_every_reported_balance(shared_dir, lender):
    connection, _, positions = lender
    with gzip.open(shared_dir / "data/autoloans/monthly.csv.gz", "rt", encoding="utf-8", newline="") as file:
        reported = {
            (date.fromisoformat(row["periodEnd"]), row["assetNumber"]): Decimal(row["endBalance"])
            for row in csv.DictReader(file)
            if row["endBalance"]
        }
    ends = positions.filter(positions.business_date.isin(sorted({on for on, _ in reported})))
    rows = connection.to_pyarrow(ends.select("business_date", "loan_id", "principal_outstanding")).to_pylist()
    ours = {(row["business_date"], row["loan_id"]): row["principal_outstanding"] for row in rows}
    # 34 loans had no balance at the cut-off and are not in the book; what is reported of them is zero.
    kept = {key: amount for key, amount in reported.items() if key in ours}
    assert {amount for key, amount in reported.items() if key not in ours} <= {Decimal(0)}
    assert len({loan_id for _, loan_id in kept}) == 2861
    assert {key: (ours[key], amount) for key, amount in kept.items() if ours[key] != amount} == {}


def test_the_tapes_totals(lender):
    connection, read, _ = lender
    positions = loan_positions(read, CUT_OFF, LAST, Conventions())
    days = positions.filter(positions.business_date.isin([on for on, *_ in TOTALS]))
    snapshots = portfolio_snapshots(days, read, CUT_OFF, LAST, Conventions()).filter(ibis._.scope == "all")
    rows = connection.to_pyarrow(snapshots.order_by("business_date")).to_pylist()
    # What was recovered of charged-off loans is collected too, but the tape does not count it as paid.
    assert [
        (row["business_date"], row["loan_count"], row["total_balance"], row["total_collected"] - row["recovered"])
        for row in rows
    ] == [(on, count, Decimal(balance), Decimal(paid)) for on, count, balance, paid in TOTALS]


def test_every_loan_has_every_day(lender):
    connection, _, positions = lender
    days = (LAST - CUT_OFF).days + 1
    assert days == 1400
    assert connection.to_pyarrow(positions.count()).as_py() == 2861 * days


def test_charge_offs_stay_in_history(lender):
    connection, _, positions = lender
    last = positions.filter(positions.business_date == LAST, positions.status == "charged_off")
    found = connection.to_pyarrow(last.aggregate(loans=last.count(), amount=last.principal_charged_off.sum()))
    # The README of the tape: 86 loans whose balance drops to zero with a residual, 828,972.92 in all.
    assert found.to_pylist() == [{"loans": 86, "amount": Decimal("828972.92")}]
