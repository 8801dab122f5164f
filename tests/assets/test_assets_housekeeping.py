"""Housekeeping of a closed home: what the policy removes, what is never removed, and what a thinned day is called."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from homes import DAYS, FIRST, LAST, Home, lending, materialise
from upkeep import apply, days_of, keep_little, without_alerts

from lending_pipelines.assets.housekeeping import policy
from lending_pipelines.event_log import open_instance
from lending_pipelines.processes import PROCESS_TAG, this_process
from lending_pipelines.register import Notifications
from lending_pipelines.register.models import Notification
from lending_pipelines.runs import open_days, run_job, run_report

KEPT = [date(2025, 2, 28), LAST]
"""The month end, and the last closed day. The sample's days are more than 365 days ago."""
LONG_AGO = time.time() - 5 * 86400


@pytest.fixture
def home(home):
    return without_alerts(home)


@pytest.fixture
def short(home, monkeypatch):
    """The home with a policy that keeps nothing longer than it must."""
    monkeypatch.setenv("LENDING_RETENTION", keep_little(home))
    return home


@dataclass(frozen=True)
class Applied:
    """A home after its housekeeping, what the command printed, and what the home had before."""

    home: Home
    printed: str
    month_end: list[dict]
    """The tables of a report on the kept month end."""
    dead: list[Path]
    """Files and folders that killed processes left."""
    alive: list[Path]
    """Files and folders that may be in use, or are not ours."""
    killed_run: str


@pytest.fixture(scope="module")
def applied(untouched_home, tmp_path_factory):
    """The home with what killed processes left and notifications, after its housekeeping by the default policy."""
    home = without_alerts(Home(shutil.copytree(untouched_home.folder, tmp_path_factory.mktemp("applied") / "home")))
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        monkeypatch.setattr("tempfile.tempdir", None)
        month_end = tables_of("delinquency_aging", as_of="2025-02-28")
        (dead, alive), (dead_folder, own_folder) = leftovers(home), temporary_folders(home)
        notify(home)
        killed_run = leave_a_run_of_a_killed_process(home)
        return Applied(home, apply(), month_end, [*dead, dead_folder], [*alive, own_folder], killed_run)


def leftovers(home):
    """Files of killed runs, and files that stay."""
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
    return (orphan, partial, log, scratch, unnamed), (yours, young)


def temporary_folders(home):
    """The temporary folder of a killed process, and one of this process."""
    folder = Path(os.environ["TMPDIR"])
    home.killed(
        "import os, signal\n"
        "from lending_pipelines.lake.engines import DuckDBEngine\n"
        "with DuckDBEngine().scratch() as folder:\n"
        "    open(folder + '/half.parquet', 'wb').write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    [left] = folder.glob("lending-scratch-*")
    ours = folder / f"lending-scratch-{os.getpid()}-x"
    ours.mkdir()
    return left, ours


def notify(home):
    """Create an old notification, an old one that requires an action, and a new one."""
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


def leave_a_run_of_a_killed_process(home):
    """The id of a run that is recorded as started, of a process that is gone."""
    gone = f"{this_process().rpartition(':')[0]}:{2**22 - 1}"
    with open_instance(home.folder / "dagster") as instance:
        job = dg.job(name="daily_close")(lambda: None)
        return instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: gone}).run_id


@pytest.fixture
def thinned(applied, monkeypatch):
    """The home after its housekeeping, for reports and reading only."""
    applied.home.enter(monkeypatch)
    return applied.home


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
    home, printed = applied.home, applied.printed
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


def test_a_thinned_day_closed_again_is_there_again_and_is_the_day_that_it_was(
    applied, closed_home, tmp_path, monkeypatch
):
    home = Home(shutil.copytree(applied.home.folder, tmp_path / "home"))
    home.enter(monkeypatch)
    day = date(2025, 3, 5)
    assert day in days_of(home)[1]
    done = run_job("daily_close", days=(day, day))
    assert home.rows("loan_positions", day, day) == closed_home.rows("loan_positions", day, day)
    assert day not in days_of(home)[1]
    # Thinned days are compared with nothing: no restatement is due because of them.
    assert [warning for warning in done.warnings if "restatement_due" in warning] == []
    materialise(LAST, LAST, "loan_positions", "restatements")
    with dg.DagsterInstance.get() as instance:
        record = instance.get_latest_asset_check_evaluation_record(
            dg.AssetCheckKey(dg.AssetKey("restatements"), "restatement_due")
        )
    assert record.event.dagster_event.asset_check_evaluation_data.passed


def test_reports_say_of_a_thinned_day_that_it_was_thinned(applied, thinned):
    done = lending("report", "delinquency_aging", "--set", "as_of=2025-03-05")
    assert done.returncode == 1
    assert "loan_positions has no 2025-03-05: the day was closed and later thinned" in done.stderr
    assert "the nearest closed days are 2025-02-28 and 2025-03-14" in done.stderr
    assert tables_of("delinquency_aging", as_of="2025-02-28") == applied.month_end


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


def test_leftovers_of_killed_processes_are_removed_and_young_ones_stay(applied):
    assert [path.name for path in applied.dead if path.exists()] == []
    assert [path.name for path in applied.alive if not path.exists()] == []


def test_a_run_whose_process_was_killed_holds_nothing_up(applied):
    with open_instance(applied.home.folder / "dagster") as instance:
        assert instance.get_run_by_id(applied.killed_run).status is dg.DagsterRunStatus.FAILURE


def test_old_notifications_go_except_those_that_require_an_action(applied):
    with applied.home.register() as session:
        left = {each.subject for each in Notifications(session).recent()}
    assert {"to do", "new"} <= left
    assert "old" not in left


def test_it_waits_for_a_run_that_may_be_writing_and_then_says_which(home):
    with open_instance(home.folder / "dagster") as instance:
        run = instance.create_run_for_job(dg.job(name="daily_close")(lambda: None), status=dg.DagsterRunStatus.STARTED)
        done = lending("housekeeping", "--apply")
        assert done.returncode == 1
        assert f"waited 0 minutes for other runs, which may be writing: daily_close {run.run_id}" in done.stderr
        assert len(days_of(home)[0]) == len(DAYS)
        instance.report_run_canceled(run)
    apply()


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
