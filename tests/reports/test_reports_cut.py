"""A list that is cut says how much of it there is, and totals that differ by credit balances say by how much."""

from datetime import date

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

DAY = date(2025, 2, 28)


def _late(loan_id, currency, past_due):
    return {
        "business_date": DAY,
        "loan_id": loan_id,
        "currency": currency,
        "status": "active",
        "principal_outstanding": money("100.00"),
        "principal_disbursed": money("100.00"),
        "past_due_amount": money(past_due),
        "days_past_due": 5,
        "bucket": "1-29",
    }


@pytest.fixture
def source():
    """Three late loans in USD, one in EUR; 300.00 USD aged and a balance of 287.50, 100.00 EUR both."""

    def snapshot(currency, balance):
        return {
            "business_date": DAY,
            "scope": "all",
            "scope_id": "*",
            "currency": currency,
            "total_balance": money(balance),
            "bucket_breakdown": "{}",
        }

    def bucket(currency, count, principal):
        return {
            "business_date": DAY,
            "scope": "all",
            "scope_id": "*",
            "currency": currency,
            "bucket": "1-29",
            "loan_count": count,
            "principal_outstanding": money(principal),
        }

    return TinyLake(
        {
            "loan_positions": [
                _late("L1", "USD", "10.00"),
                _late("L2", "USD", "30.00"),
                _late("L3", "USD", "20.00"),
                _late("L4", "EUR", "5.00"),
            ],
            "portfolio_snapshots": [snapshot("USD", "287.50"), snapshot("EUR", "100.00")],
            "aging_buckets": [bucket("USD", 3, "300.00"), bucket("EUR", 1, "100.00")],
        }
    )


def test_the_overdue_loans_that_are_left_out_are_counted(source):
    book = generate(source, "delinquency_aging", top_loans=2)
    assert [row["loan_id"] for row in rows(book, "Largest overdue loans")] == ["L4", "L2", "L3"]
    assert table(book, "Largest overdue loans").cut == "first 2 of 3 in USD"
    assert "Largest overdue loans: first 2 of 3 in USD." in book.notes
    assert "Largest overdue loans: first 2 of 3 in USD." in book.cover.sections["Notes"].values()


def test_a_list_of_all_says_nothing(source):
    book = generate(source, "delinquency_aging", top_loans=3)
    assert table(book, "Largest overdue loans").cut == ""
    assert not any("first" in note for note in book.notes)


def test_the_loans_with_the_least_profit_are_counted_and_totals_are_of_all(source):
    book = generate(source, "loan_profitability", order="most_profitable", top_loans=1)
    loans = table(book, "Loans")
    assert len(loans.frame) == 2
    assert "Loans: first 1 of 3 in USD. Totals are of all." in book.notes
    assert {total["currency"]: total["principal_disbursed"] for total in loans.totals} == {
        "EUR": money("100.00"),
        "USD": money("300.00"),
    }


def test_groups_of_a_concentration_limit_that_are_left_out_are_counted(source):
    rules = '{"concentration_limits": [{"by": "bucket", "max_share": 0.9}, {"by": "borrower", "max_share": 0.9}]}'
    for number, row in enumerate(source.rows["loan_positions"]):
        row["borrower_id"] = f"B{number}"
    source.rows["loans"] = [{"loan_id": row["loan_id"]} for row in source.rows["loan_positions"]]
    book = generate(source, "borrowing_base", rules=rules, top_groups=1)
    listed = rows(book, "Concentrations")
    assert [(row["by"], row["currency"], row["group"]) for row in listed] == [
        ("bucket", "EUR", "1-29"),
        ("bucket", "USD", "1-29"),
        ("borrower", "EUR", None),
        ("borrower", "USD", None),
    ]
    assert table(book, "Concentrations").cut == "by borrower, first 1 of 3 in USD"
    assert any("groups by borrower" in note for note in book.notes)
    named = generate(source, "borrowing_base", rules=rules, top_groups=1, allow_pii=True)
    assert [row["group"] for row in rows(named, "Concentrations")][2:] == ["B3", "B0"]


@pytest.mark.parametrize("report_type", ["delinquency_aging", "portfolio_summary"])
def test_the_balance_that_is_not_aged_is_told(source, report_type):
    """USD: 287.50 of the portfolio - 300.00 aged = -12.50, what overpaid loans are owed. EUR ties."""
    book = generate(source, report_type)
    told = [note for note in book.notes if "aging adds up to" in note]
    assert told == [
        "USD: aging adds up to 300.00, the portfolio balance is 287.50. The difference of -12.50 is the principal of"
        " loans that are not active; if negative, credit balances of overpaid loans."
    ]
