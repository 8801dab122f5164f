"""Loans of Fineract with a floating rate, on both databases. The rates are computed by hand in the comments.

The tables of floating rates are not in the published schema. They have the columns of Fineract's changelog, whose
from_date is a datetime, and which has created_date and, in later versions, created_on_utc.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pytest
import sqlalchemy as sa
from fineract_lender import Lender
from fineract_tenant import Tenant

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import SyncResult, sync_tables
from lending_pipelines.tables import SERVICING, TABLES

BASE, PRIME = 1, 2
PERIODS = (
    # The base lending rate. The last one was withdrawn.
    (1, BASE, date(2024, 1, 1), "5", False, True),
    (2, BASE, date(2025, 3, 1), "6", False, True),
    (3, BASE, date(2025, 3, 15), "9", False, False),
    # The rate of the product: relative to the base lending rate, then absolute, withdrawn, and not begun yet.
    (4, PRIME, date(2024, 6, 1), "2", True, True),
    (5, PRIME, date(2025, 4, 1), "2.5", True, True),
    (6, PRIME, date(2025, 5, 1), "10", False, True),
    (7, PRIME, date(2025, 5, 10), "20", False, False),
    (8, PRIME, date(2026, 1, 1), "3", False, True),
)
"""The id, rate, first day and percent of each period, whether it is relative, and whether it is active."""


@pytest.fixture
def lender(fineract_tenant: Tenant) -> Iterator[Lender]:
    """The loans 1 to 6 are disbursed from 20 to 15 February 2025, and the business date is 1 June 2025.

    The product 1 of the loans 1 to 4 has a floating rate. The product 2 of the others has none.
    """
    fineract_tenant.refill(Path("none"))
    lender = Lender(fineract_tenant)
    for product in (1, 2):
        lender.tenant.insert(
            "m_product_loan", id=product, name=f"Product {product}", is_linked_to_floating_interest_rates=product == 1
        )
    lender.tenant.insert("m_business_date", id=1, type="BUSINESS_DATE", date=lender.on)
    lender.update("m_loan", "id > 4", product_id=2)
    lender.update("m_loan", "id <= 4", annual_nominal_interest_rate=None, is_floating_interest_rate=True)
    lender.update("m_loan", "id = 1", interest_rate_differential=Decimal("0.5"))
    lender.update("m_loan", "id = 2", is_floating_interest_rate=False)
    lender.update("m_loan", "id = 3", closedon_date=date(2025, 4, 15))
    lender.update("m_loan", "id = 4", disbursedon_date=date(2024, 5, 1))
    yield lender
    for table in ("m_floating_rates", "m_floating_rates_periods", "m_product_loan_floating_rates"):
        lender.tenant.execute(f"DROP TABLE IF EXISTS {table}")


def add_rates(lender: Lender) -> None:
    """The tables of floating rates, on PostgreSQL as of Fineract 1.7, on MariaDB with the later audit column."""
    metadata, earlier = sa.MetaData(), lender.tenant.engine.name == "postgresql"
    audit = "created_date" if earlier else "created_on_utc"
    rates = sa.Table(
        "m_floating_rates", metadata, sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(200)), sa.Column("is_base_lending_rate", sa.Boolean),
        sa.Column("is_active", sa.Boolean),
    )  # fmt: skip
    periods = sa.Table(
        "m_floating_rates_periods", metadata, sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("floating_rates_id", sa.BigInteger), sa.Column("from_date", sa.DateTime if earlier else sa.Date),
        sa.Column("interest_rate", sa.Numeric(19, 6)), sa.Column("is_differential_to_base_lending_rate", sa.Boolean),
        sa.Column("is_active", sa.Boolean), sa.Column(audit, sa.DateTime),
    )  # fmt: skip
    links = sa.Table(
        "m_product_loan_floating_rates", metadata,
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("loan_product_id", sa.BigInteger), sa.Column("floating_rates_id", sa.BigInteger),
        sa.Column("interest_rate_differential", sa.Numeric(19, 6)),
    )  # fmt: skip
    metadata.create_all(lender.tenant.engine)
    with lender.tenant.engine.begin() as connection:
        for id_, name in ((BASE, "Base"), (PRIME, "Prime")):
            connection.execute(rates.insert(), {"id": id_, "name": name, "is_base_lending_rate": id_ == BASE,
                                                "is_active": True})  # fmt: skip
        for id_, rate, from_date, percent, relative, active in PERIODS:
            connection.execute(
                periods.insert(),
                {"id": id_, "floating_rates_id": rate, "interest_rate": Decimal(percent), "is_active": active,
                 "from_date": datetime.combine(from_date, datetime.min.time()) if earlier else from_date,
                 "is_differential_to_base_lending_rate": relative, audit: datetime(2025, 3, 20, 8)},
            )  # fmt: skip
        connection.execute(
            links.insert(),
            {"id": 1, "loan_product_id": 1, "floating_rates_id": PRIME, "interest_rate_differential": Decimal(1)},
        )


def sync(lender: Lender, lake: Lake) -> Mapping[str, SyncResult | LendingError]:
    tables = [SERVICING[name] for name in ("loans", "installments", "transactions", "modifications")]
    return {table.name: outcome for table, outcome in sync_tables(lender.tenant.source, tables, lake, Conventions())}


def rates(lake: Lake) -> dict[str, Decimal]:
    return {row["loan_id"]: row["annual_rate"] for row in lake.table("loans").to_pyarrow().to_pylist()}


def test_the_rate_at_disbursement_and_its_changes_are_those_of_the_floating_rate(lender, lake):
    add_rates(lender)
    outcomes = sync(lender, lake)
    assert [str(outcome) for outcome in outcomes.values() if isinstance(outcome, LendingError)] == []

    # At disbursement: 2 + base 5 + product 1 = 8, and 0.5 more for loan 1. Loan 4 is lent before the first period.
    assert rates(lake) == {
        "1": Decimal("0.085"), "2": Decimal("0.08"), "3": Decimal("0.08"), "4": Decimal("0.08"),
        "5": Decimal("0.12"), "6": Decimal("0.12"),
    }  # fmt: skip
    # From 1 April: 2.5 + base 6 + 1 = 9.5. From 1 May: 10 + 1 = 11. The rate of loan 2 is fixed; loan 3 is closed.
    changes = lake.table("modifications").order_by("loan_id", "effective_on").to_pyarrow().to_pylist()
    columns = ("modification_id", "loan_id", "type", "effective_on", "before_rate", "after_rate")
    april, may = date(2025, 4, 1), date(2025, 5, 1)
    assert [tuple(row[name] for name in columns) for row in changes] == [
        ("F1-5", "1", "rate_reduction", april, Decimal("0.085"), Decimal("0.1")),
        ("F1-6", "1", "rate_reduction", may, Decimal("0.1"), Decimal("0.115")),
        ("F3-5", "3", "rate_reduction", april, Decimal("0.08"), Decimal("0.095")),
        ("F4-5", "4", "rate_reduction", april, Decimal("0.08"), Decimal("0.095")),
        ("F4-6", "4", "rate_reduction", may, Decimal("0.095"), Decimal("0.11")),
    ]
    # A period is known when it is entered, and a loan when it is.
    assert {row["posted_at"].date() for row in changes} == {date(2025, 6, 1)}


def test_positions_have_the_rate_of_their_day(lender, lake):
    add_rates(lender)
    lender.update("m_loan", "id > 0", created_on_utc=datetime(2025, 2, 1, 9))
    lender.update("m_loan_transaction", "id > 0", created_on_utc=datetime(2025, 2, 20, 9))
    lender.update("m_loan_repayment_schedule", "id > 0", created_on_utc=datetime(2025, 2, 20, 9))
    sync(lender, lake)

    def read(name: str) -> ibis.Table:
        return lake.table(name) if lake.has(name) else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    rows = loan_positions(read, date(2025, 3, 31), date(2025, 5, 1), Conventions())
    of_loan = rows.filter(rows.loan_id == "1").to_pyarrow().to_pylist()
    by_day = {row["business_date"]: row["annual_rate"] for row in of_loan}
    days = (date(2025, 3, 31), date(2025, 4, 1), date(2025, 4, 30), date(2025, 5, 1))
    assert [by_day[day] for day in days] == [Decimal("0.085"), Decimal("0.1"), Decimal("0.1"), Decimal("0.115")]


def test_a_new_period_is_one_more_modification_of_its_loans(lender, lake):
    add_rates(lender)
    sync(lender, lake)
    # The period of 2026 has begun: 3 + 1 = 4, and 4.5 for loan 1.
    lender.update("m_business_date", "id = 1", date=date(2026, 1, 1))
    result = sync(lender, lake)["modifications"]
    assert isinstance(result, SyncResult)
    assert (result.rows_added, result.rows_updated, result.rows_removed) == (2, 0, 0)
    new = lake.table("modifications").filter(ibis._.effective_on == date(2026, 1, 1))
    assert {(row["loan_id"], row["after_rate"]) for row in new.to_pyarrow().to_pylist()} == {
        ("1", Decimal("0.045")), ("4", Decimal("0.04")),
    }  # fmt: skip


def test_loans_whose_floating_rate_cannot_be_computed_reject_the_table_by_name(lender, lake):
    """Without the tables, and with a rate relative to a base lending rate that is not active."""
    assert str(sync(lender, lake)["loans"]) == (
        "fineract: table loans is rejected: loans.annual_rate: 4 rows have a floating rate, and the database has no "
        "m_floating_rates, m_floating_rates_periods, m_product_loan_floating_rates: provide the tables, and let the "
        "user read them (loan_id=1; loan_id=2; loan_id=3; loan_id=4)"
    )
    add_rates(lender)
    lender.update("m_floating_rates", f"id = {BASE}", is_active=False)
    assert str(sync(lender, lake)["loans"]) == (
        "fineract: table loans is rejected: loans.annual_rate: 4 rows have a floating rate without an active period, "
        "or with a period that is relative to a base lending rate that did not exist: add the period or the base "
        "lending rate in Fineract (loan_id=1; loan_id=2; loan_id=3; loan_id=4)"
    )
