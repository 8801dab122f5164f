"""A lake small enough to check by hand: three days, two currencies, two portfolios, five loans, five entries."""

from datetime import date
from decimal import Decimal

import pytest
import tiny_lake
from tiny_lake import TinyLake, money

from lending_pipelines.conventions import Conventions

JAN, MID, FEB = date(2025, 1, 31), date(2025, 2, 15), date(2025, 2, 28)


def _snapshot(day, scope, scope_id, currency, count, balance, late, past_due, par, name=None):
    return {
        "business_date": day,
        "scope": scope,
        "scope_id": scope_id,
        "name": name,
        "currency": currency,
        "loan_count": count,
        "total_balance": money(balance),
        "delinquent_amount": money(late),
        "past_due_amount": money(past_due),
        "par_30": par[0],
        "par_60": par[1],
        "par_90": par[2],
        "moic": 1.25,
        "irr_reason": "no sign change",
        "bucket_breakdown": "{}",
    }


_SNAPSHOTS = [
    _snapshot(JAN, "all", "*", "USD", 4, "1000.00", "500.00", "90.00", (0.5, 0.5, 0.0)),
    _snapshot(MID, "all", "*", "USD", 4, "900.00", "500.00", "95.00", (0.5, 0.5, 0.0)),
    _snapshot(FEB, "all", "*", "USD", 3, "700.00", "600.00", "450.00", (6 / 7, 4 / 7, 4 / 7)),
    _snapshot(FEB, "all", "*", "EUR", 1, "300.00", "300.00", "30.00", (0.0, 0.0, 0.0)),
    _snapshot(FEB, "portfolio", "P1", "USD", 2, "300.00", "200.00", "50.00", (2 / 3, 0.0, 0.0), "Consumer North"),
    _snapshot(FEB, "portfolio", "P2", "EUR", 1, "300.00", "300.00", "30.00", (0.0, 0.0, 0.0), "=Øst"),
    _snapshot(FEB, "program", "R1", "USD", 3, "700.00", "600.00", "450.00", (6 / 7, 4 / 7, 4 / 7), "Retail"),
]


def _loan(loan_id, currency, portfolio, status, outstanding, past_due, days, bucket):
    return {
        "business_date": FEB,
        "loan_id": loan_id,
        "currency": currency,
        "portfolio_id": portfolio,
        "program_id": "R1" if currency == "USD" else None,
        "status": status,
        "annual_rate": Decimal("0.125000"),
        "principal_disbursed": money("500.00"),
        "principal_outstanding": money(outstanding),
        "past_due_amount": money(past_due),
        "days_past_due": days,
        "bucket": bucket,
    }


_LOANS = [
    _loan("L1", "USD", "P1", "active", "100.00", "0.00", 0, "current"),
    _loan("L2", "USD", "P1", "active", "200.00", "50.00", 35, "30-59"),
    _loan("L3", "USD", "P1", "closed", "0.00", "0.00", 0, "current"),
    _loan("L4", "EUR", "P2", "active", "300.00", "30.00", 5, "1-29"),
    _loan("L5", "USD", None, "active", "400.00", "400.00", 95, "90-119"),
]


def _bucket(day, currency, bucket, count, balance, past_due, share, scope=("all", "*")):
    return {
        "business_date": day,
        "scope": scope[0],
        "scope_id": scope[1],
        "currency": currency,
        "bucket": bucket,
        "loan_count": count,
        "principal_outstanding": money(balance),
        "past_due_amount": money(past_due),
        "balance_share": share,
    }


_BUCKETS = [
    _bucket(JAN, "USD", "current", 2, "500.00", "0.00", 0.5),
    _bucket(JAN, "USD", "60-89", 2, "500.00", "90.00", 0.5),
    _bucket(FEB, "USD", "90-119", 1, "400.00", "400.00", 4 / 7),
    _bucket(FEB, "USD", "current", 1, "100.00", "0.00", 1 / 7),
    _bucket(FEB, "USD", "30-59", 1, "200.00", "50.00", 2 / 7),
    _bucket(FEB, "EUR", "1-29", 1, "300.00", "30.00", 1.0),
    _bucket(FEB, "USD", "current", 1, "100.00", "0.00", 1 / 3, ("portfolio", "P1")),
    _bucket(FEB, "USD", "30-59", 1, "200.00", "50.00", 2 / 3, ("portfolio", "P1")),
]


def _move(from_bucket, to_bucket, count, opening, count_rate, balance_rate):
    return {
        "business_date": FEB,
        "scope": "all",
        "scope_id": "*",
        "currency": "USD",
        "from_bucket": from_bucket,
        "to_bucket": to_bucket,
        "from_date": date(2025, 1, 28),
        "loan_count": count,
        "opening_principal": money(opening),
        "count_rate": count_rate,
        "balance_rate": balance_rate,
    }


_MOVES = [
    _move("60-89", "90-119", 1, "400.00", 0.5, 0.8),
    _move("60-89", "current", 1, "100.00", 0.5, 0.2),
    _move("current", "30-59", 1, "250.00", 0.25, 0.5),
    _move("current", "closed", 3, "250.00", 0.75, 0.5),
    _move("new", "current", 1, "0.00", None, None),
]


def _line(entry, number, day, account, debit, credit, currency="USD"):
    return {
        "entry_id": entry,
        "line_no": number,
        "entry_date": day,
        "account_code": account,
        "debit": money(debit),
        "credit": money(credit),
        "currency": currency,
    }


_JOURNAL = [
    _line("E1", 1, date(2025, 1, 10), "1100", "1000.00", "0.00"),
    _line("E1", 2, date(2025, 1, 10), "1000", "0.00", "1000.00"),
    _line("E2", 1, date(2025, 2, 10), "1000", "110.00", "0.00"),
    _line("E2", 2, date(2025, 2, 10), "1100", "0.00", "100.00"),
    _line("E2", 3, date(2025, 2, 10), "4000", "0.00", "10.00"),
    _line("E3", 1, date(2025, 2, 20), "1000", "55.50", "0.00"),
    _line("E3", 2, date(2025, 2, 20), "1100", "0.00", "55.50"),
    _line("E4", 1, date(2025, 2, 20), "1100", "300.00", "0.00", "EUR"),
    _line("E4", 2, date(2025, 2, 20), "1000", "0.00", "300.00", "EUR"),
    _line("E5", 1, date(2025, 3, 1), "1000", "1.00", "0.00"),
    _line("E5", 2, date(2025, 3, 1), "1100", "0.00", "1.00"),
]
_ACCOUNTS = [
    {"account_code": "1000", "name": "Cash", "account_type": "asset"},
    {"account_code": "1100", "name": "Loans", "account_type": "asset"},
    {"account_code": "4000", "name": "Interest income", "account_type": "income"},
]


def _balance(account, currency, debit, credit, balance):
    amount = money(balance)
    return {
        "business_date": FEB,
        "account_code": account,
        "currency": currency,
        "name": next(row["name"] for row in _ACCOUNTS if row["account_code"] == account),
        "account_type": next(row["account_type"] for row in _ACCOUNTS if row["account_code"] == account),
        "debit_total": money(debit),
        "credit_total": money(credit),
        "balance": amount,
        "debit_balance": max(amount, money("0.00")),
        "credit_balance": max(-amount, money("0.00")),
    }


_TRIAL = [
    _balance("1000", "USD", "165.50", "1000.00", "-834.50"),
    _balance("1100", "USD", "1000.00", "155.50", "844.50"),
    _balance("4000", "USD", "0.00", "10.00", "-10.00"),
    _balance("1000", "EUR", "0.00", "300.00", "-300.00"),
    _balance("1100", "EUR", "300.00", "0.00", "300.00"),
]


@pytest.fixture
def lake():
    return TinyLake(
        {
            "portfolio_snapshots": list(_SNAPSHOTS),
            "loan_positions": list(_LOANS),
            "aging_buckets": list(_BUCKETS),
            "aging_transitions": list(_MOVES),
            "journal_lines": list(_JOURNAL),
            "gl_accounts": list(_ACCOUNTS),
            "trial_balance": list(_TRIAL),
        }
    )


@pytest.fixture
def report(lake):
    """The book of a report type over the lake, with its parameters as a form would give them."""
    return lambda report_type, **values: tiny_lake.generate(lake, report_type, **values)


@pytest.fixture
def rows():
    """A table's rows of a book as dictionaries."""
    return tiny_lake.rows


@pytest.fixture(scope="module")
def home_lake(closed_home):
    """The lake of a small lender with 31 days closed, for reading only."""
    with closed_home.lake() as lake:
        yield lake


@pytest.fixture
def home_source(home_lake):
    """The lake of the small lender as a report sees it."""
    # Dagster comes with it, which takes seconds to import.
    from lending_pipelines.resources import LakeReportSource

    return LakeReportSource(home_lake, Conventions())
