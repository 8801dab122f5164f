"""The real tape's balances and totals, and handmade tapes for each thing that can happen to a balance.

Expected values: the tape's own endBalance column, the totals published in its README, and arithmetic by hand.
"""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING

LOAN = {
    "assetNumber": "7",
    "reportingPeriodEndingDate": "08-31-2019",
    "originationDate": "02/2019",
    "originalLoanAmount": "1200.00",
    "originalLoanTerm": "13",
    "loanMaturityDate": "02/2020",
    "vehicleNewUsedCode": "2",
    "vehicleValueAmount": "2000",
    "obligorCreditScore": "693.0",
    "obligorGeographicLocation": "RI",
    "reportingPeriodInterestRatePercentage": "0.12",
    "reportingPeriodActualEndBalanceAmount": "1000.00",
    "reportingPeriodScheduledPaymentAmount": "400.00",
    "risk_cat_ir": "near_prime",
}
MONTH = {
    "assetNumber": "7",
    "periodEnd": "2019-09-30",
    "endBalance": "1000.00",
    "principalCollected": "0.00",
    "totalPaid": "0.00",
    "recovered": "",
    "repossessedProceeds": "0.00",
}
MONTH_ENDS = ("2019-09-30", "2019-10-31", "2019-11-30", "2019-12-31")


def rows_of(source, table: str) -> list[dict]:
    return pa.Table.from_batches(source.read(SERVICING[table], None), SERVICING[table].arrow_schema).to_pylist()


def by_definition(transactions: list[dict]) -> pd.DataFrame:
    """What each transaction does to the amounts of a position, reversals as the negative of what they undo."""
    by_id = {row["transaction_id"]: row for row in transactions}
    effects = []
    for row in transactions:
        undone = by_id[row["reverses_id"]] if row["type"] == "reversal" else row
        sign = -1 if row["type"] == "reversal" else 1
        effect = defaultdict(Decimal, loan_id=row["loan_id"], on=row["effective_on"].isoformat())
        match undone["type"]:
            case "disbursement":
                effect["outstanding"] = sign * row["principal"]
            case "capitalization":
                effect["outstanding"] = sign * (row["interest"] + row["fees"])
            case "repayment":
                effect["outstanding"], effect["paid"] = -sign * row["principal"], sign * row["amount"]
            case "charge_off":
                effect["outstanding"], effect["charged_off"] = -sign * row["principal"], sign * row["principal"]
            case "waiver":
                effect["outstanding"] = -sign * row["principal"]
            case "recovery":
                effect["recovered"] = sign * row["amount"]
        effects.append(
            {name: effect[name] for name in ("loan_id", "on", "outstanding", "paid", "charged_off", "recovered")}
        )
    return pd.DataFrame(effects)


@pytest.fixture(scope="module")
def tape_folder(shared_dir: Path) -> Path:
    return shared_dir / "data" / "autoloans"


@pytest.fixture(scope="module")
def tape(tape_folder: Path):
    return open_source("absee", str(tape_folder))


@pytest.fixture(scope="module")
def transactions(tape) -> list[dict]:
    return rows_of(tape, "transactions")


@pytest.fixture(scope="module")
def effects(transactions) -> pd.DataFrame:
    return by_definition(transactions)


def test_principal_outstanding_is_the_tapes_balance_in_every_reported_loan_month(tape_folder, effects):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str, keep_default_na=False)
    reported = {(r.assetNumber, r.periodEnd): Decimal(r.endBalance) for r in monthly.itertuples() if r.endBalance}
    changes = effects.groupby(["loan_id", "on"]).outstanding.sum().to_dict()
    running: dict[str, Decimal] = {}
    outstanding = {}
    # A day with a balance but no transaction keeps the balance before it.
    for loan_id, on in sorted(set(changes) | set(reported)):
        running[loan_id] = running.get(loan_id, Decimal(0)) + changes.get((loan_id, on), Decimal(0))
        outstanding[loan_id, on] = running[loan_id]

    assert len(reported) == 90_466
    assert {key: outstanding[key] for key in reported} == reported


@pytest.mark.parametrize(
    ("period_end", "loans", "principal", "paid"),
    [
        ("2019-08-31", 2861, "37193021.80", "0.00"),
        ("2019-09-30", 2829, "36298225.84", "1164270.83"),
        ("2020-08-31", 2420, "26481612.13", "13223497.14"),
        ("2023-06-30", 1096, "4804472.78", "37793514.92"),
    ],
)
def test_the_readmes_totals_come_out(effects, period_end, loans, principal, paid):
    until = effects[effects.on <= period_end]
    balances = until.groupby("loan_id").outstanding.sum()

    assert (balances > 0).sum() == loans
    assert balances.sum() == Decimal(principal)
    assert until.paid.sum() == Decimal(paid)


def test_charge_offs_are_the_residuals_that_the_readme_counts(transactions):
    charged_off = [row["principal"] for row in transactions if row["type"] == "charge_off"]

    assert len(charged_off) == 86
    assert sum(charged_off) == Decimal("828972.92")


def test_recoveries_are_all_that_is_reported_net_of_costs(tape_folder, effects):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str).fillna("0")
    proceeds = monthly.recovered.map(Decimal) + monthly.repossessedProceeds.map(Decimal)
    net = proceeds.groupby(monthly.assetNumber).sum().map(lambda amount: max(amount, Decimal(0)))
    recovered = effects.groupby("loan_id").recovered.sum()

    assert recovered[recovered != 0].to_dict() == net[net != 0].to_dict()


def test_amounts_are_their_components_and_none_is_negative(transactions):
    for row in transactions:
        parts = (row["principal"], row["interest"], row["fees"])
        assert row["amount"] == sum(parts)
        assert min(parts) >= 0
        assert row["amount"] > 0


def test_the_loans_without_a_balance_at_the_cut_off_are_skipped_and_counted(tape):
    assert len(rows_of(tape, "loans")) == 2861
    assert tape.notes(SERVICING["loans"]) == {"skipped_loans_without_balance_at_cut_off": 34}


def test_parties_and_products_of_the_real_tape(tape):
    assert rows_of(tape, "programs") == [{"program_id": "used", "name": "Used vehicles"}]
    assert [row["product_id"] for row in rows_of(tape, "products")] == [
        "near_prime",
        "prime",
        "subprime",
        "super_prime",
    ]
    assert len(rows_of(tape, "branches")) == 51
    assert len(rows_of(tape, "borrowers")) == 2861


def test_what_the_tape_does_not_have_is_declared_and_empty(tape):
    assert {"journal_lines", "gl_accounts", "staff", "collection_contacts", "compliance_checks"} <= tape.absent
    for name in tape.absent:
        assert rows_of(tape, name) == []


def test_since_is_an_inclusive_lower_bound(tape, transactions):
    since = datetime(2023, 7, 1)
    read = [row for batch in tape.read(SERVICING["transactions"], since) for row in batch.to_pylist()]

    assert read
    assert read == [row for row in transactions if row["posted_at"] >= since]


def write_tape(folder: Path, months: list[dict], **loan: str) -> str:
    pd.DataFrame([LOAN | loan]).to_csv(folder / "loans.csv.gz", index=False)
    reported = [MONTH | {"periodEnd": end} | month for end, month in zip(MONTH_ENDS, months, strict=False)]
    columns = dict.fromkeys([*MONTH, *(name for month in months for name in month)])
    pd.DataFrame(reported, columns=list(columns)).to_csv(folder / "monthly.csv.gz", index=False)
    return str(folder)


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
        "zeroBalanceCode is '7': it is none of 1, 2, 3, 4, 5, 99",
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


def test_a_longer_tape_only_adds_transactions(tape_folder, tmp_path, transactions):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str)
    monthly[monthly.periodEnd <= "2021-06-30"].to_csv(tmp_path / "monthly.csv.gz", index=False)
    (tmp_path / "loans.csv.gz").write_bytes((tape_folder / "loans.csv.gz").read_bytes())

    shorter = rows_of(open_source("absee", str(tmp_path)), "transactions")

    assert shorter == [row for row in transactions if row["effective_on"] <= date(2021, 6, 30)]


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
