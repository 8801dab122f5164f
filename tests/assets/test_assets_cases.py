"""Cases that went wrong for others, by the real commands: closes, warnings, reports, and sources that must fail."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
from homes import Home, lending, materialise
from oddities import Database

from lending_pipelines.assets import NEEDED_TABLES
from lending_pipelines.register import PeriodLocks
from lending_pipelines.runs import run_job

FEB_10, MAR_1, MAR_2 = date(2024, 2, 10), date(2024, 3, 1), date(2024, 3, 2)


def closed(first: str, last: date) -> str:
    """Close the days; what the command says on standard error."""
    done = lending("close", "--from", first, "--to", str(last))
    assert done.returncode == 0, done.stderr
    return done.stderr


def reported(report_type: str, day: str) -> str:
    """The text of a report in JSON."""
    done = lending("report", report_type, "--set", f"as_of={day}", "--format", "json")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.partition("  (")[0]).read_text()


def owed(home: Home, day: date) -> tuple[str, str, int]:
    """What loan L1 owes, what of it is past due, and since how many days."""
    (row,) = home.rows("loan_positions", day, day)
    return str(row["principal_outstanding"]), str(row["past_due_amount"]), row["days_past_due"]


def test_a_payment_dated_into_closed_days_is_told_by_the_next_close_and_on_reports(case):
    home = case("backdated-and-nobody-told")
    inputs = (*NEEDED_TABLES, "portfolio_membership", "loan_ownership")
    made = ("loan_positions", "aging_buckets", "aging_transitions", "portfolio_snapshots", "restatements")
    assert run_job("daily_close", days=(date(2024, 2, 1), MAR_1), assets=(*inputs, *made)).warnings == []
    assert owed(home, MAR_1) == ("200.00", "102.00", 25)

    # A receipt of 5 February, of all that fell due on that day, is handed in on 2 March.
    case("backdated-and-nobody-told", "--later")
    (told,) = [line for line in closed(str(MAR_2), MAR_2).splitlines() if "warning" in line]

    assert owed(home, MAR_2) == ("100.00", "0.00", 0)
    assert owed(home, MAR_1) == ("200.00", "102.00", 25)
    # 200.00 less 100.00.
    assert (
        "check restatements.restatement_due failed: closed days 2024-02-05 to 2024-03-01 no longer agree with what is"
        " known now: 1 loan, principal outstanding -100.00 USD. To close again what changed:"
        " `lending restate --from 2024-02-05 --to 2024-03-01 --apply`" in told
    )
    printed = reported("delinquency_aging", str(MAR_1))
    note = printed.partition(" to 2024-03-01 no longer agree with the transactions")[2]
    assert "past due 102.00 USD as closed, 0.00 now" in note

    # What changed on locked days is an adjustment of the next period: these days are not closed again.
    for end, due in (
        (date(2024, 2, 29), "closed day 2024-03-01 no longer agrees with what is known now: 1 loan"),
        (MAR_1, ""),
    ):
        with home.register() as session:
            PeriodLocks(session).lock(end, "ann")
        materialise(MAR_2, MAR_2, "restatements")
        with dg.DagsterInstance.get() as instance:
            key = dg.AssetCheckKey(dg.AssetKey("restatements"), "restatement_due")
            (latest,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
        assert latest.evaluation.passed == (not due)
        assert (latest.evaluation.description or "").startswith(due)


def test_an_interest_free_portfolio_and_a_day_without_loans(case):
    # 100.00 lent on 5 January without interest, half repaid on 5 February, and the rest owed.
    home = case("zero-interest-irr")
    closed("2024-01-04", FEB_10)

    snapshots = {row["business_date"]: row for row in home.rows("portfolio_snapshots") if row["scope"] == "all"}
    assert json.dumps(snapshots[FEB_10]["irr_with_residual"]) == "0.0"
    printed = reported("portfolio_summary", str(FEB_10))
    assert '"irr_with_residual": 0.0' in printed or '"irr_with_residual": 0' in printed
    assert "-0.0" not in printed

    # On 4 January no table of loans has a row, and the day is closed.
    assert min(snapshots) == date(2024, 1, 5)
    assert (
        "2024-01-04 to 2024-01-04 is already closed"
        in lending("close", "--from", "2024-01-04", "--to", "2024-01-04").stdout
    )
    with dg.DagsterInstance.get() as instance:
        made = instance.get_materialized_partitions(dg.AssetKey("loan_positions"))
    assert {"2024-01-04", str(FEB_10)} <= made
    assert "is not closed" not in reported("portfolio_summary", "2024-01-04")


def test_payments_on_loans_without_any_disbursement_stop_the_close_by_name(empty_home):
    # A source that gives no disbursements: 20 loans that owe -10.00 each.
    empty_home.folder.mkdir()
    database = Database(empty_home.folder / "servicing.db")
    for number in range(1, 21):
        database.loan(number, [("2024-03-05", "100.00", "1.97")])
        database.transact(f"T{number}", number, "repayment", "2024-02-05", "10.00")
    database.close()

    done = lending("close", "--from", str(FEB_10), "--to", str(FEB_10))

    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert "check loan_positions.paid_without_disbursement failed" in told
    assert "fails for 20 rows on 2024-02-10 (loan_id=1; loan_id=10; " in told
    assert "the servicing database lacks its disbursement" in told
    assert Decimal(sum(row["principal_outstanding"] for row in empty_home.rows("loan_positions"))) == -200
    with empty_home.lake() as lake:
        assert not lake.has("portfolio_snapshots")
