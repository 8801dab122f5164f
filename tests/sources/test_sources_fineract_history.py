"""History of a Fineract database, which changes rows in place: 30 nights of payments, edits, replays and undos.

After each night's sync, the positions of that day are those of a full copy of the database of that night. At the end,
what was known on each night is what the lake had on that night.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from fineract_tenant import Tenant

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import open_source, sync_tables
from lending_pipelines.tables import SERVICING, TABLES

SYNCED = ("loans", "installments", "transactions")
FIRST = date(2025, 6, 1)
LOANS = range(1, 7)


class Lender:
    """A tenant with six loans of 1,200.00 in 12 installments, and what happens to them."""

    def __init__(self, tenant: Tenant):
        self.tenant = tenant
        self.on = FIRST
        self.minute = 0
        self.next_id = 0
        self.insert("m_client", account_no="1", display_name="Client", office_id=1)
        for loan in LOANS:
            self._lend(loan, FIRST - timedelta(days=100 + loan))

    def at(self) -> datetime:
        """The next minute of the business date."""
        self.minute += 1
        return datetime.combine(self.on, datetime.min.time(), UTC) + timedelta(hours=9, minutes=self.minute)

    def insert(self, table: str, **values) -> int:
        self.next_id += 1
        columns = self.tenant.metadata.tables[table].columns
        audit = {name: self.at() for name in ("created_on_utc", "last_modified_on_utc") if name in columns}
        required = {
            column.name: False if isinstance(column.type, sa.Boolean) else 0
            for column in columns
            if isinstance(column.type, sa.Boolean | sa.Integer) and not column.primary_key
        }
        known = {name: value for name, value in (required | audit | values).items() if name in columns}
        self.tenant.insert(table, id=self.next_id, **known)
        return self.next_id

    def _lend(self, loan: int, on: date) -> None:
        self.tenant.insert(
            "m_loan", id=loan, account_no=str(loan), client_id=1, product_id=1, loan_status_id=300, loan_type_enum=1,
            currency_code="EUR", approved_principal=1200, annual_nominal_interest_rate=12, repay_every=1,
            repayment_period_frequency_enum=2, number_of_repayments=12, days_in_month_enum=30, days_in_year_enum=360,
            submittedon_date=on, approvedon_date=on, disbursedon_date=on, created_on_utc=self.at(),
            last_modified_on_utc=self.at(), is_charged_off=False,
        )  # fmt: skip
        self.pay(loan, 1, Decimal(1200), on, None, None)
        for number in range(1, 13):
            self.insert(
                "m_loan_repayment_schedule", loan_id=loan, installment=number, completed_derived=False,
                duedate=on + timedelta(days=30 * number), principal_amount=100, interest_amount=12 - number,
            )  # fmt: skip

    def pay(self, loan: int, type_: int, amount: Decimal, on: date, principal, interest) -> int:
        return self.insert(
            "m_loan_transaction", loan_id=loan, transaction_type_enum=type_, transaction_date=on, amount=amount,
            principal_portion_derived=principal, interest_portion_derived=interest, submitted_on_date=self.on,
            office_id=1,
        )  # fmt: skip

    def update(self, table: str, which: str, **values) -> None:
        settings = ", ".join(f"{name} = :{name}" for name in values)
        self.tenant.execute(f"UPDATE {table} SET {settings} WHERE {which}", **values)

    def live(self) -> list[tuple]:
        query = (
            "SELECT id, loan_id, amount, transaction_date, principal_portion_derived FROM m_loan_transaction"
            " WHERE transaction_type_enum = 2 AND NOT is_reversed ORDER BY id"
        )
        with self.tenant.engine.connect() as connection:
            return list(connection.exec_driver_sql(query))

    def night(self, chance: random.Random) -> None:
        """What happens on one business date: three events."""
        for _ in range(3):
            loan = chance.choice(LOANS)
            happening = chance.choice((self.repay, self.repay, self.recalculate, self.reage, self.undo, self.replay,
                                       self.rewrite, self.take_back, self.remove))  # fmt: skip
            happening(loan, chance)

    def repay(self, loan: int, chance: random.Random) -> None:
        """A payment, two of three entered late. A third of a cent is left to rounding."""
        principal, interest = Decimal("33.333333"), Decimal(chance.randrange(0, 500)) / 100
        late = timedelta(days=chance.choice((0, 1, 9)))
        self.pay(loan, 2, principal + interest, self.on - late, principal, interest)

    def recalculate(self, loan: int, chance: random.Random) -> None:
        self.update(
            "m_loan_repayment_schedule", f"loan_id = {loan} AND duedate >= '{self.on}'",
            interest_amount=Decimal(chance.randrange(0, 900)) / 100, last_modified_on_utc=self.at(),
        )  # fmt: skip

    def reage(self, loan: int, chance: random.Random) -> None:
        """The last installment falls due later. Nothing tells so but its row."""
        later = self.on + timedelta(days=chance.randrange(300, 400))
        self.update("m_loan_repayment_schedule", f"loan_id = {loan} AND installment = 12", duedate=later)

    def undo(self, _loan: int, chance: random.Random) -> None:
        if live := self.live():
            self.update(
                "m_loan_transaction", f"id = {chance.choice(live)[0]}", is_reversed=True,
                manually_adjusted_or_reversed=True, reversed_on_date=self.on, last_modified_on_utc=self.at(),
            )  # fmt: skip

    def replay(self, _loan: int, chance: random.Random) -> None:
        """The row is reversed, and another one of the same date has other portions."""
        if live := self.live():
            old, loan, amount, on, principal = chance.choice(live)
            self.update(
                "m_loan_transaction", f"id = {old}", is_reversed=True, reversed_on_date=self.on,
                last_modified_on_utc=self.at(),
            )  # fmt: skip
            new = self.pay(loan, 2, amount, on, principal - 1, amount - principal + 1)
            self.insert(
                "m_loan_transaction_relation", from_loan_transaction_id=new, to_loan_transaction_id=old,
                relation_type_enum=3,
            )  # fmt: skip

    def rewrite(self, _loan: int, chance: random.Random) -> None:
        """The portions of the row change in place."""
        if live := self.live():
            row, _, amount, _, principal = chance.choice(live)
            self.update(
                "m_loan_transaction", f"id = {row}", principal_portion_derived=principal - 2,
                interest_portion_derived=amount - principal + 2,
            )  # fmt: skip

    def take_back(self, loan: int, _chance: random.Random) -> None:
        """A chargeback of 20.00, which Fineract adds to the next installment."""
        self.pay(loan, 25, Decimal(20), self.on, Decimal(20), None)
        self.tenant.execute(
            f"UPDATE m_loan_repayment_schedule SET principal_amount = principal_amount + 20 WHERE loan_id = {loan}"
            " AND installment = 11"
        )

    def remove(self, _loan: int, chance: random.Random) -> None:
        if live := self.live():
            self.tenant.execute(f"DELETE FROM m_loan_transaction WHERE id = {chance.choice(live)[0]}")


@dataclass
class Night:
    """A business date: the lake and a full copy after its sync, by table, and when the sync had ended."""

    on: date
    lake: Mapping[str, pa.Table]
    copy: Mapping[str, pa.Table]
    known_at: datetime


def copied(url: str) -> dict[str, pa.Table]:
    """The tables of a first sync."""
    with open_source("fineract", url).snapshot() as reader:
        return {
            name: pa.Table.from_batches(reader.read(SERVICING[name]), SERVICING[name].arrow_schema) for name in SYNCED
        }


def sync(url: str, lake: Lake) -> None:
    tables = [SERVICING[name] for name in SYNCED]
    for _, outcome in sync_tables(open_source("fineract", url), tables, lake, Conventions()):
        assert not isinstance(outcome, Exception), outcome


@pytest.fixture
def nights(postgres_url: str, shared_dir: Path, lake: Lake) -> list[Night]:
    lender = Lender(Tenant(postgres_url, shared_dir / "data" / "fineract" / "schema.json", Path("none")))
    chance, passed = random.Random(30), []
    for number in range(30):
        lender.on, lender.minute = FIRST + timedelta(days=number), 0
        lender.night(chance)
        sync(postgres_url, lake)
        tables = {name: lake.table(name).to_pyarrow() for name in SYNCED}
        passed.append(Night(lender.on, tables, copied(postgres_url), datetime.now(UTC).replace(tzinfo=None)))
    return passed


def positions(nights: list[Night], of: str) -> list[dict]:
    """The positions of each night's day by that night's tables, in one pass: each night has its own loans."""

    def table(name: str) -> ir.Table:
        parts = []
        for night in nights:
            rows = getattr(night, of)[name]
            for column in {"loan_id", "transaction_id", "reverses_id"} & set(rows.column_names):
                index = rows.column_names.index(column)
                named = pc.binary_join_element_wise(night.on.isoformat(), rows[column], " ")
                rows = rows.set_column(index, rows.schema.field(index), named)
            parts.append(rows)
        return ibis.memtable(pa.concat_tables(parts))

    tables = {name: table(name) for name in SYNCED}

    def read(name: str) -> ir.Table:
        return tables[name] if name in tables else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    rows = loan_positions(read, nights[0].on, nights[-1].on, Conventions())
    rows = rows.filter(rows.loan_id.startswith(rows.business_date.cast("string")))
    return rows.order_by("loan_id").to_pyarrow().to_pylist()


def test_every_night_equals_a_full_copy_and_stays_known(nights, lake):
    incremental, full = positions(nights, "lake"), positions(nights, "copy")
    assert len(full) == 30 * len(LOANS)
    assert [row for row, other in zip(incremental, full, strict=True) if row != other] == []

    for name in ("installments", "transactions"):
        rows = lake.table(name).to_pyarrow().to_pylist()
        for night in nights:
            known = [row for row in rows if row["posted_at"] <= night.known_at]
            assert sorted(map(str, known)) == sorted(map(str, night.lake[name].to_pylist()))
    ids = lake.table("transactions").transaction_id.to_pyarrow().to_pylist()
    assert any("~2" in each for each in ids), "no portion was rewritten in these nights"
    assert lake.table("installments").version.max().to_pyarrow().as_py() > 3
