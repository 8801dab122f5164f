"""Housekeeping of a closed home: what the policy removes, what is never removed, and what a thinned day is called."""

import json
import os
import re
import shutil
import time
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from homes import DAYS, FIRST, LAST, MONTHLY_TAPE, PORTFOLIO, Home, lending, materialise

from lending_pipelines.assets.housekeeping import policy
from lending_pipelines.register import Investors, Notifications, Portfolios, Sales, TapeConfigs, TapeDeliveries
from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding
from lending_pipelines.register.models import Notification
from lending_pipelines.runs import open_days, run_report
from lending_pipelines.sensors.tape_deliveries import _unready

KEPT = [date(2025, 2, 28), LAST]
"""The month end, and the last closed day. The sample's days are more than 365 days ago."""
LONG_AGO = time.time() - 5 * 86400


def without_alerts(home):
    """The home without alerts: open ones keep their days."""
    with home.register() as session:
        for table in (AlertEvent, AlertFinding, Alert):
            session.execute(sa.delete(table))
    return home


@pytest.fixture
def home(home):
    return without_alerts(home)


@pytest.fixture(scope="module")
def applied(untouched_home, tmp_path_factory):
    """A home after its housekeeping, and what the command printed."""
    home = without_alerts(Home(shutil.copytree(untouched_home.folder, tmp_path_factory.mktemp("applied") / "home")))
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        return home, apply()


@pytest.fixture
def thinned(applied, monkeypatch):
    """The home after its housekeeping, for reading only."""
    applied[0].enter(monkeypatch)
    return applied[0]


@pytest.fixture
def short(home, monkeypatch):
    """The home with a policy that keeps nothing longer than it must."""
    file = home.folder / "retention.toml"
    ages = ("versions_days", "reports_days", "tapes_days", "notifications_days", "runs_days", "ticks_days")
    file.write_text("".join(f"{name} = 0\n" for name in (*ages, "leftovers_hours")))
    monkeypatch.setenv("LENDING_RETENTION", str(file))
    return home


def apply():
    done = lending("housekeeping", "--apply")
    assert done.returncode == 0, done.stderr
    return done.stdout


def days_of(home, table="loan_positions"):
    with home.lake() as lake:
        return lake.days(table), lake.thinned(table)


def tables_of(report_type, **parameters):
    return json.loads(Path(run_report(report_type, parameters, "json")["file"]).read_text())["tables"]


def test_without_apply_it_prints_and_changes_nothing(short):
    before = {path: path.stat().st_mtime_ns for path in (short.folder / "lake").rglob("*.parquet")}
    rows = short.rows("loan_positions")
    done = lending("housekeeping")
    assert done.returncode == 0, done.stderr
    assert "Would be removed" in done.stdout
    assert "Nothing was removed: run `lending housekeeping --apply`." in done.stdout
    # 31 days, of which the month end and the last day stay.
    thinned = [row for row in rows if row["business_date"] not in KEPT]
    line = next(line for line in done.stdout.splitlines() if line.startswith("loan_positions: days thinned"))
    assert f"{len(thinned):,}" in line
    assert "29 days from 2025-02-12 to 2025-03-13" in done.stdout
    assert "1 day: month ends" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (short.folder / "lake").rglob("*.parquet")} == before
    assert short.rows("loan_positions") == rows


def test_old_daily_positions_are_thinned_to_month_ends_and_other_tables_keep_their_days(applied, closed_home):
    home, printed = applied
    assert "Removed" in printed
    assert days_of(home) == (KEPT, [day for day in DAYS if day not in KEPT])
    assert home.rows("loan_positions", KEPT[0], KEPT[0]) == closed_home.rows("loan_positions", KEPT[0], KEPT[0])
    assert home.rows("portfolio_snapshots") == closed_home.rows("portfolio_snapshots")
    assert days_of(home, "portfolio_snapshots") == (DAYS, [])
    assert "portfolio_snapshots" in next(line for line in printed.splitlines() if "the policy keeps all" in line)


def test_thinned_days_are_closed_days(thinned):
    assert open_days(FIRST, LAST) == []
    done = lending("close", "--from", str(FIRST), "--to", str(LAST))
    assert done.returncode == 0, done.stderr
    assert "is already closed" in done.stdout
    assert "29 of these days are thinned" in done.stdout
    missing = [line for line in lending("status").stdout.splitlines() if "not closed" in line]
    assert not any("from 2025-02" in line for line in missing)


def test_a_thinned_day_closed_again_is_there_again_and_is_the_day_that_it_was(home):
    day = date(2025, 3, 5)
    before = home.rows("loan_positions", day, day)
    apply()
    done = lending("close", "--from", str(day), "--to", str(day), "--force")
    assert done.returncode == 0, done.stderr
    assert home.rows("loan_positions", day, day) == before
    assert day not in days_of(home)[1]
    # Thinned days are compared with nothing: no restatement is due because of them.
    assert "restatement_due" not in done.stderr
    materialise(LAST, LAST, "loan_positions", "restatements")
    with dg.DagsterInstance.get() as instance:
        record = instance.get_latest_asset_check_evaluation_record(
            dg.AssetCheckKey(dg.AssetKey("restatements"), "restatement_due")
        )
    assert record.event.dagster_event.asset_check_evaluation_data.passed


def test_reports_say_of_a_thinned_day_that_it_was_thinned(home):
    month_end = tables_of("delinquency_aging", as_of="2025-02-28")
    apply()
    done = lending("report", "delinquency_aging", "--set", "as_of=2025-03-05")
    assert done.returncode == 1
    assert "loan_positions has no 2025-03-05: the day was closed and later thinned" in done.stderr
    assert "the nearest closed days are 2025-02-28 and 2025-03-14" in done.stderr
    assert tables_of("delinquency_aging", as_of="2025-02-28") == month_end


def test_a_report_over_thinned_days_says_how_many(thinned):
    made = run_report(
        "interest_income", {"period": "custom", "from_date": "2025-02-20", "to_date": "2025-03-14"}, "json"
    )
    notes = json.loads(Path(made["file"]).read_text())["notes"]
    # 20 February to 14 March are 23 days; two of them are kept. The day before the first is thinned too.
    assert "21 days of the period were thinned: averages use the other days." in notes
    assert any(note.startswith("2025-02-19 was thinned: the amounts") for note in notes)
    assert not any("not closed" in note for note in notes if "days of the period" in note)


def test_summaries_of_thinned_days_are_still_reported(thinned):
    made = run_report("trial_balance", {"as_of": "2025-03-05"}, "csv")
    assert Path(made["file"]).exists()


def test_what_a_sale_is_based_on_stays(short):
    day = date(2025, 3, 5)
    with short.register() as session:
        fund = Investors(session).create("Buyer Fund", "fund")
        portfolio = Portfolios(session).by_name(PORTFOLIO)
        held = [
            row["loan_id"]
            for row in short.rows("loan_positions", day, day)
            if row["portfolio_id"] == portfolio.portfolio_id
        ]
        session.execute(sa.text("DELETE FROM loan_assignments"))
        versions = {name: short.versions()[name] for name in ("loan_positions", "portfolio_snapshots")}
        prices = dict.fromkeys(held, 1)
        Sales(session).record(
            portfolio.portfolio_id,
            fund.investor_id,
            day,
            currency="USD",
            prices=prices,
            snapshot={},
            lake_version=versions,
        )
    then = short.rows("loan_positions", day, date(2025, 3, 7))
    materialise(day, date(2025, 3, 7), "loan_positions", "portfolio_snapshots")
    apply()
    apply()
    assert day in days_of(short)[0]
    with short.lake() as lake:
        rows = lake.table("loan_positions", day, date(2025, 3, 7), versions["loan_positions"])
        found = rows.order_by("business_date", "loan_id").to_pyarrow().to_pylist()
    assert found == then


def test_a_delivered_tape_keeps_its_day_its_files_and_its_versions(short):
    day = date(2025, 2, 28)
    manifest_file = next((short.folder / "exports" / "tapes").rglob(f"*{day}*.manifest.json"))
    manifest = json.loads(manifest_file.read_text())
    with short.register() as session:
        config = TapeConfigs(session).by_name(MONTHLY_TAPE)
        config.delivery_url = str(short.folder / "sent")
        deliveries = TapeDeliveries(session)
        [delivery] = deliveries.open(config, day)
        deliveries.claim(config.config_id, day, "run")
        deliveries.send(delivery.delivery_id, manifest["sha256"], manifest["row_count"])
        deliveries.complete(delivery.delivery_id)
    other = next((short.folder / "exports" / "tapes").rglob("*2025-03-14*.manifest.json"))
    version = manifest["table_versions"]["loan_positions"]
    then = short.rows("loan_positions", day, day)
    materialise(date(2025, 2, 27), day, "loan_positions", "loan_tapes")
    apply()
    apply()
    assert manifest_file.exists()
    assert (manifest_file.parent / manifest["file_name"]).exists()
    with short.lake() as lake:
        rows = lake.table("loan_positions", day, day, version).order_by("business_date", "loan_id")
        assert rows.to_pyarrow().to_pylist() == then
    # The other tape was never delivered, and the policy keeps such tapes for no day.
    assert not list(other.parent.iterdir())


def test_a_report_keeps_the_versions_that_it_was_made_of_as_long_as_its_file(short, monkeypatch):
    file = short.folder / "retention.toml"
    file.write_text(file.read_text().replace("reports_days = 0", "reports_days = 30"))
    made = run_report("delinquency_aging", {"as_of": "2025-03-05"}, "csv")
    version = made["data_versions"]["loan_positions"]
    apply()
    apply()
    assert Path(made["file"]).exists()
    with short.lake() as lake:
        assert lake.table("loan_positions", FIRST, LAST, version).business_date.nunique().to_pyarrow().as_py() == 31
    file.write_text(file.read_text().replace("reports_days = 30", "reports_days = 0"))
    apply()
    apply()
    assert not Path(made["file"]).exists()
    [request] = [each for each in short.requests() if each.report_id == made["report_id"]]
    assert (request.status, request.file_url) == ("completed", None)
    assert request.sha256 == made["sha256"]
    assert "housekeeping removed the file" in request.error_message
    with short.lake() as lake, pytest.raises(Exception, match="this version is no longer readable") as raised:
        lake.table("loan_positions", FIRST, LAST, version)
    assert "housekeeping removes files of old versions" in str(raised.value)


def test_reports_with_known_at_still_have_rows_that_vanished(short):
    loan = short.rows("loan_positions", LAST, LAST)[0]["loan_id"]
    short.pay(loan, date(2025, 3, 1), "2025-03-02 09:00:00", 5, "T-vanishes")
    materialise(LAST, LAST, "transactions")
    assert any(row["transaction_id"] == "T-vanishes" for row in short.rows("transactions"))
    known = datetime.now(UTC).replace(tzinfo=None)
    short.servicing("DELETE FROM transactions WHERE transaction_id = 'T-vanishes'")
    materialise(LAST, LAST, "transactions")
    apply()
    apply()
    assert not any(row["transaction_id"] == "T-vanishes" for row in short.rows("transactions"))
    with short.lake() as lake:
        gone = lake.superseded("transactions", known).to_pyarrow().to_pylist()
    assert [row["transaction_id"] for row in gone] == ["T-vanishes"]


def test_what_is_left_is_read_as_before_after_compaction_and_vacuum(short):
    for number in range(3):
        loan = short.rows("loan_positions", LAST, LAST)[number]["loan_id"]
        short.pay(loan, date(2025, 3, 14), "2025-03-14 09:00:00", 1, f"T-{number}")
        materialise(LAST, LAST, "transactions")
    tables = ("transactions", "installments", "loans", "trial_balance", "ledger_tieouts", "closed_days")
    before = {name: short.rows(name) for name in tables}
    files = len(list((short.folder / "lake" / "transactions").glob("*.parquet")))
    apply()
    apply()
    for name in tables[:-1]:
        assert short.rows(name) == before[name], name
    assert len(list((short.folder / "lake" / "transactions").glob("*.parquet"))) == 1 < files
    # A sync goes on where it was.
    done = lending("sync")
    assert done.returncode == 0, done.stderr
    assert re.search(r"transactions .* 0 added", done.stdout)


def test_leftovers_of_killed_runs_are_removed_and_young_ones_stay(home):
    lake, exports = home.folder / "lake", home.folder / "exports"
    orphan = lake / "loan_positions" / "business_date=2025-03-01" / "dead_0.parquet"
    partial = exports / "reports" / "x" / f".{'a' * 32}.part"
    log = lake / "loan_positions" / "_delta_log" / "_commit_11111111-2222.json.tmp"
    scratch = lake / "_scratch" / "dead" / "0.parquet"
    unnamed = exports / "tapes" / "fund-yearly" / "2025-03-14" / "half.xlsx"
    yours = exports / "reports" / "mine.part"
    young = exports / f".{'b' * 32}.part"
    for file in (orphan, partial, log, scratch, unnamed, yours, young):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
        if file is not young:
            os.utime(file, (LONG_AGO, LONG_AGO))
    apply()
    assert [file.name for file in (orphan, partial, log, scratch, unnamed) if file.exists()] == []
    assert yours.exists()
    assert young.exists()


def test_a_killed_process_leaves_a_temporary_folder_that_housekeeping_removes(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    home.killed(
        "import os, signal\n"
        "from lending_pipelines.lake.engines import DuckDBEngine\n"
        "with DuckDBEngine().scratch() as folder:\n"
        "    open(folder + '/half.parquet', 'wb').write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    [left] = tmp_path.glob("lending-scratch-*")
    ours = tmp_path / f"lending-scratch-{os.getpid()}-x"
    ours.mkdir()
    apply()
    assert not left.exists()
    assert ours.exists()


def test_it_waits_for_a_run_that_may_be_writing_and_then_says_which(home):
    from lending_pipelines.event_log import open_instance

    with open_instance(home.folder / "dagster") as instance:
        run = instance.create_run_for_job(dg.job(name="daily_close")(lambda: None), status=dg.DagsterRunStatus.STARTED)
        done = lending("housekeeping", "--apply")
        assert done.returncode == 1
        assert f"waited 0 minutes for other runs, which may be writing: daily_close {run.run_id}" in done.stderr
        assert len(days_of(home)[0]) == len(DAYS)
        instance.report_run_canceled(run)
    apply()


def test_a_run_whose_process_was_killed_holds_nothing_up(home):
    from lending_pipelines.event_log import open_instance
    from lending_pipelines.processes import PROCESS_TAG, this_process

    gone = f"{this_process().rpartition(':')[0]}:{2**22 - 1}"
    with open_instance(home.folder / "dagster") as instance:
        run = instance.create_run_for_job(
            dg.job(name="daily_close")(lambda: None), status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: gone}
        )
        apply()
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_old_notifications_go_except_those_that_require_an_action(home):
    with home.register() as session:
        notifications = Notifications(session)
        kinds = {"old": False, "to do": True, "new": False}
        ids = {
            name: notifications.create(
                "restatement", "normal", recipient="finance", subject=name, body="", action_required=required
            )
            for name, required in kinds.items()
        }
        for name in ("old", "to do"):
            session.get_one(Notification, ids[name]).created_at = datetime(2024, 1, 1, tzinfo=UTC)
    apply()
    with home.register() as session:
        left = {each.subject for each in Notifications(session).recent()}
    assert {"to do", "new"} <= left
    assert "old" not in left


def test_the_policy_names_every_fault_of_its_file(tmp_path):
    from lending_pipelines.errors import LendingError
    from lending_pipelines.retention import Retention

    file = tmp_path / "retention.toml"
    file.write_text('positions_day = 3\nversions_days = -1\nruns_days = "always"\nleftovers_hours = "x"\n')
    with pytest.raises(LendingError) as raised:
        Retention.load(file)
    said = str(raised.value)
    assert "there is no setting 'positions_day'" in said
    assert "positions_days" in said
    assert 'versions_days is -1: write a whole number of days up to 36,525, or "forever"' in said
    assert "runs_days is 'always': write a whole number of days up to 36,525, or \"forever\"" in said
    assert "leftovers_hours is 'x': write a whole number of hours up to 8,784" in said


def test_the_policy_is_found_by_the_settings(short):
    assert (policy().versions_days, policy().positions_days, policy().snapshots_days) == (0, 365, "forever")


def test_a_tape_of_a_day_whose_run_is_gone_is_still_ready(short):
    apply()
    with dg.DagsterInstance.get() as instance:
        assert _unready(instance, LAST)[0] is None
