"""Days past due and amounts past due against what a core banking system publishes: Apache Fineract's own tests."""

from datetime import date, timedelta
from decimal import Decimal

import fineract
import pytest

DEVIATIONS = {
    "fineract26-LoanContractTermination#727@2024-02-29~1849": (
        "days: paid in advance on 15 January, which Fineract puts on the last installment, we on the oldest"
    ),
    "fineract26-LoanInterestPause#992@2025-05-01~2193": (
        "amount: paid in advance before a second disbursement, which Fineract had put on two installments, we on one"
    ),
}

NOT_A_CASE = {
    "fineract26-InlineCOB#94@15": "neither terms nor the repayment were read from the scenario",
}


def test_arrears_as_of_a_day(shared_dir):
    cases = [case for case in fineract.read(shared_dir, "asof_core") if not fineract.has_fees(case)]
    positions = fineract.book_as_of(cases, fineract.add_case).positions(str(fineract.AS_OF))
    amounts, days, deviating = 0, 0, set()
    for case in cases:
        amount, late = fineract.published_past_due(case)
        row = positions[str(fineract.AS_OF), case["case_id"]]
        amounts += row["past_due_amount"] == amount
        days += row["days_past_due"] == late
        if (row["past_due_amount"], row["days_past_due"]) != (amount, late):
            deviating.add(case["case_id"])
    assert len(cases) == 239
    assert deviating == set(DEVIATIONS)
    assert amounts / len(cases) >= 0.98
    assert days / len(cases) >= 0.97


@pytest.fixture(scope="module")
def delinquency(shared_dir):
    """Each case of the delinquency tests with its loan's position on its day, and on the day before if it was there."""
    cases = [c for c in fineract.read(shared_dir, "delinquency") if c["case_id"] not in NOT_A_CASE]
    assert len(cases) == 32
    before = fineract.AS_OF - timedelta(days=1)
    positions = fineract.book_as_of(cases, fineract.add_delinquency_case).positions(str(before), str(fineract.AS_OF))
    return [
        (case, positions[str(fineract.AS_OF), case["case_id"]], positions.get((str(before), case["case_id"])))
        for case in cases
    ]


def _delinquent_days(case, row):
    """As Fineract counts them: without the days of grace, and without those of a pause."""
    grace = case["loan_terms"].get("grace_on_arrears_ageing") or case["product"]["grace_on_arrears_ageing_days"]
    as_of = date.fromisoformat(case["as_of"])
    paused = sum(
        (min(date.fromisoformat(event["end"]), as_of) - date.fromisoformat(event["start"])).days
        for event in case["events"]
        if event["op"] == "delinquency_pause"
    )
    return max(0, row["days_past_due"] - int(grace) - paused)


def _range(days):
    return next(name for first, name in fineract.RANGES if days >= first)


def _delinquent_on(case, row):
    """oldest_due_on + grace, on the case's own calendar; empty when nothing is past due."""
    if row["days_past_due"] == 0:
        return ""
    grace = row["days_past_due"] - _delinquent_days(case, row)
    return str(date.fromisoformat(case["as_of"]) - timedelta(days=row["days_past_due"] - grace))


def test_delinquency_ranges(delinquency):
    checked = 0
    for case, row, _ in delinquency:
        expected = case["expected"]
        match case["check"]:
            case "delinquency_range":
                assert _delinquent_on(case, row) == expected["delinquent_date"], case["case_id"]
                names = {expected["range"]}
            case "delinquency_history":
                names = {e["range_classification"] for e in expected if e["lifted_on_date"] is None}
            case "delinquency_loan":
                assert row["days_past_due"] == int(expected[0]["past_due_days"])
                assert row["past_due_amount"] == Decimal(expected[0]["delinquent_amount"])
                assert _delinquent_days(case, row) == int(expected[0]["delinquent_days"])
                names = {expected[0]["classification"]}
            case "delinquency_installment":
                # by installment: their amounts add up to ours, and the worst range is that of the oldest
                assert row["past_due_amount"] == sum(Decimal(e["amount"]) for e in expected)
                names = {max((e["range"] for e in expected), key=lambda name: int(name.removeprefix("RANGE_")))}
            case _:
                continue
        assert _range(_delinquent_days(case, row)) in (names or {"NO_DELINQUENCY"}), case["case_id"]
        checked += 1
    assert checked == 29


def test_next_payment(delinquency):
    """Fineract's next payment counts one due today: that of the day before's end."""
    checked = 0
    for case, row, before in delinquency:
        if case["check"] == "next_payment":
            as_of = date.fromisoformat(case["as_of"])
            expected = case["expected"][0]
            shift = fineract.AS_OF - as_of
            due_on = date.fromisoformat(expected["next_payment_due_date"])
            position = before if due_on == as_of else row
            assert position["next_due_on"] == due_on + shift
            assert position["next_due_amount"] == Decimal(expected["next_payment_amount"])
            checked += 1
    assert checked == 3
