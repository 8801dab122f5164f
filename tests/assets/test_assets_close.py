"""The daily close as Dagster runs it: a range of days is one run, days do not depend on how they were asked for, runs
at once and killed runs leave whole tables."""

import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import homes
import ibis
import pyarrow as pa
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from homes import DAILY_TABLES, DAYS, FIRST, LAST, OPEN, PORTFOLIO, Home, materialise
from typer.testing import CliRunner

from lending_pipelines.checks import SUITE
from lending_pipelines.cli import app
from lending_pipelines.definitions import definitions
from lending_pipelines.runs import open_days
from lending_pipelines.tables import SERVICING, TABLES

DAILY_ASSETS = (*DAILY_TABLES, "loan_tapes")
BIN = Path(sys.executable).parent

# The first day whose transitions start at a closed day: one month after the first.
FIRST_TRANSITIONS = date(2025, 3, 12)


@pytest.fixture
def closed(closed_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The shared home, for looking at."""
    closed_home.enter(monkeypatch)
    return closed_home


def daily_tables(home: Home, last: date | None = None) -> dict[str, pa.Table]:
    """The rows of the daily tables up to a day, in the order of their keys."""
    with home.lake() as lake:
        rows = {name: lake.table(name, None, last) for name in DAILY_TABLES}
        return {name: table.order_by(list(TABLES[name].key)).to_pyarrow() for name, table in rows.items()}


def test_a_range_of_days_is_one_run_that_materialises_every_daily_asset_for_every_day(closed):
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        made = {name: instance.get_materialized_partitions(dg.AssetKey(name)) for name in DAILY_ASSETS}
        mirrored = [name for name in SERVICING if instance.get_latest_materialization_event(dg.AssetKey(name))]

    assert (run.job_name, run.status) == ("daily_close", dg.DagsterRunStatus.SUCCESS)
    assert made == {name: {day.isoformat() for day in DAYS} for name in DAILY_ASSETS}
    assert mirrored == list(SERVICING)
    assert open_days(FIRST, OPEN) == [OPEN]


@pytest.mark.parametrize("table", DAILY_TABLES)
def test_a_materialisation_says_what_was_written(closed, table):
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(table))
    metadata = event.asset_materialization.metadata

    rows = closed.rows(table)
    files = (closed.folder / "lake" / table).rglob("*.parquet")
    days = [day for day in DAYS if table != "aging_transitions" or day >= FIRST_TRANSITIONS]
    assert {row["business_date"] for row in rows} == set(days)
    assert metadata["dagster/row_count"].value == len(rows)
    assert metadata["bytes"].value == sum(file.stat().st_size for file in files)
    assert metadata["delta_version"].value == 0
    assert 0 < metadata["seconds"].value < 600
    assert metadata["dagster/uri"].value == str(closed.folder / "lake" / table)


def test_every_blocking_check_ran_over_the_days_of_the_run_and_passed(closed):
    blocking = {spec.key for checks in definitions.asset_checks for spec in checks.check_specs if spec.blocking}
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        records = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [record.get_dagster_event().asset_check_evaluation_data for record in records]
    found = {evaluation.asset_check_key: evaluation for evaluation in evaluations}

    assert len(blocking) > 10
    assert blocking <= found.keys()
    # Each suite of a daily table links to its page in the Data Docs of the run.
    pages = [found[dg.AssetCheckKey(dg.AssetKey(name), SUITE)].metadata["data_docs"].value for name in DAILY_TABLES]
    # The web server has the exports at /exports.
    assert [page.startswith("/exports/data_docs/") for page in pages] == [True] * len(pages)
    assert all("expected" in (closed.folder / unquote(page).lstrip("/")).read_text() for page in pages)
    assert (closed.folder / "exports" / "data_docs" / "index.html").exists()
    assert [key for key in blocking if not found[key].passed] == []
    # What a sync read, which tapes were due and whether restatements were looked for is not counted by days.
    of_no_days = {evaluation.check_name for evaluation in evaluations if "days" not in evaluation.metadata}
    assert of_no_days == {"synced", "tapes_made", "detected", "restatement_due"}
    days = {evaluation.metadata["days"].value for evaluation in evaluations if "days" in evaluation.metadata}
    assert days == {f"{FIRST} to {LAST}"}


def test_assignments_of_the_register_show_from_their_day_on(closed):
    snapshots = closed.rows("portfolio_snapshots")
    portfolio = [row for row in snapshots if row["scope"] == "portfolio"]
    investor = [row for row in snapshots if row["scope"] == "investor"]

    assert {row["name"] for row in portfolio} == {PORTFOLIO}
    assert {row["business_date"] for row in portfolio} == set(DAYS)
    assert {row["business_date"] for row in investor} == {day for day in DAYS if day >= date(2025, 3, 1)}


KILLED_IN_ITS_COMMIT = f"""
import os, signal, sys
from datetime import date
from deltalake import DeltaTable

sys.path.insert(0, {str(Path(homes.__file__).parent)!r})
from homes import FIRST, LAST, materialise

def killed(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

DeltaTable.create_write_transaction = killed
materialise(FIRST, LAST, "loan_positions")
"""


def test_a_killed_run_leaves_the_previous_version_and_a_backfill_of_a_month_is_one_run_of_that_month(home):
    before, versions = daily_tables(home), home.versions()
    folder = home.folder / "lake" / "loan_positions"
    committed = set(folder.rglob("*.parquet"))

    home.killed(KILLED_IN_ITS_COMMIT)

    assert set(folder.rglob("*.parquet")) > committed
    # The days as reported are kept before they are replaced.
    assert home.versions() == versions | {"reported_days": 0}
    assert daily_tables(home) == before

    # A launcher that runs in this process, as the daemon's would in another.
    (home.folder / "dagster" / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_launcher: {module: dagster._core.launcher.sync_in_memory_run_launcher, class: SyncInMemoryRunLauncher}\n"
        "run_coordinator: {module: dagster._core.run_coordinator.default_run_coordinator,"
        " class: DefaultRunCoordinator}\n"
    )
    with dg.DagsterInstance.get() as instance:
        # The close has materialised every day already.
        latest = instance.event_log_storage.get_maximum_record_id()
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id="month",
                asset_graph=definitions.resolve_asset_graph(),
                partition_names=[day.isoformat() for day in DAYS],
                asset_selection=[dg.AssetKey(name) for name in DAILY_ASSETS],
                backfill_timestamp=datetime.now().timestamp(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
        origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(executable_path=sys.executable, module_name="lending_pipelines.definitions")
        )
        with create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget([origin]), instance) as workspace:
            for _ in range(5):
                list(execute_backfill_iteration(workspace, dg.get_dagster_logger()))
        backfill = instance.get_backfill("month")
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "month"}))
        made = {
            name: instance.get_materialized_partitions(dg.AssetKey(name), after_cursor=latest) for name in DAILY_ASSETS
        }

    assert backfill.status == BulkActionStatus.COMPLETED_SUCCESS
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
    assert runs[0].tags["dagster/asset_partition_range_start"] == FIRST.isoformat()
    assert runs[0].tags["dagster/asset_partition_range_end"] == LAST.isoformat()
    assert made == {name: {day.isoformat() for day in DAYS} for name in DAILY_ASSETS}
    assert home.versions()["loan_positions"] == versions["loan_positions"] + 1
    assert daily_tables(home) == before


def test_closes_of_different_days_at_once_succeed_and_give_what_the_range_gave(home):
    loan = next(row for row in home.rows("loan_positions", LAST, LAST) if row["principal_outstanding"] > 100)
    home.pay(loan["loan_id"], OPEN, "2025-03-16 09:00:00", 25)
    known = len(home.rows("transactions"))
    before = daily_tables(home)

    other = subprocess.Popen(
        [BIN / "lending", "close", "--from", str(OPEN), "--to", str(OPEN)], stderr=subprocess.PIPE, text=True
    )
    other.stderr.readline()  # Its run is under way.
    again = CliRunner().invoke(app, ["close", "--from", str(LAST), "--to", str(LAST), "--force"])
    _, errors = other.communicate(timeout=120)

    assert other.returncode == 0, errors
    assert again.exit_code == 0, again.output
    assert "Closing again changed no metric" in again.output
    # The payment is in no ledger: that is worth a warning, and stops nothing.
    assert "warning: check ledger_tieouts.ledger_ties_out failed" in errors
    # What was new came in once, though both runs synced.
    transactions = [row["transaction_id"] for row in home.rows("transactions")]
    assert len(transactions) == len(set(transactions)) == known + 1
    paid = {row["loan_id"]: row["principal_paid"] for row in home.rows("loan_positions", OPEN, OPEN)}
    assert paid[loan["loan_id"]] == loan["principal_paid"] + 25
    # The day that was run again, alone this time, is the same day of the range, and the other days stayed.
    assert daily_tables(home, LAST) == before
    with dg.DagsterInstance.get() as instance:
        metadata = instance.get_latest_materialization_event(dg.AssetKey("transactions")).asset_materialization.metadata
        of_the_day = dg.AssetRecordsFilter(dg.AssetKey("close_summary"), asset_partitions=[LAST.isoformat()])
        summary = instance.fetch_materializations(of_the_day, limit=1).records[0].asset_materialization
    assert metadata["watermark"].value == "2025-03-16 09:00:00"
    assert summary.metadata["changes"].value.splitlines()[1].startswith("Closing again changed no metric")
    assert open_days(FIRST, OPEN) == []


def test_a_run_that_closes_a_day_again_shows_which_metrics_it_changed(home):
    with home.lake() as lake:
        rows = lake.table("loan_positions", LAST, LAST)
        first = rows.filter(rows.status == "active", rows.currency == "USD").loan_id.min().to_pyarrow().as_py()
        more = (rows.loan_id == first).ifelse(rows.interest_receivable + 1, rows.interest_receivable)
        changed = rows.mutate(interest_receivable=more.cast(rows.interest_receivable.type()))
        lake.replace_days("loan_positions", ibis.memtable(changed.to_pyarrow()), LAST, LAST)
    shown = materialise(LAST, LAST, "portfolio_snapshots", "close_summary")["changes"]
    assert re.search(r"portfolio_snapshots +all \* USD +interest_receivable .* \+1\.00", shown)
