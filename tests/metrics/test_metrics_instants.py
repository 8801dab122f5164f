"""A business date ends at midnight in the lender's zone, also on the days on which clocks change.

Amsterdam is UTC+1, and UTC+2 from 30 March to 26 October 2025. Singapore is UTC+8. Los Angeles is UTC−8, and UTC−7 from
9 March to 2 November 2025.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.metrics import collections, instants, platform
from lending_pipelines.tables import TABLES

AMSTERDAM, SINGAPORE, LOS_ANGELES = "Europe/Amsterdam", "Asia/Singapore", "America/Los_Angeles"

ENDS = [
    ("UTC", date(2025, 3, 1), datetime(2025, 3, 2, 0)),
    (AMSTERDAM, date(2025, 3, 1), datetime(2025, 3, 1, 23)),
    (AMSTERDAM, date(2025, 3, 29), datetime(2025, 3, 29, 23)),
    (AMSTERDAM, date(2025, 3, 30), datetime(2025, 3, 30, 22)),
    (AMSTERDAM, date(2025, 10, 25), datetime(2025, 10, 25, 22)),
    (AMSTERDAM, date(2025, 10, 26), datetime(2025, 10, 26, 23)),
    (SINGAPORE, date(2025, 3, 1), datetime(2025, 3, 1, 16)),
    (LOS_ANGELES, date(2025, 3, 8), datetime(2025, 3, 9, 8)),
    (LOS_ANGELES, date(2025, 3, 9), datetime(2025, 3, 10, 7)),
    (LOS_ANGELES, date(2025, 11, 1), datetime(2025, 11, 2, 7)),
    (LOS_ANGELES, date(2025, 11, 2), datetime(2025, 11, 3, 8)),
]
LAST_MOMENT = timedelta(microseconds=1)


def memtable(name, rows):
    return ibis.memtable(pa.Table.from_pylist(rows, schema=TABLES[name].arrow_schema))


@pytest.mark.parametrize(("zone", "day", "ends"), ENDS)
def test_a_day_ends_at_the_zones_midnight(zone, day, ends):
    assert instants.ends_at(day, zone) == ends


@pytest.mark.parametrize(("zone", "day", "ends"), ENDS)
def test_contacts_count_by_the_lenders_date(zone, day, ends):
    contact = {"contact_id": "C", "loan_id": "L", "collector_id": "S", "queue": "Q", "channel": "call"}
    made = [
        contact | {"contacted_at": ends - LAST_MOMENT, "outcome": "right_party"},
        contact | {"contacted_at": ends, "outcome": "no_answer"},
    ]
    table = memtable("collection_contacts", made)
    for first, reached in ((day, [1]), (day + timedelta(days=1), [0])):
        found = collections.contacts(table, first, first, zone).to_pyarrow()
        assert found["right_party_contacts"].to_pylist() == reached


@pytest.mark.parametrize(("zone", "day", "ends"), ENDS)
def test_movements_and_payments_count_by_the_lenders_date(zone, day, ends):
    wallets = memtable("wallets", [{"wallet_id": "W", "user_id": "U", "asset_type": "USD", "opened_on": day}])
    moved = [
        {"wallet_transaction_id": "1", "wallet_id": "W", "amount": Decimal("5.00"), "occurred_at": ends - LAST_MOMENT},
        {"wallet_transaction_id": "2", "wallet_id": "W", "amount": Decimal("-2.00"), "occurred_at": ends},
    ]
    payment = {"user_id": "U", "currency": "USD", "status": "verified", "reference": "R"}
    paid = [
        payment | {"payment_id": "1", "amount": Decimal("7.00"), "paid_at": ends - LAST_MOMENT},
        payment | {"payment_id": "2", "amount": Decimal("4.00"), "paid_at": ends},
    ]
    days = instants.calendar([day, day + timedelta(days=1)], zone)

    balances = platform.balances(memtable("wallet_transactions", moved), wallets, days).order_by("business_date")
    payments = platform.payments(memtable("gateway_payments", paid), days).order_by("business_date")

    # By the end of the day the first of each has happened; by the end of the next day both.
    assert balances.to_pyarrow()["wallet_balance"].to_pylist() == [Decimal("5.00"), Decimal("3.00")]
    assert payments.to_pyarrow()["amount"].to_pylist() == [Decimal("7.00"), Decimal("11.00")]
