"""What happens when something is wrong: the run stops and says why in a line, the lake keeps what it had, and what
depends on a wrong number is refused."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import ibis
import pyarrow as pa
import pytest
from homes import LAST, OPEN, Home, materialise

from lending_pipelines.checks import SUITE, SuiteCheck
from lending_pipelines.errors import LendingError
from lending_pipelines.runs import RunFailed, run_job, run_report

POST = (
    "INSERT INTO transactions "
    "(transaction_id, loan_id, type, effective_on, posted_at, amount, principal, interest, fees) VALUES "
    "('T-wrong', '{loan}', '{type}', '2025-03-15', '2025-03-16 09:00:00', 5, 5, 0, 0)"
)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            POST.format(loan="L1", type="gift"),
            ["canonical", "transactions.type", "1 rows", "T-wrong", "repayment"],
        ),
        ("ALTER TABLE loans RENAME COLUMN annual_rate TO rate", ["canonical", "loans", "annual_rate"]),
        ("DROP TABLE installments", ["canonical", "installments"]),
        ("UPDATE journal_lines SET debit = 'abc' WHERE line_no = 1", ["canonical", "journal_lines", "debit", "abc"]),
    ],
)
def test_a_source_that_cannot_be_taken_fails_the_run_in_a_line_and_the_lake_keeps_what_it_had(home, damage, told):
    before = home.versions()
    home.servicing(damage)

    tables = ["loans", "installments", "transactions", "journal_lines"]
    with pytest.raises(RunFailed) as failed:
        run_job("sync", {"ops": {"servicing_tables": {"config": {"full": True}}}}, assets=tables)

    assert [word for word in ["sync: ", *told] if word not in str(failed.value)] == []
    assert "\n" not in str(failed.value)
    assert home.versions() == before


def test_a_file_that_is_no_database_fails_the_run_in_a_line(home):
    (home.folder / "servicing.db").write_text("no database")

    with pytest.raises(RunFailed, match=r"^sync: canonical: the database .*servicing.db.* cannot be read: .*$"):
        run_job("sync")


def test_a_payment_of_an_unknown_loan_fails_the_close_until_it_is_gone_at_its_source(home):
    before = home.versions()
    home.servicing(POST.format(loan="L-nobody", type="repayment"))

    with pytest.raises(RunFailed, match=r"daily_close: rejected rows: transactions.loan_id: 1 rows .* 'L-nobody'\)"):
        run_job("daily_close", days=(OPEN, OPEN), assets=["loans", "transactions", "loan_positions"])
    after = home.versions()
    assert (after["transactions"], after["loan_positions"]) == (before["transactions"], before["loan_positions"])

    home.servicing("DELETE FROM transactions WHERE loan_id = 'L-nobody'")
    assert run_job("sync", assets=["transactions"]).warnings == []


def test_a_blocking_check_stops_what_is_downstream_in_the_same_run(home):
    before = home.versions()
    # A repayment that undoes a transaction: the sync takes it, the check refuses it.
    home.servicing(POST.format(loan=home.rows("loans")[0]["loan_id"], type="repayment"))
    home.servicing(
        "UPDATE transactions SET reverses_id = (SELECT min(transaction_id) FROM transactions) "
        "WHERE transaction_id = 'T-wrong'"
    )

    stopped = ("loan_positions", "aging_buckets", "aging_transitions", "portfolio_snapshots")
    with pytest.raises(RunFailed, match=r"check transactions.reversals_mirror failed: .* 1 row") as failed:
        run_job("daily_close", days=(OPEN, OPEN), assets=["transactions", *stopped, "loan_tapes"])

    assert "\n" not in str(failed.value)
    assert "DagsterAssetCheckFailedError" in failed.value.trace
    after = home.versions()
    assert after["transactions"] == before["transactions"] + 1
    assert {name: after[name] for name in stopped} == {name: before[name] for name in stopped}
    with dg.DagsterInstance.get() as instance:
        for name in (*stopped, "loan_tapes"):
            assert OPEN.isoformat() not in instance.get_materialized_partitions(dg.AssetKey(name))
        key = dg.AssetCheckKey(dg.AssetKey("transactions"), "reversals_mirror")
        evaluation = instance.get_latest_asset_check_evaluation_record(key).event.dagster_event
    found = evaluation.asset_check_evaluation_data
    assert (found.passed, found.blocking, found.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert found.metadata["failed_rows"].value == 1
    assert found.metadata["sample"].value[0]["transaction_id"] == "T-wrong"


def test_a_suite_that_cannot_be_evaluated_hides_no_result_of_an_earlier_table(home, monkeypatch):
    begin = SuiteCheck.begin

    def fails(check: SuiteCheck, *given: Any) -> Any:
        if check.table == "transactions":
            raise LendingError("transactions cannot be read")
        return begin(check, *given)

    monkeypatch.setattr(SuiteCheck, "begin", fails)
    key = dg.AssetCheckKey(dg.AssetKey("loans"), SUITE)
    with dg.DagsterInstance.get() as instance:
        before = instance.get_latest_asset_check_evaluation_record(key).id
        with pytest.raises(RunFailed, match="transactions cannot be read"):
            run_job("sync", assets=["loans", "transactions"])
        latest = instance.get_latest_asset_check_evaluation_record(key)
    assert latest.id > before
    # A check that was planned and not evaluated has a record too.
    assert latest.event.dagster_event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION


def spoil(home: Home, day: date) -> str:
    """Put five too much into one loan's principal outstanding on a day in the lake; the loan's id."""
    with home.lake() as lake:
        held = lake.table("loan_positions", day, day).to_pyarrow()
        rows = held.to_pylist()
        loan = next(row for row in rows if row["status"] == "active")
        loan["principal_outstanding"] += Decimal(5)
        wrong = ibis.memtable(pa.Table.from_pylist(rows, schema=held.schema))
        lake.replace_days("loan_positions", wrong, day, day)
    return loan["loan_id"]


def test_a_wrong_number_in_the_lake_leaves_in_no_report_and_no_tape(home):
    loan = spoil(home, LAST)
    exported = set((home.folder / "exports").rglob("*"))

    with pytest.raises(RunFailed) as failed:
        run_report("loan_tape", {"as_of": LAST.isoformat()}, "csv")
    told = str(failed.value)
    assert f"roll_forward fails for 1 row on {LAST} (loan_id={loan})" in told
    request = home.requests()[0]
    assert (request.report_type, request.status) == ("loan_tape", "failed")
    assert request.file_url is None
    assert "roll_forward fails for 1 row" in request.error_message

    # The yearly tape is due on that day.
    with pytest.raises(dg.Failure, match=f"the loan tape is blocked .*roll_forward fails for 1 row on {LAST}"):
        materialise(LAST, LAST, "loan_tapes")
    assert set((home.folder / "exports").rglob("*")) == exported

    # Another day's numbers, and numbers of the ledger alone, leave as before.
    day_before = (LAST - timedelta(days=1)).isoformat()
    assert run_report("loan_tape", {"as_of": day_before}, "csv")["as_of"] == day_before
    assert run_report("trial_balance", {"as_of": LAST.isoformat()}, "csv")["as_of"] == LAST.isoformat()
