"""The ledger's checks name the day, the account, the entry or the control account that is wrong."""

from decimal import Decimal

import pytest
from checks_world import CONVENTIONS, FEB_1, FEB_2, JAN_31, evaluate, find, reader, whole_world

from lending_pipelines.checks import checks_for
from lending_pipelines.checks.days import Days
from lending_pipelines.conventions import Conventions


def test_debits_without_credits():
    world = whole_world()
    account = find(world["trial_balance"], business_date=FEB_1, account_code="1100")
    account |= {"debit_total": Decimal("1500.01"), "balance": Decimal("1400.01"), "debit_balance": Decimal("1400.01")}
    world["trial_balance"] = [
        account if (r["business_date"], r["account_code"]) == (FEB_1, "1100") else r for r in world["trial_balance"]
    ]
    outcome = evaluate(world, "trial_balance", "ledger_balanced")
    assert outcome.blocking
    assert outcome.failing_days == (FEB_1,)
    assert (outcome.sample[0]["debit_total"], outcome.sample[0]["credit_total"]) == ("1610.01", "1610.00")
    assert evaluate(world, "trial_balance", "balances_add_up").passed


def test_currencies_are_not_added_up():
    world = whole_world()
    for row in world["trial_balance"]:
        if row["account_code"] == "1100":
            row["currency"] = "EUR"
    outcome = evaluate(world, "trial_balance", "ledger_balanced", JAN_31, JAN_31)
    assert {row["currency"] for row in outcome.sample} == {"EUR", "USD"}


@pytest.mark.parametrize("column", ["balance", "debit_balance", "credit_balance"])
def test_a_balance_that_does_not_follow(column):
    world = whole_world()
    find(world["trial_balance"], business_date=FEB_2, account_code="4000")[column] = Decimal(7)
    outcome = evaluate(world, "trial_balance", "balances_add_up")
    assert outcome.failing_days == (FEB_2,)
    assert [row["account_code"] for row in outcome.sample] == ["4000"]


def test_an_account_that_the_trial_balance_lost():
    world = whole_world()
    world["trial_balance"] = [
        r for r in world["trial_balance"] if (r["business_date"], r["account_code"]) != (FEB_2, "4000")
    ]
    outcome = evaluate(world, "trial_balance", "trial_balance_equals_journal")
    assert outcome.failing_days == (FEB_2,)
    assert [(r["account_code"], r["expected_credit_total"]) for r in outcome.sample] == [("4000", "10.00")]


def test_an_entry_dated_into_a_closed_day():
    world = whole_world()
    for line in [r for r in world["journal_lines"] if r["entry_id"] == "E3"]:
        world["journal_lines"].append(line | {"entry_id": "E4", "entry_date": FEB_2})
    outcome = evaluate(world, "trial_balance", "trial_balance_equals_journal")
    assert outcome.failing_days == (FEB_2,)
    assert [r["account_code"] for r in outcome.sample] == ["1000", "1100"]


def test_a_break_is_shown_with_its_loans_and_does_not_block():
    world = whole_world()
    tie = find(world["ledger_tieouts"], business_date=FEB_1)
    tie.update(ledger_balance=Decimal(1390), loans='[{"loan_id": "L2"}]')
    assert evaluate(world, "ledger_tieouts", "tieouts_add_up").failing_days == (FEB_1,)
    tie["difference"] = Decimal(-10)
    assert evaluate(world, "ledger_tieouts", "tieouts_add_up").passed
    outcome = evaluate(world, "ledger_tieouts", "ledger_ties_out")
    assert (outcome.severity, outcome.blocking, outcome.failing_days) == ("warn", False, (FEB_1,))
    assert "L2" in outcome.sample[0]["loans"]


def test_an_entry_that_does_not_balance():
    world = whole_world()
    find(world["journal_lines"], entry_id="E2", line_no=3)["credit"] = Decimal(9)
    outcome = evaluate(world, "journal_lines", "entries_balance")
    assert [row["entry_id"] for row in outcome.sample] == ["E2"]
    assert outcome.failing_days == ()


RED_STORNO = CONVENTIONS.model_copy(update={"negative_journal_lines": True})


def lines_found(debit: str, credit: str, conventions: Conventions) -> dict[str, list]:
    """The offending lines of E2 with its third line changed, by check."""
    world = whole_world()
    line = find(world["journal_lines"], entry_id="E2", line_no=3)
    line.update(debit=Decimal(debit), credit=Decimal(credit))
    return {
        check.name: [row["line_no"] for row in check.evaluate(reader(world), Days.between(FEB_1, FEB_1)).sample]
        for check in checks_for("journal_lines", conventions)
        if check.name in ("lines_one_sided", "great_expectations")
    }


@pytest.mark.parametrize(
    ("debit", "credit", "wrong", "wrong_with_red_storno"),
    [
        ("5", "5", True, True),
        ("-5", "-5", True, True),
        ("0", "0", False, False),
        ("-5", "0", True, False),
        ("0", "-5", True, False),
    ],
)
def test_a_line_with_two_sides_or_a_negative_one(debit, credit, wrong, wrong_with_red_storno):
    assert lines_found(debit, credit, CONVENTIONS)["lines_one_sided"] == ([3] if wrong else [])
    found = lines_found(debit, credit, RED_STORNO)
    assert found["lines_one_sided"] == ([3] if wrong_with_red_storno else [])
    assert found["great_expectations"] == []


def test_a_tie_out_that_is_missing_or_compares_something_else():
    world = whole_world()
    tie = find(world["ledger_tieouts"], business_date=FEB_1)
    tie["subledger_balance"] = Decimal(1399)
    outcome = evaluate(world, "ledger_tieouts", "principal_is_tied")
    assert outcome.failing_days == (FEB_1,)
    shown = outcome.sample[0]
    assert (shown["expected_subledger_balance"], shown["stored_subledger_balance"]) == ("1400.00", "1399.00")
    world["ledger_tieouts"].remove(tie)
    outcome = evaluate(world, "ledger_tieouts", "principal_is_tied")
    assert outcome.failing_days == (FEB_1,)
    assert outcome.sample[0]["stored_ledger_balance"] is None


def test_a_lender_without_a_ledger_has_nothing_to_tie_out():
    world = whole_world() | {"gl_accounts": [], "journal_lines": [], "trial_balance": [], "ledger_tieouts": []}
    for name in ("principal_is_tied", "ledger_ties_out", "tieouts_add_up"):
        assert evaluate(world, "ledger_tieouts", name).passed
