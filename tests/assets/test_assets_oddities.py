"""One servicing database with every oddity at once closes by the real command, and tells each oddity once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import oddities
import pytest
from homes import Home, lending
from oddities import CONTROL_CHARACTER

FIRST, LAST = date(2024, 2, 9), date(2024, 2, 12)


@dataclass(frozen=True)
class Closed:
    """The home after the close, and the lines that the command printed besides its steps."""

    home: Home
    absent: list[str]
    warnings: list[str]

    def positions(self, day: date) -> dict[str, dict]:
        return {row["loan_id"]: row for row in self.home.rows("loan_positions", day, day)}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    home = Home(tmp_path_factory.mktemp("oddities"))
    oddities.build(home.folder / "servicing.db")
    conventions = home.folder / "conventions.toml"
    conventions.write_text("negative_journal_lines = true\n")
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        monkeypatch.setenv("LENDING_CONVENTIONS", str(conventions))
        done = lending("close", "--from", str(FIRST), "--to", str(LAST))
        assert done.returncode == 0, done.stderr
        lines = [line.strip() for line in done.stderr.splitlines()]
        absent, warnings = ([line for line in lines if line.startswith(start)] for start in ("no data: ", "warning: "))
        yield Closed(home, absent, warnings)


# On 12 February: 38 days after 5 January, 7 of the 29 days from 5 February to 5 March.
# loan: status, outstanding, past due, days past due, interest earned, collected, next due date
ON_LAST = {
    "1": ("active", "50.00", "0.00", 0, "1.17", "51.05", "2024-03-05"),  # 1.05 + 0.49 × 7 ÷ 29
    "2": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),  # 1.97 × 38 ÷ 60
    "3": ("active", "9880000000000000.00", "9999999999999999.99", 2, "119999999999999.99", "0.00", None),
    "5": ("active", "90.00", "0.00", 0, "1.25", "10.00", "2024-03-05"),
    "6": ("active", "0.00", "1.02", 7, "1.02", "100.00", None),
    "7": ("active", "160.00", "102.04", 7, "2.27", "0.00", "2024-03-05"),  # 2.04 + 0.95 × 7 ÷ 29
    "8": ("charged_off", "0.00", "0.00", 0, "1.53", "30.00", None),
    "9": ("charged_off", "0.00", "0.00", 0, "1.02", "0.00", None),
    "10": ("active", "215.00", "104.08", 2, "4.21", "0.00", "2024-03-10"),  # 4.08 + 1.91 × 2 ÷ 29; 15.00 − 15.00
    "11": ("active", "50.00", "50.26", 7, "0.75", "50.49", None),  # 0.49 + 0.26
    "12": ("active", "100.00", "100.92", 10, "0.92", "0.00", None),
    "13": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
    "14": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-07-05"),  # 5.98 × 38 ÷ 182
    "15": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2025-01-05"),  # 12.03 × 38 ÷ 366
    "16": ("active", "70.00", "0.00", 0, "0.98", "30.33", "2024-02-20"),  # 0.33 + 0.83 × 28 ÷ 36
    "17": ("active", "100.00", "0.00", 0, "2.27", "0.00", "2024-03-05"),  # 2.99 × 69 ÷ 91
    "18": ("closed", "-20.00", "0.00", 0, "0.00", "120.00", None),
    "19": ("active", "50.00", "0.00", 0, "0.00", "50.00", "2024-03-05"),
    CONTROL_CHARACTER: ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
    "21": ("active", "100.00", "0.00", 0, "0.75", "0.00", "2024-02-20"),  # 0.91 × 38 ÷ 46
    "22": ("active", "100.00", "0.00", 0, "1.02", "101.02", None),
    "23": ("active", "90.00", "0.00", 0, "1.25", "10.00", "2024-03-05"),
    "24": ("pending", "0.00", "0.00", 0, "0.00", "0.00", None),
    "25": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
    "26": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
    "27": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
    "28": ("active", "100.00", "0.00", 0, "1.25", "0.00", "2024-03-05"),
}


def test_every_loan_has_the_numbers_worked_by_hand(closed):
    found = {
        loan_id: (
            row["status"],
            str(row["principal_outstanding"]),
            str(row["past_due_amount"]),
            row["days_past_due"],
            str(row["interest_earned"]),
            str(row["total_collected"]),
            row["next_due_on"] and str(row["next_due_on"]),
        )
        for loan_id, row in closed.positions(LAST).items()
    }
    assert found == ON_LAST


def test_what_is_special_about_a_loan(closed):
    first, last = closed.positions(FIRST), closed.positions(LAST)

    def values(row: dict, *names: str) -> list[str]:
        return [str(row[name]) for name in names]

    assert values(last["1"], "annual_rate", "officer_id", "branch_id") == ["0.12345678", "1", "1"]
    assert values(last["3"], "scheduled_due", "past_due_principal", "interest_receivable") == [
        "9999999999999999.99",
        "9880000000000000.00",
        "119999999999999.99",
    ]
    # 119,999,999,999,999.99 × 35 ÷ 36 = 116,666,666,666,666.6569…
    assert values(first["3"], "interest_earned", "past_due_amount", "scheduled_due") == [
        "116666666666666.66",
        "0.00",
        "0.00",
    ]
    assert values(last["6"], "past_due_principal", "past_due_interest") == ["0.00", "1.02"]
    assert values(last["7"], "principal_charged_off", "past_due_principal") == ["40.00", "100.00"]
    assert values(last["8"], "principal_charged_off", "principal_paid", "recovered") == ["150.00", "0.00", "30.00"]
    assert values(last["9"], "principal_charged_off") == ["100.00"]
    # 15.00 more was given back than paid, and nothing had fallen due: nothing is past due.
    assert values(first["10"], "settled", "past_due_amount", "days_past_due", "bucket") == [
        "-15.00",
        "0.00",
        "0",
        "current",
    ]
    assert values(last["17"], "next_due_amount", "scheduled_due") == ["102.99", "0.00"]
    assert values(last["28"], "product_id", "program_id") == ["99", "None"]


def test_the_whole_book_adds_up(closed):
    snapshots = {
        (row["scope"], row["scope_id"], row["currency"]): row
        for row in closed.home.rows("portfolio_snapshots", LAST, LAST)
    }
    book = snapshots["all", "*", "USD"]
    # 22 loans of 100.00, 200.00 twice and 150.00 less 405.00 repaid and 290.00 charged off.
    assert (book["total_disbursed"], book["total_balance"]) == (Decimal("2750.00"), Decimal("2055.00"))
    # Late: loans 7, 10, 11 and 12. Loan 6 owes interest alone.
    assert (book["delinquent_amount"], book["charged_off"]) == (Decimal("525.00"), Decimal("290.00"))
    assert (book["total_collected"], book["recovered"]) == (Decimal("552.89"), Decimal("30.00"))
    assert snapshots["all", "*", "IRR"]["total_balance"] == Decimal("9880000000000000.00")
    # Half of an interest-free loan is repaid, and the rest is owed: the rate is zero, without a sign.
    assert json.dumps(snapshots["program", "2", "USD"]["irr_with_residual"]) == "0.0"


def test_credit_balances_in_a_liability_and_recoveries_in_an_expense_tie_out(closed):
    ties = {
        (row["control_for"], row["currency"]): (str(row["ledger_balance"]), str(row["difference"]))
        for row in closed.home.rows("ledger_tieouts", LAST, LAST)
    }
    # Less 20.00 in account 2100; the red storno of loan 23 and the line of 0.00 leave no trace.
    assert ties["principal", "USD"] == ("2045.00", "-10.00")
    assert ties["recovery", "USD"] == ("30.00", "0.00")
    assert ties["charge_off", "USD"] == ("290.00", "0.00")
    assert ties["fee_income", "USD"] == ("15.00", "0.00")
    assert ties["cash", "USD"] == ("-2197.11", "0.00")  # 552.89 − 2,750.00
    assert ties["principal", "IRR"] == ("9880000000000000.00", "0.00")


def test_the_loan_with_a_control_character_is_listed_as_json(closed):
    (row,) = [
        row
        for row in closed.home.rows("ledger_tieouts", LAST, LAST)
        if (row["control_for"], row["currency"]) == ("principal", "USD")
    ]
    (listed,) = json.loads(row["loans"], parse_float=Decimal)
    assert listed["loan_id"] == CONTROL_CHARACTER
    assert Decimal(str(listed["difference"])) == -10


def test_flags_of_letters_are_read(closed):
    assert {row["check_id"]: row["passed"] for row in closed.home.rows("compliance_checks")} == {"1": True, "2": False}


# check: the keys that it names, and no others
TOLD = {
    "transactions.synced": ["transaction_id=T5, posted_at=2034-02-06 12:00:00"],
    "tickets.synced": ["ticket_id=TK1 has 'OPEN'"],
    "loans.rates_are_fractions": ["loan_id=2"],
    "loans.disbursements_exist": ["loan_id=24"],
    "loans.terms_match_schedule": [
        "loan_id=25, problem=term_count differs from the number of installments",
        "loan_id=26, problem=interest differs from annual_rate",
    ],
    "transactions.charge_offs_as_booked": [
        "loan_id=8, problem=30.00 of 2024-02-09 received after a charge-off, but not booked as a recovery",
        "loan_id=9, problem=40.00 of 2024-02-08 charged off more than the principal outstanding",
    ],
    "transactions.repaid_after_disbursement": ["transaction_id=T23, loan_id=23"],
    "loan_positions.schedule_covers_principal": ["loan_id=21"],
    "loan_positions.active_has_due_dates": ["loan_id=22"],
    "loan_positions.assigned_to_known": [
        "loan_id=27, column=officer_id, missing_id=99",
        "loan_id=28, column=product_id, missing_id=99",
    ],
    "ledger_tieouts.ledger_ties_out": ["control_for=principal, currency=USD"],
}


def test_each_oddity_is_told_once_by_name_and_key(closed):
    told = [line.removeprefix("warning: check ").partition(" failed: ") for line in closed.warnings]
    assert sorted(name for name, _, _ in told) == sorted(TOLD)
    for name, _, message in told:
        assert f"({'; '.join(TOLD[name])})" in message


def test_tables_that_the_database_does_not_have_are_told_in_one_line(closed):
    assert closed.absent == [f"no data: the source does not have {', '.join(oddities.ABSENT)}"]
