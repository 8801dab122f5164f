"""Servicing data that gave wrong numbers or stopped the close elsewhere: the right numbers, by the close's own assets.

Each runs the part of the close that makes the tables whose numbers were wrong, with its checks. test_assets_oddities.py
closes loans of each kind by the real command.
"""

import json
from datetime import date
from decimal import Decimal

from homes import Home, materialise

from lending_pipelines.assets import NEEDED_TABLES

POSITIONS = (*NEEDED_TABLES, "portfolio_assignments", "portfolio_membership", "loan_ownership", "loan_positions")
LEDGER = (*POSITIONS, "trial_balance", "ledger_tieouts")


def positions(home: Home, loan_id: str) -> dict[date, dict]:
    rows = home.rows("loan_positions")
    return {row["business_date"]: row for row in rows if row["loan_id"] == loan_id}


def tie_out(home: Home, control: str, day: date) -> dict:
    (row,) = [row for row in home.rows("ledger_tieouts", day, day) if row["control_for"] == control]
    return row


def balances(row: dict) -> tuple[str, str, str]:
    return tuple(str(row[name]) for name in ("ledger_balance", "subledger_balance", "difference"))


def test_a_loan_of_two_hundred_trillion(case):
    day = date(2025, 1, 2)
    home = case("huge-amount")
    materialise(day, day, *POSITIONS)

    huge = positions(home, "BIG")[day]
    assert huge["principal_outstanding"] == Decimal("200000000000000.00")
    assert huge["scheduled_due"] == Decimal("236000000000000.00")
    assert huge["interest_earned"] == Decimal("36000000000000.00")
    assert huge["days_past_due"] == 1
    # 200.00 due since 10 February with 6.00 of interest: 327 days ago.
    ordinary = positions(home, "OK")[day]
    names = ("principal_outstanding", "scheduled_due", "past_due_amount", "interest_earned", "days_past_due")
    assert [str(ordinary[name]) for name in names] == ["200.00", "206.00", "206.00", "6.00", "327"]


def test_more_refunded_than_paid_before_anything_is_due(case):
    # 200.00 disbursed, 15.00 refunded against principal on 25 January; 104.00 are due on 10 February.
    # The variant: R2 is R1 with a moratorium, an installment of 0.00 on 22 January and another on 1 February.
    home = case("refund-before-first-due")
    for table, change in {
        "loans": "loan_id = 'R2'",
        "transactions": "loan_id = 'R2', transaction_id = 'R2-' || transaction_id",
        "installments": "loan_id = 'R2', number = number + 2",
    }.items():
        home.servicing(f"CREATE TABLE copy AS SELECT * FROM {table} WHERE loan_id = 'R1'")
        home.servicing(f"UPDATE copy SET {change}")
        home.servicing(f"INSERT INTO {table} SELECT * FROM copy")
        home.servicing("DROP TABLE copy")
    home.servicing(
        "INSERT INTO installments (loan_id, version, number, due_on, principal, interest, fees, effective_on,"
        " posted_at) VALUES ('R2', 1, 1, '2024-01-22', 0, 0, 0, '2024-01-10', '2024-01-10 12:00:00'),"
        " ('R2', 1, 2, '2024-02-01', 0, 0, 0, '2024-01-10', '2024-01-10 12:00:00')"
    )
    materialise(date(2024, 1, 20), date(2024, 2, 11), *POSITIONS)

    for loan in (positions(home, "R1"), positions(home, "R2")):
        early = [loan[day] for day in loan if date(2024, 1, 25) <= day <= date(2024, 2, 9)]
        assert len(early) == 16
        names = ("principal_outstanding", "scheduled_due", "past_due_amount", "days_past_due", "bucket", "next_due_on")
        assert {tuple(str(row[name]) for name in names) for row in early} == {
            ("215.00", "0.00", "0.00", "0", "current", "2024-02-10")
        }
        # Less than nothing is settled, and what fell due is owed, not more; it is aged from its own due date.
        due = loan[date(2024, 2, 11)]
        assert (str(due["scheduled_due"]), str(due["past_due_amount"]), due["days_past_due"]) == ("104.00", "104.00", 1)
        assert due["oldest_due_on"] == date(2024, 2, 10)


def test_an_overpaid_loan_whose_credit_balance_is_in_a_liability_ties_out(case):
    home = case("credit-balances-in-a-liability")
    materialise(date(2024, 1, 20), date(2024, 2, 11), *LEDGER)

    ties = [row for row in home.rows("ledger_tieouts") if row["control_for"] == "principal"]
    assert len(ties) == 23
    assert {balances(row) for row in ties} == {("-20.00", "-20.00", "0.00")}


def test_recoveries_credited_to_an_expense_tie_out(case):
    day = date(2024, 1, 31)
    home = case("recovery-as-contra-expense")
    materialise(day, day, *LEDGER)

    assert balances(tie_out(home, "recovery", day)) == ("55.00", "55.00", "0.00")


def test_the_loans_of_a_break_are_json_also_with_a_carriage_return_in_an_id(case):
    day = date(2024, 1, 31)
    home = case("control-characters-in-id")
    materialise(day, day, *LEDGER)

    row = tie_out(home, "principal", day)
    assert balances(row) == ("90.00", "100.00", "-10.00")
    assert [loan["loan_id"] for loan in json.loads(row["loans"])] == ["L7\r"]
