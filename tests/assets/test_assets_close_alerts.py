"""Rules on the numbers of close_summary: planted faults are counted, and alerts open once, change and resolve."""

import sys
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import ibis
import pytest
from homes import LAST, MONTHLY_TAPE, OPEN, lending, materialise

from lending_pipelines import runs
from lending_pipelines.alerts.rule_files import parse_rules
from lending_pipelines.alerts.saved_rules import save_rules
from lending_pipelines.register import Alerts, TapeConfigs, TapeDeliveries, TapeFaults
from lending_pipelines.tables.close_numbers import CLOSE_SUMMARY

NIGHT = LAST - timedelta(days=1)


@pytest.fixture
def night(home, monkeypatch):
    """The closed home when LAST is the last day that has ended, with a rule for each number: more than 0."""
    the_last_day_that_ended(monkeypatch, LAST)
    rules = [
        {"name": name, "metric": f"close_summary.{name}", "operator": ">", "threshold": 0, "recipients": ["admins"]}
        for name in CLOSE_SUMMARY.names
        if name != "seconds"
    ]
    with home.register() as session:
        save_rules(session, parse_rules(rules, "test"))
    return home


def the_last_day_that_ended(monkeypatch, day):
    # The package has the asset under the name of its module.
    monkeypatch.setattr(sys.modules["lending_pipelines.assets.close_summary"], "last_ended_day", lambda: day)


def evaluate(check, passed, severity="ERROR", table="loan_positions"):
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(table),
                check_name=check,
                passed=passed,
                metadata={},
                severity=dg.AssetCheckSeverity[severity],
                description="1 row is wrong",
            )
        )


def break_an_account(home, day, difference):
    """Change the difference of one control account; the account."""
    with home.lake() as lake:
        rows = lake.table("ledger_tieouts", day, day)
        account, currency = min((row["control_for"], row["currency"]) for row in rows.to_pyarrow().to_pylist())
        here = (rows.control_for == account) & (rows.currency == currency)
        wrong = here.ifelse(ibis.literal(Decimal(difference), "decimal(18, 2)"), rows["difference"])
        changed = rows.mutate(difference=wrong.cast("decimal(18, 2)")).to_pyarrow()
        lake.replace_days("ledger_tieouts", ibis.memtable(changed), day, day)
    return f"{account} differs by {difference} {currency}"


def summarise(day):
    materialise(day, day, "close_summary")


def alerts_of(home, *names):
    """The state, value and steps of the alerts on the close, by number."""
    with home.register() as session:
        found = {}
        for alert in Alerts(session).listed(subject="daily_close", limit=1000):
            name = alert.topic.split()[1].partition(".")[2]
            if not names or name in names:
                assert name not in found, "one alert for each number"
                steps = [(event.business_date, event.step) for event in Alerts(session).events(alert.alert_id)]
                found[name] = (alert.state, alert.value, steps)
        return found


def test_planted_faults_are_counted_in_an_alert_each(night, monkeypatch):
    evaluate("roll_forward", passed=False)
    evaluate("restatement_due", passed=False, severity="WARN", table="restatements")
    broken = break_an_account(night, LAST, "0.01")
    for number in (1, 2):
        night.servicing(
            "INSERT INTO promises_to_pay (promise_id, loan_id, collector_id, queue, promised_on, due_on, amount)"
            " SELECT :id, 'L-nobody', collector_id, queue, promised_on, due_on, amount FROM promises_to_pay LIMIT 1",
            id=f"P-{number}",
        )
    night.servicing("UPDATE tickets SET status = 'lost'")
    # The close needs neither table: the run does not fail, and rows in order are committed.
    runs.run_job("sync", assets=["promises_to_pay", "tickets"])
    with night.register() as session:
        config = TapeConfigs(session).by_name(MONTHLY_TAPE)
        config.delivery_url = str(night.folder / "inbox")
        TapeFaults(session).record(config, {LAST: "the field is unknown", NIGHT: "the field is unknown"})
        deliveries = TapeDeliveries(session)
        (late,) = deliveries.open(config, LAST)
        deliveries.delay([late.delivery_id], "the day is not closed")
    # 15, 16 and 17 March have ended and are not closed.
    the_last_day_that_ended(monkeypatch, LAST + timedelta(days=3))

    summarise(LAST)

    # Errors: the days and the check. Warnings: the other check, the table, the rows, two days of a tape that are not
    # made, and its late delivery.
    expected = {
        "errors": 2, "warnings": 6, "checks_failed": 1, "checks_warned": 1, "tables_rejected": 1, "rows_rejected": 2,
        "days_missing": 3, "tieout_breaks": 1, "tapes_not_made": 2, "tapes_late": 1,
    }  # fmt: skip
    found = alerts_of(night)
    assert {name: value for name, (_, value, _) in found.items()} == expected
    assert {(state, *steps) for state, _, steps in found.values()} == {("open", (LAST, "opened"))}
    printed = " ".join(lending("alerts", "--limit", "1000").stdout.split())
    assert f"Tieout breaks in the close of {LAST}: 1, above 0. {broken}" in printed
    assert f"Checks failed in the close of {LAST}: 1, above 0. loan_positions.roll_forward: 1 row is wrong" in printed
    assert "L-nobody" in printed
    assert f"Days missing in the close of {LAST}: 3, above 0." in printed


def test_an_alert_opens_once_changes_with_its_day_and_resolves_in_a_later_good_close(night):
    evaluate("roll_forward", passed=False)
    summarise(LAST)
    opened = {"checks_failed": ("open", 1, [(LAST, "opened")])}
    assert alerts_of(night, "checks_failed") == opened
    summarise(LAST)
    assert alerts_of(night, "checks_failed") == opened

    evaluate("positions_consistent", passed=False)
    summarise(LAST)
    assert alerts_of(night, "checks_failed") == {"checks_failed": ("open", 2, [(LAST, "opened")])}
    # The close of the next day is no better: the same alert.
    summarise(OPEN)
    assert alerts_of(night, "checks_failed") == {"checks_failed": ("open", 2, [(LAST, "opened")])}

    for check in ("roll_forward", "positions_consistent"):
        evaluate(check, passed=True)
    summarise(OPEN)
    resolved = {"checks_failed": ("resolved", 2, [(LAST, "opened"), (OPEN, "resolved")])}
    assert alerts_of(night, "checks_failed") == resolved


def test_a_lender_without_a_ledger_has_no_known_number_of_breaks(night):
    with night.lake() as lake:
        nothing = lake.table("ledger_tieouts", LAST, LAST).limit(0).to_pyarrow()
        lake.replace_days("ledger_tieouts", ibis.memtable(nothing), LAST, LAST)
    with night.register() as session:
        rule = {"metric": "close_summary.tieout_breaks", "operator": "<=", "threshold": 5}
        save_rules(session, parse_rules([{"name": "few", **rule}], "test"))
    summarise(LAST)
    assert alerts_of(night, "tieout_breaks") == {}


def test_the_time_of_a_close_is_compared_with_a_limit(night):
    with night.register() as session:
        rules = [
            {"name": name, "metric": "close_summary.seconds", "operator": operator, "threshold": 6 * 3600}
            for name, operator in (("slow", ">="), ("fast", "<"))
        ]
        save_rules(session, parse_rules(rules, "test"))
    summarise(LAST)
    with night.register() as session:
        found = [alert.topic for alert in Alerts(session).listed(limit=1000) if "seconds" in alert.topic]
    assert found == ["close_summary close_summary.seconds below"]
