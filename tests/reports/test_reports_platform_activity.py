"""A platform of four users, small enough to count by hand; and the one of a whole lender's home."""

from collections import Counter
from datetime import date, datetime

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

JAN, FEB = date(2025, 1, 31), date(2025, 2, 28)
TABLES = ("users", "tickets", "wallets", "wallet_transactions", "gateway_payments")


def _ticket(number, asset, amount, status, opened, closed=None):
    return {
        "ticket_id": f"T{number}",
        "asset_type": asset,
        "amount": money(amount),
        "status": status,
        "opened_on": date.fromisoformat(opened),
        "closed_on": closed and date.fromisoformat(closed),
    }


def _moved(number, wallet, amount, at):
    return {
        "wallet_transaction_id": f"WT{number}",
        "wallet_id": wallet,
        "amount": money(amount),
        "occurred_at": datetime.fromisoformat(at),
    }


def _paid(number, currency, status, amount, at):
    return {
        "payment_id": f"GP{number}",
        "currency": currency,
        "status": status,
        "amount": money(amount),
        "paid_at": datetime.fromisoformat(at),
    }


@pytest.fixture
def lake():
    joined = {"U1": "2025-01-10", "U2": "2025-02-01", "U3": "2025-01-29", "U4": "2025-01-30", "U5": "2025-03-01"}
    opened = {"W1": ("USD", "2025-01-10"), "W2": ("USDC", "2025-02-01"), "W3": ("EUR", "2025-03-01")}
    return TinyLake(
        {
            "users": [{"user_id": key, "joined_on": date.fromisoformat(on)} for key, on in joined.items()],
            "wallets": [
                {"wallet_id": key, "asset_type": asset, "opened_on": date.fromisoformat(on)}
                for key, (asset, on) in opened.items()
            ],
            "wallet_transactions": [
                _moved(1, "W1", "100.00", "2025-01-15T12:00:00"),
                _moved(2, "W1", "-30.50", "2025-02-28T23:59:59"),
                _moved(3, "W1", "-10.00", "2025-03-01T00:00:00"),  # after the day
                _moved(4, "W2", "-5.00", "2025-02-02T12:00:00"),
            ],
            "tickets": [
                _ticket(1, "USD", "500.00", "completed", "2025-01-05", "2025-01-20"),
                _ticket(2, "USD", "300.00", "completed", "2025-01-25", "2025-02-28"),
                _ticket(3, "USD", "200.00", "cancelled", "2025-02-01", "2025-02-05"),
                _ticket(4, "USD", "100.00", "completed", "2025-02-20", "2025-03-03"),  # open on the day
                _ticket(5, "EUR", "50.00", "open", "2025-02-28"),
                _ticket(6, "USDC", "40.00", "cancelled", "2025-02-03"),
                _ticket(7, "EUR", "70.00", "open", "2025-03-01"),  # after the day
            ],
            "gateway_payments": [
                _paid(1, "USD", "verified", "10.00", "2025-02-01T08:00:00"),
                _paid(2, "USD", "verified", "15.25", "2025-02-28T23:00:00"),
                _paid(3, "EUR", "failed", "99.00", "2025-02-03T08:00:00"),
                _paid(4, "EUR", "pending", "1.00", "2025-03-01T00:00:00"),  # after the day
            ],
            "loan_positions": [
                {"business_date": JAN, "loan_id": "L1", "status": "active"},
                {"business_date": FEB, "loan_id": "L1", "status": "active"},
                {"business_date": FEB, "loan_id": "L2", "status": "active"},
                {"business_date": FEB, "loan_id": "L3", "status": "charged_off"},
            ],
        }
    )


def test_every_day_of_the_history_has_its_counts(report):
    book = report("platform_activity")
    assert [tuple(row.values()) for row in rows(book, "Activity")] == [
        # U4 joined 30 days before 28 February, U3 31; both, and U1, within the 30 days to 31 January.
        (JAN, 3, 3, 1, 2, 1, 1, 0),
        (FEB, 4, 2, 2, 6, 2, 2, 2),
    ]
    assert rows(report("platform_activity", new_user_days=31), "Activity")[1]["new_users"] == 3
    assert [chart.title for chart in book.charts] == ["Users", "Tickets"]


def test_balances_and_volume_stay_in_their_asset_type(report):
    book = report("platform_activity")
    assert [tuple(row.values()) for row in rows(book, "By asset type")] == [
        ("EUR", 0, money("0.00"), 1, 1, 0, 0, money("0.00")),
        ("USD", 1, money("69.50"), 4, 1, 2, 1, money("800.00")),
        ("USDC", 1, money("-5.00"), 1, 0, 0, 1, money("0.00")),
    ]
    assert table(book, "By asset type").totals == ()
    assert book.summary["wallet_balances"] == {"EUR": "0.00", "USD": "69.50", "USDC": "-5.00"}
    assert book.summary["total_volume"]["USD"] == "800.00"
    assert book.summary["total_users"] == 4


def test_gateway_payments_by_currency_and_status(report):
    assert [tuple(row.values()) for row in rows(report("platform_activity"), "Gateway payments")] == [
        ("EUR", "failed", 1, money("99.00")),
        ("USD", "verified", 2, money("25.25")),
    ]


def test_what_the_source_does_not_keep_is_blank_not_zero(lake, report):
    lake.rows["tickets"] = []
    book = report("platform_activity")
    assert {row["total_tickets"] for row in rows(book, "Activity")} == {None}
    assert [(row["wallet_balance"], row["total_volume"]) for row in rows(book, "By asset type")] == [
        (money("69.50"), None),
        (money("-5.00"), None),
    ]
    assert "No data: the source has no tickets." in book.notes
    assert book.summary["total_volume"] == {}


def test_wallets_without_movements_have_no_balance(lake, report):
    lake.rows["wallet_transactions"] = []
    assert [(row["wallets"], row["wallet_balance"]) for row in rows(report("platform_activity"), "By asset type")] == [
        (0, None),
        (1, None),
        (1, None),
    ]


def test_a_lender_without_a_platform_says_so(lake, report):
    for name in TABLES:
        lake.rows[name] = []
    book = report("platform_activity")
    assert table(book, "Activity").no_data == f"the source has no {', '.join(TABLES[:-1])} or {TABLES[-1]}"
    assert table(book, "By asset type").no_data == "the source has no wallets or tickets"
    assert table(book, "Gateway payments").no_data == "the source has no gateway_payments"
    assert (book.charts, book.summary) == ([], {"wallet_balances": {}, "total_volume": {}})


def test_the_platform_of_a_whole_lender_adds_up(closed_home, home_source):
    book = generate(home_source, "platform_activity", history_step="day", history=31)
    last = rows(book, "Activity")[-1]
    by_asset = rows(book, "By asset type")
    assert last["total_tickets"] == sum(row["total_tickets"] for row in by_asset) > 20
    snapshots = closed_home.rows("portfolio_snapshots", last["business_date"], last["business_date"])
    assert last["active_loans"] == sum(row["loan_count"] for row in snapshots if row["scope"] == "all")
    joined = [row["joined_on"] for row in closed_home.rows("users")]
    assert last["total_users"] == sum(on <= last["business_date"] for on in joined)
    asset = {row["wallet_id"]: row["asset_type"] for row in closed_home.rows("wallets")}
    balances = Counter()
    for row in closed_home.rows("wallet_transactions"):
        if row["occurred_at"].date() <= last["business_date"]:
            balances[asset[row["wallet_id"]]] += row["amount"]
    assert {row["asset_type"]: row["wallet_balance"] for row in by_asset} == balances
