"""Closes under each convention interest_accrual: what stops them, the positions, and the tie-outs with the ledger."""

import json
import re
from datetime import date
from decimal import Decimal

import dagster as dg
import pytest
from homes import OF_LOANS, Home, lending, materialise

from lending_pipelines.runs import RunFailed, run_job

DAY, JAN_31 = date(2024, 2, 15), date(2024, 1, 31)


def numbers(home: Home, loan_id: str = "OK", day: date = DAY) -> list[str]:
    (loan,) = [row for row in home.rows("loan_positions", day, day) if row["loan_id"] == loan_id]
    return [str(loan["interest_earned"]), str(loan["interest_receivable"])]


def differences(home: Home) -> dict[str, str]:
    rows = home.rows("ledger_tieouts", DAY, DAY)
    return {row["control_for"]: str(row["difference"]) for row in rows if row["currency"] == "USD"}


def test_positions_and_tie_outs_follow_the_convention(case, monkeypatch):
    # 200.00 lent on 10 January 2024 at 12 % by 30/360, and 2.00 of interest paid on 10 February.
    home = case("huge-amount")
    conventions = home.folder / "conventions.toml"
    monkeypatch.setenv("LENDING_CONVENTIONS", str(conventions))
    conventions.write_text('interest_accrual = "servicer"\n')
    refused = lending("close", "--date", str(DAY))
    assert refused.returncode != 0
    assert "interest_accrual is servicer, but the servicing table accruals is absent or empty" in refused.stderr

    home.servicing(
        "INSERT INTO transactions (transaction_id, loan_id, type, effective_on, posted_at, amount, principal, interest,"
        " fees) VALUES ('P', 'OK', 'repayment', '2024-02-10', '2024-02-10 12:00:00', 2, 0, 2, 0)"
    )
    home.servicing("CREATE TABLE accruals (accrual_id, loan_id, effective_on, posted_at, interest, fees, reverses_id)")
    home.servicing(
        "INSERT INTO accruals VALUES ('A', 'OK', '2024-01-31', '2024-01-31 23:00:00', 3, 0, NULL),"
        " ('B', 'OK', '2024-02-15', '2024-02-15 23:00:00', 4, 0, NULL),"
        " ('C', 'OK', '2024-02-16', '2024-02-16 23:00:00', 9, 0, NULL)"
    )
    home.servicing(
        "INSERT INTO gl_accounts (account_code, name, account_type, control_for) VALUES"
        " ('1300', 'Interest receivable', 'asset', 'interest_receivable'),"
        " ('4000', 'Interest income', 'income', 'interest_income'), ('1000', 'Cash', 'asset', NULL)"
    )
    lines = [("E1", "2024-01-31", "1300", "4000", 3), ("E2", "2024-02-10", "1000", "1300", 2)]
    for entry, on, debit, credit, amount in [*lines, ("E3", "2024-02-15", "1300", "4000", 4)]:
        home.servicing(
            "INSERT INTO journal_lines (entry_id, line_no, account_code, entry_date, posted_at, debit, credit,"
            " currency, loan_id) VALUES (:e, 1, :d, :on, :at, :a, 0, 'USD', 'OK'),"
            " (:e, 2, :c, :on, :at, 0, :a, 'USD', 'OK')",
            e=entry,
            on=on,
            at=f"{on} 23:00:00",
            d=debit,
            c=credit,
            a=amount,
        )
    done = lending("close", "--date", str(DAY))
    assert done.returncode == 0, done.stderr
    assert numbers(home) == ["7.00", "5.00"]
    assert differences(home) == {"interest_income": "0.00", "interest_receivable": "0.00"}

    conventions.write_text('interest_accrual = "daily"\n')
    materialise(DAY, DAY, "loan_positions", "trial_balance", "ledger_tieouts")
    # 35 days of 30/360: 200.00 × 12 % × 35 ÷ 360 = 2.3333. The ledger has 7.00 of income and 5.00 receivable.
    assert numbers(home) == ["2.33", "0.33"]
    assert differences(home) == {"interest_income": "4.67", "interest_receivable": "4.67"}


def test_rejected_tables_stop_a_close_only_if_it_needs_them(case, monkeypatch):
    # 100.00 lent on 5 January 2024. The status of the one ticket is written in capitals, so it is not one of the list.
    # The one accrual is of 3.00 on 31 January; first it has no amount.
    case("one-bad-ticket")
    run_job("sync", assets=("branches", "borrowers", "users", "tickets"))
    home = case("one-bad-ticket", "--bad")
    conventions = home.folder / "conventions.toml"
    monkeypatch.setenv("LENDING_CONVENTIONS", str(conventions))
    home.servicing("CREATE TABLE accruals (accrual_id, loan_id, effective_on, posted_at, interest, fees, reverses_id)")
    home.servicing("INSERT INTO accruals VALUES ('A', 'L1', '2024-01-31', '2024-01-31 23:00:00', NULL, 0, NULL)")
    rejected = "table accruals is rejected: accruals.interest: 1 rows have no value (accrual_id=A)"

    conventions.write_text('interest_accrual = "daily"\n')
    closed = lending("close", "--from", str(JAN_31), "--to", str(JAN_31))
    assert closed.returncode == 0, closed.stderr
    accruals, tickets = closed.stderr.splitlines()[-2:]
    assert f"check accruals.synced failed: canonical: {rejected}" in accruals
    assert "check tickets.synced failed: canonical: table tickets is rejected and keeps its earlier rows" in tickets
    assert "ticket_id=TK1" in tickets
    (row,) = home.rows("loan_positions", JAN_31, JAN_31)
    assert (row["loan_id"], row["principal_outstanding"]) == ("L1", Decimal("100.00"))
    (activity,) = home.rows("platform_activity", JAN_31, JAN_31)
    assert (activity["active_loans"], activity["total_volume"]) == (1, None)
    with dg.DagsterInstance.get() as instance:
        check = dg.AssetCheckKey(dg.AssetKey("tickets"), "synced")
        found = instance.get_latest_asset_check_evaluation_record(check).event.dagster_event.asset_check_evaluation_data
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)

    # Of the numbers below, only those of loan_positions depend on accruals.
    assets = ("accruals", "transactions", "loan_positions")
    conventions.write_text('interest_accrual = "scheduled"\n')
    again = run_job("daily_close", days=(JAN_31, JAN_31), assets=assets)
    assert f"check accruals.synced failed: canonical: {rejected}" in again.warnings
    assert "L1" in {row["loan_id"] for row in home.rows("loan_positions", JAN_31, JAN_31)}

    conventions.write_text('interest_accrual = "servicer"\n')
    with pytest.raises(RunFailed, match=re.escape(rejected)):
        run_job("daily_close", days=(JAN_31, JAN_31), assets=assets)

    home.servicing("UPDATE accruals SET interest = 3")
    assert run_job("daily_close", days=(JAN_31, JAN_31), assets=assets).warnings == []
    assert numbers(home, "L1", JAN_31) == ["3.00", "3.00"]
    made_from = [row["made_from"] for row in home.rows("closed_days") if row["table_name"] == "loan_positions"]
    assert ["accruals" in json.loads(versions) for versions in made_from] == [True]

    synced = lending("sync")
    assert synced.returncode == 1
    assert synced.stderr.splitlines()[-1] == (
        "Error: sync: 1 of 25 tables were rejected and keep their earlier rows: tickets"
    )


def test_an_accrual_without_a_loan_stops_a_close_only_where_accruals_are_the_interest(case, monkeypatch):
    home = case("huge-amount")
    conventions = home.folder / "conventions.toml"
    monkeypatch.setenv("LENDING_CONVENTIONS", str(conventions))
    home.servicing("CREATE TABLE accruals (accrual_id, loan_id, effective_on, posted_at, interest, fees, reverses_id)")
    home.servicing(
        "INSERT INTO accruals VALUES ('A', 'OK', '2024-01-31', '2024-01-31 23:00:00', 3, 0, NULL),"
        " ('B', 'gone', '2024-01-31', '2024-01-31 23:00:00', 4, 0, NULL)"
    )
    rejected = (
        "rejected rows: accruals.loan_id: 1 rows refer to a row that loans does not have (accrual_id=B has 'gone')"
    )
    synced = (*OF_LOANS, "accruals")

    conventions.write_text('interest_accrual = "daily"\n')
    materialise(DAY, DAY, *synced)
    conventions.write_text('interest_accrual = "servicer"\n')
    with pytest.raises(dg.Failure, match=re.escape(rejected)):
        materialise(DAY, DAY, *synced)
