"""lending status and the asset close_summary distinguish a good night from bad ones."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import ibis
import pytest
from homes import DAILY_TABLES, FIRST, LAST, MONTHLY_TAPE, OPEN, lending

from lending_pipelines import runs
from lending_pipelines.close_summary import as_text, missing_days
from lending_pipelines.register import TapeConfigs, TapeDeliveries, TapeFaults

NIGHT = LAST - timedelta(days=1)


@pytest.fixture
def morning(home, monkeypatch):
    """The closed home on the morning after its last closed day."""
    monkeypatch.setattr(runs, "last_ended_day", lambda: LAST)
    return home


def status():
    """The verdict, and the findings by subject."""
    summary = runs.status_of_closes()
    return summary.verdict, {finding.subject: finding.text for finding in summary.findings}


def test_a_good_night_shows_the_book_and_nothing_else(morning):
    summary = runs.status_of_closes()

    assert (summary.day, summary.verdict, summary.findings) == (LAST, "good", ())
    positions = morning.rows("loan_positions", NIGHT, LAST)

    def total(column, day, currency):
        rows = [row for row in positions if (row["business_date"], row["currency"]) == (day, currency)]
        return sum(row[column] for row in rows)

    assert {row["currency"] for row in summary.book.movements} == {"EUR", "USD"}
    for row in summary.book.movements:
        currency = row["currency"]
        assert row["opening"] == total("principal_outstanding", NIGHT, currency)
        assert row["closing"] == total("principal_outstanding", LAST, currency)
        assert row["repaid"] == total("principal_paid", NIGHT, currency) - total("principal_paid", LAST, currency)
        flows = [row[name] for name in ("disbursed", "capitalized", "repaid", "charged_off", "forgiven")]
        assert row["opening"] + sum(flows) == row["closing"]
    assert any(row["repaid"] for row in summary.book.movements)
    per_day = [sum(row["business_date"] == day for row in positions) for day in (NIGHT, LAST)]
    assert summary.book.rows["loan_positions"] == tuple(per_day)
    assert (summary.book.tieouts, summary.book.breaks) == (len(morning.rows("ledger_tieouts", LAST, LAST)), [])
    assert (summary.last_run.status, summary.last_run.seconds > 0) == ("succeeded", True)
    text = as_text(summary)
    assert f"Last closed day {LAST}: good" in text
    assert f"{summary.book.tieouts} of {summary.book.tieouts} control accounts tie" in text


def test_the_asset_is_the_page_of_the_last_day_of_its_run(home):
    with dg.DagsterInstance.get() as instance:
        made = instance.fetch_materializations(dg.AssetKey("close_summary"), limit=1).records[0].asset_materialization
    page = made.metadata["summary"].value

    assert f"last closed day {LAST}" in page.lower()
    assert "### Movements\n\n|" in page
    # The check results of its own run are in it, and today is long after the last closed day.
    assert "is not closed" in page or "are not closed" in page
    assert (made.metadata["verdict"].value, made.metadata["errors"].value) == ("failed", 1)


def test_the_command_ends_with_the_status_of_the_closes(home):
    done = lending("status")

    assert done.returncode == 1
    assert f"Last closed day {LAST}: FAILED" in done.stdout
    assert f"days from {OPEN} to " in done.stdout
    assert f"run `lending close --from {OPEN} --to " in done.stdout


def test_a_home_without_closes_says_so(empty_home):
    assert status() == ("failed", {"closed days": "no day is closed yet: run `lending close`"})


def test_a_table_that_the_release_of_the_closes_did_not_make_is_named(morning):
    with dg.DagsterInstance.get() as instance:
        instance.wipe_assets([dg.AssetKey("manager_snapshots")])
    text = (
        "manager_snapshots has no day, because an earlier release closed the days:"
        f" run `lending close --from {FIRST} --to {LAST}`"
    )
    verdict, findings = status()
    assert (verdict, findings["closed days"]) == ("failed", text)


def test_days_that_are_not_closed():
    def found(closed, ended):
        return [(each.severity, each.text.partition(" not closed")[0]) for each in missing_days(closed, ended)]

    days = [date(2024, 3, n) for n in (1, 2, 3, 4, 5)]
    assert found(days, days[-1]) == []
    assert found(days[:-1], days[-1]) == [("error", "2024-03-05 is")]
    assert found([days[0], days[4]], days[4]) == [("warning", "3 days from 2024-03-02 to 2024-03-04 are")]
    # A lender that closes month ends only misses a month end, and no day between two.
    ends = {date(2024, 1, 31), date(2024, 2, 29)}
    assert found(ends, date(2024, 3, 30)) == []
    assert found(ends, date(2024, 3, 31)) == [("error", "2024-03-31 is")]
    assert found({date(2024, 1, 31), date(2024, 3, 31)}, date(2024, 4, 1)) == [("warning", "2024-02-29 is")]


def test_a_source_that_cannot_be_read_is_a_failed_night(morning):
    Path(morning.folder / "servicing.db").write_text("no database")
    with pytest.raises(runs.RunFailed):
        runs.run_job("daily_close", days=(OPEN, OPEN))

    verdict, found = status()
    assert verdict == "failed"
    assert "cannot be read" in found["last close"]


def test_a_rejected_row_that_the_close_needs_is_a_failed_night(morning):
    morning.pay("L-nobody", OPEN, "2025-03-16 09:00:00", 5)
    with pytest.raises(runs.RunFailed):
        runs.run_job("daily_close", days=(OPEN, OPEN), assets=["transactions", *DAILY_TABLES])

    verdict, found = status()
    assert verdict == "failed"
    assert "L-nobody" in found["transactions.synced"]
    assert "last close" in found


@pytest.mark.parametrize(("severity", "verdict"), [("ERROR", "failed"), ("WARN", "warnings")])
def test_a_failed_check_counts_by_its_severity_until_it_passes(morning, severity, verdict):
    def evaluate(passed):
        with dg.DagsterInstance.get() as instance:
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("loan_positions"),
                    check_name="roll_forward",
                    passed=passed,
                    metadata={},
                    severity=dg.AssetCheckSeverity[severity],
                    description="1 row does not roll forward",
                )
            )

    evaluate(False)
    assert status() == (verdict, {"loan_positions.roll_forward": "1 row does not roll forward"})
    evaluate(True)
    assert status() == ("good", {})


def test_a_backdated_payment_and_a_break_are_warnings_of_the_night(morning, monkeypatch):
    monkeypatch.setattr(runs, "last_ended_day", lambda: OPEN)
    loan_id = next(row["loan_id"] for row in morning.rows("loan_positions", LAST, LAST) if row["status"] == "active")
    # The ledger does not know of the payment.
    morning.pay(loan_id, NIGHT, "2025-03-15 09:00:00", 1)
    morning.servicing("UPDATE collection_contacts SET channel = 'lost'")
    assets = ["transactions", "collection_contacts", *DAILY_TABLES, "loan_tapes", "restatements"]
    runs.run_job("daily_close", days=(OPEN, OPEN), assets=assets)

    summary = runs.status_of_closes()
    found = {finding.subject: finding.text for finding in summary.findings}
    assert (summary.day, summary.verdict) == (OPEN, "warnings")
    assert "no longer agree with what is known now: 1 loan" in found["restatements.restatement_due"]
    assert "lost" in found["collection_contacts.synced"]
    assert summary.book.breaks[0]["difference"] == Decimal("1.00")


def test_an_account_that_does_not_tie_is_listed_with_its_balances(morning):
    with morning.lake() as lake:
        rows = lake.table("ledger_tieouts", LAST, LAST)
        cent = ibis.literal(Decimal("0.01"), "decimal(18, 2)")
        first = rows.control_for.min().to_pyarrow().as_py()
        wrong = (rows.control_for == first).ifelse(cent, rows["difference"]).cast("decimal(18, 2)")
        lake.replace_days("ledger_tieouts", ibis.memtable(rows.mutate(difference=wrong).to_pyarrow()), LAST, LAST)

    summary = runs.status_of_closes()
    assert {row["control_for"] for row in summary.book.breaks} == {first}
    assert "difference 0.01" in as_text(summary)


@pytest.mark.parametrize("what", ["not made", "is late", "waits", "did not arrive"])
def test_tapes_that_are_not_where_they_should_be_are_warnings(morning, what):
    with morning.register() as session:
        config = TapeConfigs(session).by_name(MONTHLY_TAPE)
        config.delivery_url = str(morning.folder / "inbox")
        if what == "not made":
            TapeFaults(session).record(config, {LAST: "the field is unknown"})
        else:
            deliveries = TapeDeliveries(session)
            (delivery,) = deliveries.open(config, LAST)
            if what == "is late":
                deliveries.delay([delivery.delivery_id], "the day is not closed")
            elif what == "waits":
                deliveries.wait([delivery.delivery_id], "the portfolio changed")
            else:
                deliveries.claim(config.config_id, LAST, "a run")
                deliveries.give_up(delivery.delivery_id, "the server refused it")

    verdict, found = status()
    assert verdict == "warnings"
    assert what in found[f"tape {MONTHLY_TAPE!r}"]
    assert str(LAST) in found[f"tape {MONTHLY_TAPE!r}"]
