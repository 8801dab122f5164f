"""platform_activity: a platform of four users counted by hand on three days, and a lender without a platform."""

import json
from datetime import date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.metrics.platform import SOURCES, platform_activity
from lending_pipelines.tables import DERIVED, TABLES

FIRST, LAST = date(2025, 2, 27), date(2025, 3, 1)
ZONE = "America/New_York"
"""On these days, a day ends at 05:00 UTC of the next."""


def _day(text):
    return date.fromisoformat(text)


def _rows(table, *rows):
    return [dict.fromkeys(TABLES[table].names) | row for row in rows]


@pytest.fixture
def tables():
    joined = {"U1": "2025-01-10", "U2": "2025-01-29", "U3": "2025-02-28", "U4": "2025-03-01"}
    tickets = [
        ("T1", "USD", "completed", "2025-01-05", "2025-02-28"),
        ("T2", "USDC", "cancelled", "2025-02-28", None),
        ("T3", "EUR", "open", "2025-03-01", None),
    ]
    moved = [
        ("W1", "100.00", "2025-02-01 12:00"),
        ("W1", "-30.50", "2025-03-01 04:59"),
        ("W2", "7", "2025-03-01 05:00"),
    ]
    paid = [
        ("USD", "verified", "10.00", "2025-02-27 08:00"),
        ("USD", "verified", "15.25", "2025-03-01 05:00"),
        ("USD", "failed", "99.00", "2025-02-27 08:00"),
        ("EUR", "verified", "1.00", "2025-02-28 08:00"),
    ]
    loans = [(FIRST, "USD", "active"), (FIRST, "USD", "closed"), (LAST, "USD", "active"), (LAST, "USD", "active")]
    return {
        "users": _rows("users", *({"user_id": key, "joined_on": _day(on)} for key, on in joined.items())),
        "tickets": _rows(
            "tickets",
            *(
                {
                    "ticket_id": key,
                    "asset_type": asset,
                    "status": status,
                    "amount": Decimal("5.00"),
                    "opened_on": _day(opened),
                    "closed_on": closed and _day(closed),
                }
                for key, asset, status, opened, closed in tickets
            ),
        ),
        "wallets": _rows("wallets", {"wallet_id": "W1", "asset_type": "USD"}, {"wallet_id": "W2", "asset_type": "EUR"}),
        "wallet_transactions": _rows(
            "wallet_transactions",
            *(
                {"wallet_id": wallet, "amount": Decimal(amount), "occurred_at": datetime.fromisoformat(at)}
                for wallet, amount, at in moved
            ),
        ),
        "gateway_payments": _rows(
            "gateway_payments",
            *(
                {
                    "currency": currency,
                    "status": status,
                    "amount": Decimal(amount),
                    "paid_at": datetime.fromisoformat(at),
                }
                for currency, status, amount, at in paid
            ),
        ),
        "loan_positions": _rows(
            "loan_positions",
            *({"business_date": on, "currency": currency, "status": status} for on, currency, status in loans),
        ),
    }


def _activity(tables, first=FIRST, last=LAST):
    def read(name):
        return ibis.memtable(pa.Table.from_pylist(tables[name], schema=TABLES[name].arrow_schema))

    positions = read("loan_positions").filter(ibis._.business_date.between(first, last))
    rows = platform_activity(positions, read, first, last, ZONE)
    table = DERIVED["platform_activity"]
    found = rows.select(*table.names).cast(table.schema).order_by(*table.key).to_pyarrow().to_pylist()
    return {(row["business_date"].day, row["currency"]): row for row in found}


def test_every_day_is_counted_by_hand(tables):
    found = _activity(tables)

    # On 27 February U1 joined 48 days ago and U2 29 days ago. On 28 February U2 is at 30 days: no longer new.
    # The payment of 1.00 EUR is made on 28 February, so that EUR has no row before. 05:00 UTC is the next day.
    counts = ("total_users", "new_users", "active_loans", "total_tickets", "open_tickets", "completed_tickets")
    assert {key: tuple(row[name] for name in counts) for key, row in found.items()} == {
        (27, "USD"): (2, 1, 1, 1, 1, 0),
        (28, "EUR"): (3, 1, 0, 2, 0, 1),
        (28, "USD"): (3, 1, 0, 2, 0, 1),
        (1, "EUR"): (4, 2, 0, 3, 1, 1),
        (1, "USD"): (4, 2, 2, 3, 1, 1),
    }
    assert {key: str(row["total_volume"]) for key, row in found.items()} == {
        (27, "USD"): "10.00",
        (28, "EUR"): "1.00",
        (28, "USD"): "10.00",
        (1, "EUR"): "1.00",
        (1, "USD"): "25.25",
    }
    assert [row["cancelled_tickets"] for row in found.values()] == [1 if day != 27 else 0 for day, _ in found]
    balances = {day: json.loads(row["wallet_balances"], parse_float=Decimal) for (day, _), row in found.items()}
    usd = {"asset_type": "USD", "balance": Decimal("69.50")}
    assert balances == {
        27: [usd | {"balance": Decimal("100.00")}],
        28: [usd],
        1: [{"asset_type": "EUR", "balance": Decimal("7.00")}, usd],
    }


def test_a_day_alone_is_the_day_in_its_range(tables):
    whole = _activity(tables)
    for on in (FIRST, date(2025, 2, 28), LAST):
        assert _activity(tables, on, on) == {key: row for key, row in whole.items() if key[0] == on.day}


def test_what_the_source_does_not_keep_is_null(tables):
    for name in SOURCES:
        tables[name] = []

    assert _activity(tables) == {
        (day.day, "USD"): dict.fromkeys(TABLES["platform_activity"].names)
        | {"business_date": day, "currency": "USD", "active_loans": loans}
        for day, loans in ((FIRST, 1), (LAST, 2))
    }
