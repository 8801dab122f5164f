"""Handmade tapes for each thing that can happen to a balance, with values worked by hand."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from absee_tapes import MONTH, rows_of, write_tape

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING


def events_of(folder: Path, *months: dict) -> list[tuple]:
    """The transactions after the disbursement as (type, month, principal, interest, fees)."""
    rows = rows_of(open_source("absee", write_tape(folder, list(months))), "transactions")[1:]
    parts = ("principal", "interest", "fees")
    return [
        (r["type"], r["effective_on"].month, *(f"{r[part]:.2f}".removesuffix(".00") for part in parts)) for r in rows
    ]


def test_a_payment_splits_so_that_the_balance_follows_the_tape(tmp_path):
    paid = {"endBalance": "610.00", "principalCollected": "390.00", "totalPaid": "400.00"}
    assert events_of(tmp_path, paid) == [("repayment", 9, "390", "10", "0")]


def test_cash_explains_a_fall_before_principal_collected_does(tmp_path):
    paid = {"endBalance": "605.00", "principalCollected": "390.00", "totalPaid": "400.00"}
    assert events_of(tmp_path, paid) == [("repayment", 9, "395", "5", "0")]


def test_a_rise_beyond_what_was_paid_is_a_capitalization(tmp_path):
    paid = {"endBalance": "1040.00", "totalPaid": "30.00"}
    assert events_of(tmp_path, paid) == [("repayment", 9, "0", "30", "0"), ("capitalization", 9, "0", "40", "0")]


def test_an_unexplained_fall_is_a_waiver_of_principal(tmp_path):
    paid = {"endBalance": "500.00", "principalCollected": "90.00", "totalPaid": "100.00"}
    assert events_of(tmp_path, paid) == [("repayment", 9, "90", "10", "0"), ("waiver", 9, "410", "0", "0")]


def test_a_fall_to_zero_with_a_residual_is_a_charge_off_and_proceeds_are_recoveries_before_it_too(tmp_path):
    assert events_of(
        tmp_path,
        {"endBalance": "1000.00", "repossessedProceeds": "70.00"},
        {"endBalance": "0.00", "totalPaid": "20.00", "repossessedProceeds": "300.00", "recovered": "5.00"},
        {"endBalance": "", "totalPaid": "", "recovered": "50.00"},
    ) == [
        ("recovery", 9, "70", "0", "0"),
        ("repayment", 10, "0", "20", "0"),
        ("charge_off", 10, "1000", "0", "0"),
        ("recovery", 10, "305", "0", "0"),
        ("recovery", 11, "50", "0", "0"),
    ]
    notes = open_source("absee", str(tmp_path)).notes(SERVICING["transactions"])
    assert notes == {"repossession_costs_above_recoveries": "0"}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        # 1,000.00 owed, 40.00 paid (all of it interest, as principalCollected is 0): 1,000.00 to explain.
        ({"zeroBalanceCode": "1"}, [("waiver", 9, "1000", "0", "0")]),
        ({"zeroBalanceCode": "2"}, [("repayment", 9, "1000", "0", "0")]),
        (
            {"zeroBalanceCode": "3", "repurchaseAmount": "950.00"},
            [("repayment", 9, "950", "0", "0"), ("waiver", 9, "50", "0", "0")],
        ),
        ({"zeroBalanceCode": "4"}, [("charge_off", 9, "1000", "0", "0")]),
        ({"zeroBalanceCode": "4", "chargedoffPrincipalAmount": "990.00"}, [("charge_off", 9, "1000", "0", "0")]),
        ({"zeroBalanceCode": "5"}, [("waiver", 9, "1000", "0", "0")]),
        ({"zeroBalanceCode": "99"}, [("charge_off", 9, "1000", "0", "0")]),
        ({"chargedoffPrincipalAmount": "600.00"}, [("charge_off", 9, "600", "0", "0"), ("waiver", 9, "400", "0", "0")]),
        ({"chargedoffPrincipalAmount": "0.00"}, [("waiver", 9, "1000", "0", "0")]),
    ],
)
@pytest.mark.parametrize("balance", ["0.00", ""])
def test_a_loan_ends_as_the_tape_says(tmp_path, reported, expected, balance):
    if not balance and "zeroBalanceCode" not in reported:
        expected = []
    month = {"endBalance": balance, "totalPaid": "40.00"} | reported
    assert events_of(tmp_path, month) == [("repayment", 9, "0", "40", "0"), *expected]
    ids = [row["transaction_id"] for row in rows_of(open_source("absee", str(tmp_path)), "transactions")]
    assert len(set(ids)) == len(ids)


def test_interest_that_a_repaid_loan_did_not_pay_is_waived(tmp_path):
    # 390.00 + 10.00 are due on 30 September; the borrower pays off 1,000.00 of principal and 4.00 of interest on
    # that day, and the tape says that nothing is owed any more. 1,004.00 paid is more than the 400.00 due.
    paid_off = {"endBalance": "0.00", "principalCollected": "1000.00", "totalPaid": "1004.00"}
    assert events_of(tmp_path, paid_off) == [("repayment", 9, "1000", "4", "0")]
    # With 15.00 owed at the cut-off, 15.00 + 0.15 are due on 30 September, and 15.00 are paid.
    month = MONTH | {"endBalance": "0.00", "principalCollected": "15.00", "totalPaid": "15.00"}
    source = open_source("absee", write_tape(tmp_path, [month], reportingPeriodActualEndBalanceAmount="15.00"))
    rows = rows_of(source, "transactions")
    assert [(row["type"], str(row["principal"]), str(row["interest"])) for row in rows[1:]] == [
        ("repayment", "15.00", "0.00"),
        ("waiver", "0.00", "0.15"),
    ]


def test_a_reported_charge_off_of_a_part_is_booked_and_the_loan_goes_on(tmp_path):
    part = {"endBalance": "700.00", "totalPaid": "0.00", "chargedoffPrincipalAmount": "250.00"}
    assert events_of(tmp_path, part) == [("charge_off", 9, "250", "0", "0"), ("waiver", 9, "50", "0", "0")]


def test_what_the_tape_reports_is_compared_with_what_is_booked(tmp_path):
    # Due 400.00 on 30 September and 31 October. Nothing is paid: 0 days late on 30 September, 31 on 31 October and
    # 61 on 30 November, when the tape says 90 (29 days apart), 90 (59 apart) and 61.
    late = [{"currentDelinquencyStatus": days, "chargedoffPrincipalAmount": "0.00"} for days in ("29", "90", "61")]
    late[2] |= {"chargedoffPrincipalAmount": "5.00"}
    notes = open_source("absee", write_tape(tmp_path, late)).notes(SERVICING["transactions"])
    assert notes["days_past_due"] == (
        "1 of 3 loan-months differ: assetNumber=7 2019-10-31: 90 days past due reported, 31 booked"
    )
    assert notes["charge_offs"] == (
        "1 of 3 loan-months differ: assetNumber=7 2019-11-30: 5.00 charged off reported, 0 booked"
    )


def test_the_names_of_schedule_al_are_read_too(tmp_path):
    write_tape(tmp_path, [{"endBalance": "610.00", "principalCollected": "390.00", "totalPaid": "400.00"}])
    names = {
        "endBalance": "reportingPeriodActualEndBalanceAmount",
        "principalCollected": "actualPrincipalCollectedAmount",
        "totalPaid": "totalActualAmountPaid",
        "recovered": "recoveredAmount",
        "repossessedProceeds": "repossessedProceedsAmount",
    }
    monthly = pd.read_csv(tmp_path / "monthly.csv.gz", dtype=str).rename(columns=names)
    monthly.to_csv(tmp_path / "monthly.csv.gz", index=False)
    (_, paid) = rows_of(open_source("absee", str(tmp_path)), "transactions")
    assert (paid["type"], paid["principal"], paid["interest"]) == ("repayment", Decimal("390.00"), Decimal("10.00"))


def test_all_values_that_cannot_be_read_are_named_at_once(tmp_path):
    months = [{"endBalance": "1,000.00"}, {"totalPaid": "12.345", "zeroBalanceCode": "7"}, {"periodEnd": "30/11/2019"}]
    source = open_source("absee", write_tape(tmp_path, months, originalLoanAmount="much"))
    with pytest.raises(SourceError) as raised:
        rows_of(source, "loans")
    for fault in (
        "originalLoanAmount is 'much': it is not a number",
        "endBalance is '1,000.00': it is not a number",
        "totalPaid is '12.345': it has more than 2 decimals",
        "zeroBalanceCode is '7': it is not one of 1, 2, 3, 4, 5, 99",
        "periodEnd is '30/11/2019'",
    ):
        assert fault in str(raised.value)


def test_many_faults_are_counted(tmp_path):
    write_tape(tmp_path, [])
    months = [MONTH | {"periodEnd": f"2019-13-{day:02}"} for day in range(1, 31)]
    pd.DataFrame(months).to_csv(tmp_path / "monthly.csv.gz", index=False)
    with pytest.raises(SourceError, match=r"; and 10 more$"):
        rows_of(open_source("absee", str(tmp_path)), "loans")


def test_a_credit_balance_that_is_returned_is_capitalized_as_fees(tmp_path):
    assert events_of(
        tmp_path,
        {"endBalance": "-20.00", "principalCollected": "1000.00", "totalPaid": "1025.00"},
        {"endBalance": "0.00", "principalCollected": "-20.00", "totalPaid": "0.00"},
    ) == [("repayment", 9, "1020", "5", "0"), ("capitalization", 10, "0", "0", "20")]


def test_negative_proceeds_undo_the_latest_recoveries_and_costs_wait_for_later_ones(tmp_path):
    # Net to date: 500, 200, -50 (nothing in force), 30.
    assert events_of(
        tmp_path,
        {"endBalance": "0.00", "repossessedProceeds": "500.00"},
        {"endBalance": "", "totalPaid": "", "recovered": "-300.00"},
        {"endBalance": "", "totalPaid": "", "repossessedProceeds": "-250.00"},
        {"endBalance": "", "totalPaid": "", "recovered": "80.00"},
    ) == [
        ("charge_off", 9, "1000", "0", "0"),
        ("recovery", 9, "500", "0", "0"),
        ("reversal", 10, "500", "0", "0"),
        ("recovery", 10, "200", "0", "0"),
        ("reversal", 11, "200", "0", "0"),
        ("recovery", 12, "30", "0", "0"),
    ]


def test_costs_above_all_recoveries_are_noted(tmp_path):
    source = open_source("absee", write_tape(tmp_path, [{"endBalance": "0.00", "repossessedProceeds": "-300.00"}]))

    assert [row["type"] for row in rows_of(source, "transactions")] == ["disbursement", "charge_off"]
    assert source.notes(SERVICING["transactions"])["repossession_costs_above_recoveries"] == "300.00"


def test_a_missing_month_changes_nothing_and_the_next_balance_catches_up(tmp_path):
    assert events_of(
        tmp_path,
        {"endBalance": "", "totalPaid": ""},
        {"endBalance": "300.00", "principalCollected": "350.00", "totalPaid": "710.00"},
    ) == [("repayment", 10, "700", "10", "0")]


def test_the_schedule_runs_at_month_ends_until_the_balance_is_paid(tmp_path):
    # 12 % a year is 1 % a month: 1000.00 -> 610.00 -> 216.10 -> 0.
    rows = rows_of(open_source("absee", write_tape(tmp_path, [])), "installments")
    assert [(r["number"], r["due_on"], r["principal"], r["interest"]) for r in rows] == [
        (1, date(2019, 9, 30), Decimal("390.00"), Decimal("10.00")),
        (2, date(2019, 10, 31), Decimal("393.90"), Decimal("6.10")),
        (3, date(2019, 11, 30), Decimal("216.10"), Decimal("2.16")),
    ]
    assert {(r["version"], r["effective_on"], r["posted_at"]) for r in rows} == {
        (1, date(2019, 8, 31), datetime(2019, 9, 1))
    }


def test_a_loan_and_its_purchase(tmp_path):
    source = open_source("absee", write_tape(tmp_path, []))
    (loan,) = rows_of(source, "loans")
    (disbursement,) = rows_of(source, "transactions")

    assert (loan["principal"], loan["annual_rate"]) == (Decimal("1200.00"), Decimal("0.12"))
    assert (loan["approved_on"], loan["matures_on"]) == (date(2019, 2, 1), date(2020, 2, 29))
    assert (loan["credit_score"], loan["collateral_value"], loan["region"]) == (693, Decimal("2000.00"), "RI")
    assert (loan["product_id"], loan["first_due_on"]) == ("near_prime", date(2019, 9, 30))
    assert (disbursement["effective_on"], disbursement["amount"]) == (date(2019, 8, 31), Decimal("1000.00"))
    assert disbursement["posted_at"] == datetime(2019, 9, 1)


@pytest.mark.parametrize(
    ("loan", "table", "message"),
    [
        ({"reportingPeriodScheduledPaymentAmount": "10.00"}, "installments", r"assetNumber=7: .* never paid"),
        ({"vehicleNewUsedCode": "3"}, "programs", r"assetNumber=7: vehicleNewUsedCode is '3'"),
        ({"originationDate": "2019-02"}, "loans", r"assetNumber=7: originationDate is '2019-02': time data"),
        ({"originalLoanAmount": "12.345"}, "loans", r"originalLoanAmount is '12\.345': it has more than 2 decimals"),
        (
            {"reportingPeriodInterestRatePercentage": ""},
            "loans",
            r"assetNumber=7: reportingPeriodInterestRatePercentage is '': it is empty",
        ),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, loan, table, message):
    source = open_source("absee", write_tape(tmp_path, [], **loan))
    with pytest.raises(SourceError, match=message):
        rows_of(source, table)


def test_a_month_reported_twice_is_named(tmp_path):
    source = open_source("absee", write_tape(tmp_path, [{}, {"periodEnd": "2019-09-30"}]))
    with pytest.raises(SourceError, match="assetNumber=7: 2019-09-30 is reported twice"):
        rows_of(source, "transactions")


def test_a_field_that_is_not_there_is_named(tmp_path):
    folder = write_tape(tmp_path, [{}])
    pd.DataFrame([MONTH]).drop(columns="totalPaid").to_csv(tmp_path / "monthly.csv.gz", index=False)
    with pytest.raises(SourceError, match=r"absee: table transactions .*monthly\.csv\.gz: there is no field totalPaid"):
        rows_of(open_source("absee", folder), "transactions")


def test_a_torn_file_is_an_error(tmp_path):
    folder = write_tape(tmp_path, [{}])
    whole = (tmp_path / "monthly.csv.gz").read_bytes()
    (tmp_path / "monthly.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"absee: table transactions cannot be read: .*monthly\.csv\.gz"):
        rows_of(open_source("absee", folder), "transactions")


def test_a_tape_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"absee: table loans cannot be read: .*loans\.csv\.gz"):
        rows_of(open_source("absee", str(tmp_path)), "loans")
