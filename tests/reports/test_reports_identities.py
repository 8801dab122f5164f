"""The reports on balances, lateness and the ledger against each other, on a whole lender and its last day."""

from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from tiny_lake import generate, rows, table


@pytest.fixture
def book(home_source):
    return lambda report_type, **values: generate(home_source, report_type, **values)


def _by(listed, *keys):
    """Σ of a column (the last key) by the others."""
    *keys, amount = keys
    sums = Counter()
    for row in listed:
        sums[tuple(row[key] for key in keys)] += row[amount]
    return sums


def test_the_tape_the_summary_and_the_ledger_agree_on_what_is_owed(book, closed_home):
    tape = _by(rows(book("loan_tape"), "Loan tape"), "currency", "principal_outstanding")
    assert tape == _by(rows(book("portfolio_summary"), "Summary"), "currency", "total_balance")
    controls = {row["account_code"] for row in closed_home.rows("gl_accounts") if row["control_for"] == "principal"}
    trial = [row for row in rows(book("trial_balance"), "Trial balance") if row["account_code"] in controls]
    assert tape == {
        key: amount - _by(trial, "currency", "credit_balance")[key]
        for key, amount in _by(trial, "currency", "debit_balance").items()
    }
    assert all(amount > 0 for amount in tape.values())


@pytest.mark.parametrize("by", ["vintage", "product", "branch", "program"])
def test_what_is_broken_down_adds_up_to_the_summary(book, by):
    summary = book("portfolio_summary", by=by)
    for measure in ("total_balance", "loan_count", "past_due_amount", "total_collected"):
        whole = _by(rows(summary, "Summary"), "currency", measure)
        assert _by(rows(summary, f"By {by}"), "currency", measure) == whole
        assert {(row["currency"],): row[measure] for row in table(summary, f"By {by}").totals} == whole


def test_the_buckets_are_those_of_the_tape_and_their_shares_are_one(book):
    aging = rows(book("delinquency_aging"), "Aging")
    active = rows(book("loan_tape", status="active"), "Loan tape")
    for measure in ("principal_outstanding", "past_due_amount"):
        assert _by(aging, "currency", "bucket", measure) == _by(active, "currency", "bucket", measure)
    for share in _by(aging, "currency", "balance_share").values():
        assert share == pytest.approx(1)
    assert rows(book("portfolio_summary"), "Aging") == aging


def test_rates_out_of_each_bucket_are_one_and_cures_are_those_to_current(book):
    aging = book("delinquency_aging")
    for matrix in ("Transition rates by count", "Transition rates by balance"):
        for row in rows(aging, matrix):
            rates = [
                value for name, value in row.items() if name in ("closed", "charged_off", "sold") or name[0].isdigit()
            ]
            assert sum(rates) + row["current"] == pytest.approx(1)
    to_current = {
        (row["currency"], row["from_bucket"]): row["loan_count"]
        for row in rows(aging, "Transitions")
        if row["to_bucket"] == "current" and row["from_bucket"] not in ("new", "current")
    }
    cured = {(row["currency"], row["from_bucket"]): row["cured_loans"] for row in rows(aging, "Cure rates")}
    assert {key: count for key, count in cured.items() if count} == to_current


def test_the_ledger_closes_as_the_trial_balance_and_opens_as_the_month_before_closed(book):
    ledger = book("general_ledger", from_date="2025-03-01")
    accounts = {(row["account_code"], row["currency"]): row for row in rows(ledger, "Accounts")}
    for as_of, balance in (("2025-02-28", "opening_balance"), ("2025-03-14", "closing_balance")):
        trial = {
            (row["account_code"], row["currency"]): row["debit_balance"] - row["credit_balance"]
            for row in rows(book("trial_balance", as_of=as_of), "Trial balance")
        }
        assert {key: row[balance] for key, row in accounts.items() if key in trial} == trial
        assert {row[balance] for key, row in accounts.items() if key not in trial} <= {Decimal("0.00")}
    lines = rows(ledger, "Lines")
    assert {row["entry_date"] for row in lines} <= {date(2025, 3, day) for day in range(1, 15)}
    for side in ("debit", "credit"):
        moved = _by(lines, "account_code", "currency", side)
        assert {key: row[side] for key, row in accounts.items() if row[side]} == +moved
    last_line = {(row["account_code"], row["currency"]): row["balance"] for row in lines}
    assert {key: accounts[key]["closing_balance"] for key in last_line} == last_line


def test_a_tape_of_several_scopes_is_what_they_have_in_common(book, closed_home):
    tape = rows(book("loan_tape"), "Loan tape")
    product = tape[0]["product_id"]
    held = [row for row in tape if row["product_id"] == product and row["portfolio_id"]]
    both = rows(book("loan_tape", product=product, portfolio="Consumer 2024"), "Loan tape")
    assert sorted(row["loan_id"] for row in both) == sorted(row["loan_id"] for row in held) != []
