"""The sync and the close on servicing databases with faults, by the real commands and jobs."""

import csv
import gzip
from datetime import date
from decimal import Decimal

import pytest
from homes import OF_LOANS, Home, lending

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import positions
from lending_pipelines.runs import RunFailed, run_job

JAN_31, FEB_10 = date(2024, 1, 31), date(2024, 2, 10)

OF_TICKETS = ("branches", "borrowers", "users", "tickets")
"""Tickets, and the tables that they refer to."""


def outstanding(home: Home, day: date) -> dict[str, Decimal]:
    """The principal outstanding of each loan, from the servicing tables of the lake."""
    from lending_pipelines.tables import TABLES

    with home.lake() as lake:

        def read(name: str):
            if lake.has(name):
                return lake.table(name)
            return lake.engine.backend.create_table(name, schema=TABLES[name].schema)

        rows = positions.loan_positions(read, day, day, Conventions()).to_pyarrow().to_pylist()
    return {row["loan_id"]: row["principal_outstanding"] for row in rows}


def test_the_command_prints_what_an_adapter_notes(tmp_path, monkeypatch):
    # One loan of 100.00, paid by 60.00: 40.00 is written down to zero. The tape says that 25.00 was charged off.
    loan = {
        "assetNumber": "7",
        "reportingPeriodEndingDate": "08-31-2019",
        "originationDate": "02/2019",
        "originalLoanAmount": "120.00",
        "originalLoanTerm": "13",
        "loanMaturityDate": "02/2020",
        "vehicleNewUsedCode": "2",
        "vehicleValueAmount": "",
        "obligorCreditScore": "",
        "obligorGeographicLocation": "RI",
        "reportingPeriodInterestRatePercentage": "0.06123456",
        "reportingPeriodActualEndBalanceAmount": "100.00",
        "reportingPeriodScheduledPaymentAmount": "60.00",
        "risk_cat_ir": "prime",
    }
    month = {
        "assetNumber": "7",
        "periodEnd": "2019-09-30",
        "endBalance": "40.00",
        "principalCollected": "60.00",
        "totalPaid": "60.00",
        "recovered": "",
        "repossessedProceeds": "",
        "chargedoffPrincipalAmount": "25.00",
    }
    for name, row in (("loans", loan), ("monthly", month)):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)
    home = Home(tmp_path / "home")
    home.enter(monkeypatch)
    monkeypatch.setenv("LENDING_SOURCE", "absee")
    monkeypatch.setenv("LENDING_SERVICING_URL", str(tmp_path))

    printed = lending("sync").stdout

    assert "  repossession costs above recoveries: 0\n" in printed
    assert (
        "  charge offs: 1 of 1 loan-months differ: assetNumber=7 2019-09-30: 25.00 charged off reported, 0 booked\n"
    ) in printed


def test_a_row_posted_in_2034_hides_no_later_row(case):
    # 100.00 less 10.00 (the row of 2034), 40.00 and 5.00.
    case("future-posted-at")
    run_job("sync", assets=OF_LOANS)
    home = case("future-posted-at", "--later")

    finished = run_job("sync", assets=OF_LOANS)

    assert finished.metadata["transactions"]["rows_added"] == 2
    assert finished.warnings == [
        "check transactions.synced failed: transactions: 1 rows have posted_at in the future "
        "(transaction_id=T0002, posted_at=2034-01-20 12:00:00)"
    ]
    assert finished.metadata["transactions"]["warnings"] == [finished.warnings[0].partition("failed: ")[2]]
    assert outstanding(home, FEB_10) == {"L1": Decimal("45.00")}


@pytest.mark.parametrize("full", [True, False])
def test_what_was_deleted_at_the_source_is_told_and_counts_no_more(case, full):
    # 100.00 less one payment of 10.00; the copies of the payment and of the loan are gone.
    case("deleted-at-source")
    run_job("sync", assets=OF_LOANS)
    home = case("deleted-at-source", "--repaired")

    finished = run_job("sync", {"ops": {"servicing_tables": {"config": {"full": full}}}}, assets=OF_LOANS)

    removed = {name: metadata["rows_removed"] for name, metadata in finished.metadata.items()}
    assert {name: rows for name, rows in removed.items() if rows} == {"loans": 1, "installments": 2, "transactions": 2}
    assert any("(loan_id=L1-COPY)" in warning for warning in finished.warnings)
    assert any("(transaction_id=T0003; transaction_id=T0004)" in warning for warning in finished.warnings)
    assert outstanding(home, JAN_31) == {"L1": Decimal("90.00")}


def test_a_sync_tells_the_faults_of_all_tables(case):
    home = case("faults-in-four-tables")

    with pytest.raises(RunFailed) as failed:
        run_job("sync")

    told = str(failed.value)
    faults = ["staff.role: 1 rows", "staff_id=S2", "transactions.type: 1 rows", "transaction_id=T0002"]
    faults += ["gl_accounts.control_for: 1 rows", "account_code=1200"]
    assert [fault for fault in faults if fault not in told] == []
    with home.lake() as lake:
        # Tables without errors are committed. A journal line without an amount is not an error.
        assert lake.table("journal_lines").count().to_pyarrow().as_py() == 3
        assert lake.has("gateway_payments")
        assert not lake.has("transactions")


def test_tables_that_the_database_does_not_have_are_told_by_name(case):
    home = case("one-bad-ticket")
    home.servicing("DROP TABLE tickets")

    first, second = run_job("sync", assets=OF_TICKETS), lending("sync")

    assert first.metadata["tickets"]["absent"] == "no data: the source does not have this table"
    assert second.returncode == 0, second.stderr
    assert "tickets                   no data: the source does not have this table" in second.stdout
    home.servicing("DROP TABLE users")
    gone = lending("sync")
    assert gone.returncode == 1
    assert "table users is missing, but an earlier sync read it" in gone.stderr
