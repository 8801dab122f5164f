"""History of a Fineract database, which changes rows in place: nights of payments, edits, replays and undos.

After each night's sync, the positions of that day are those of a full copy of the database of that night. At the end,
what was known on each night is what the lake had on that night.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from fineract_lender import FIRST, Lender
from fineract_tenant import Tenant

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import sync_tables
from lending_pipelines.sources.protocol import Reader
from lending_pipelines.tables import SERVICING, TABLES

SYNCED = ("loans", "installments", "transactions")
LOANS = range(1, 13)
NIGHTS, EVENTS = 15, 10
"""A night takes as long with many loans and events as with few."""


@dataclass
class Night:
    """A business date: the lake and a full copy after its sync, by table, and when the sync had ended."""

    on: date
    lake: Mapping[str, pa.Table]
    copy: Mapping[str, pa.Table]
    known_at: datetime
    loans_read: Mapping[str, int]
    """By table, the number of loans that the sync read."""


class Opened:
    """A source whose snapshot is open already."""

    def __init__(self, reader: Reader):
        self.name, self._reader = reader.name, reader

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        yield self._reader


def copied(reader: Reader) -> dict[str, pa.Table]:
    """The tables of a first sync."""
    return {name: pa.Table.from_batches(reader.read(SERVICING[name]), SERVICING[name].arrow_schema) for name in SYNCED}


def sync(reader: Reader, lake: Lake) -> dict[str, int]:
    """Sync, and return the number of loans read by table, of the tables that are read by loan."""
    tables, loans_read = [SERVICING[name] for name in SYNCED], {}
    for table, outcome in sync_tables(Opened(reader), tables, lake, Conventions()):
        assert not isinstance(outcome, Exception), outcome
        if outcome.loans_read is not None:
            loans_read[table.name] = outcome.loans_read
    return loans_read


@pytest.fixture
def nights(postgres_url: str, shared_dir: Path, lake: Lake) -> list[Night]:
    lender = Lender(Tenant(postgres_url, shared_dir / "data" / "fineract" / "schema.json", Path("none")), LOANS)
    chance, passed = random.Random(30), []
    for number in range(NIGHTS):
        lender.on, lender.minute = FIRST + timedelta(days=number), 0
        lender.night(chance, EVENTS)
        with lender.tenant.source.snapshot() as reader:
            loans_read = sync(reader, lake)
            tables = {name: lake.table(name).to_pyarrow() for name in SYNCED}
            known_at = datetime.now(UTC).replace(tzinfo=None)
            passed.append(Night(lender.on, tables, copied(reader), known_at, loans_read))
    return passed


def positions(nights: list[Night]) -> dict[str, list[dict]]:
    """The positions of each night's day by that night's lake and by its copy, in the order of day and loan.

    All are computed in one pass: each night's lake and each night's copy have their own loans.
    """

    def table(name: str) -> ir.Table:
        parts = []
        for night in nights:
            for of in ("lake", "copy"):
                rows = getattr(night, of)[name]
                for column in {"loan_id", "transaction_id", "reverses_id"} & set(rows.column_names):
                    index = rows.column_names.index(column)
                    named = pc.binary_join_element_wise(night.on.isoformat(), of, rows[column], " ")
                    rows = rows.set_column(index, rows.schema.field(index), named)
                parts.append(rows)
        return ibis.memtable(pa.concat_tables(parts))

    tables = {name: table(name) for name in SYNCED}

    def read(name: str) -> ir.Table:
        return tables[name] if name in tables else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    rows = loan_positions(read, nights[0].on, nights[-1].on, Conventions())
    rows = rows.filter(rows.loan_id.startswith(rows.business_date.cast("string")))
    found = defaultdict(list)
    for row in rows.order_by("loan_id").to_pyarrow().to_pylist():
        on, of, loan = row["loan_id"].split()
        found[of].append(row | {"loan_id": f"{on} {loan}"})
    return found


def test_every_night_equals_a_full_copy_and_stays_known(nights, lake):
    found = positions(nights)
    incremental, full = found["lake"], found["copy"]
    assert len(full) == NIGHTS * len(LOANS)
    assert [row for row, other in zip(incremental, full, strict=True) if row != other] == []

    for name in ("installments", "transactions"):
        rows = lake.table(name).to_pyarrow().to_pylist()
        for night in nights:
            known = [row for row in rows if row["posted_at"] <= night.known_at]
            assert sorted(map(str, known)) == sorted(map(str, night.lake[name].to_pylist()))
    # A night changes the schedules of few of the twelve loans; a chargeback differs on every night after it.
    assert all(night.loans_read.keys() == {"installments", "transactions"} for night in nights[1:])
    assert max(night.loans_read["installments"] for night in nights[1:4]) < len(LOANS) // 2
    ids = lake.table("transactions").transaction_id.to_pyarrow().to_pylist()
    assert any("~2" in each for each in ids), "no portion was rewritten in these nights"
    assert lake.table("installments").version.max().to_pyarrow().as_py() > 3
