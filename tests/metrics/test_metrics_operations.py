"""Collections, modifications, compliance and platform compile for both engines; numbers are in the reports' tests.

How parts of different things are added up is worked by hand here.
"""

from datetime import date
from decimal import Decimal

import ibis
import pytest

from lending_pipelines.metrics import collections, compliance, modifications, platform
from lending_pipelines.metrics.parts import add_up
from lending_pipelines.tables import TABLES
from lending_pipelines.tables.schema import MONEY

FIRST, LAST = date(2025, 2, 1), date(2025, 2, 28)
DAYS = ibis.table({"business_date": "date", "ends_at": "timestamp(6)"}, name="days")


def _table(name):
    return ibis.table(TABLES[name].schema, name=name)


def _expressions():
    positions, loans = _table("loan_positions"), _table("loans")
    work = [
        collections.contacts(_table("collection_contacts"), FIRST, LAST, "Europe/Amsterdam"),
        collections.promises(_table("promises_to_pay"), FIRST, LAST),
        collections.cures(_table("collection_assignments"), positions, FIRST, LAST),
    ]
    outcomes = modifications.outcomes(_table("modifications"), positions, LAST, 60)
    tickets = platform.tickets(_table("tickets"), DAYS)
    wallets = _table("wallets")
    return {
        "performance": collections.performance(work, "collector_id", "queue"),
        "promised_amounts": collections.promised_amounts(_table("promises_to_pay"), loans, FIRST, LAST),
        "terms_by_type": modifications.terms_by_type(_table("modifications"), loans),
        "redefaults": modifications.redefaults(outcomes, "modified_month", "currency"),
        "pass_rates": compliance.pass_rates(_table("compliance_checks"), "category"),
        "activity": platform.activity(
            DAYS,
            platform.joined(_table("users"), DAYS, 30),
            platform.active_loans(positions, DAYS),
            tickets,
        ),
        "by_asset_type": platform.by_asset_type(
            tickets, platform.opened(wallets, DAYS), platform.balances(_table("wallet_transactions"), wallets, DAYS)
        ),
        "payments": platform.payments(_table("gateway_payments"), DAYS),
    }


@pytest.mark.parametrize("engine", [ibis.duckdb, ibis.pyspark], ids=["duckdb", "spark"])
@pytest.mark.parametrize("name", _expressions())
def test_it_can_be_said_to_either_engine(name, engine):
    assert engine.compile(_expressions()[name]).startswith(("SELECT", "WITH"))


def test_parts_add_up_and_what_none_of_them_counts_is_null():
    calls = ibis.memtable({"queue": ["a", "a", "b"], "calls": [1, 2, 4]})
    paid = ibis.memtable(
        {"queue": ["a", "c"], "paid": [Decimal("1.10"), Decimal("2.20")]}, schema={"queue": "string", "paid": MONEY}
    )
    measures = {"calls": "int64", "paid": MONEY, "visits": "int64"}
    assert add_up([calls, paid], measures, "queue").order_by("queue").to_pyarrow().to_pylist() == [
        {"queue": "a", "calls": 3, "paid": Decimal("1.10"), "visits": None},
        {"queue": "b", "calls": 4, "paid": Decimal("0.00"), "visits": None},
        {"queue": "c", "calls": 0, "paid": Decimal("2.20"), "visits": None},
    ]
    assert add_up([calls], measures).to_pyarrow().to_pylist() == [{"calls": 7, "paid": None, "visits": None}]
