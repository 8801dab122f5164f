"""Housekeeping keeps the versions, days and files that something refers to, and what is left is read as before."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from homes import FIRST, LAST, MONTHLY_TAPE, PORTFOLIO, Home, materialise
from upkeep import apply, days_of, keep_little, without_alerts

from lending_pipelines.register import Investors, Portfolios, Sales, TapeConfigs, TapeDeliveries
from lending_pipelines.runs import run_job, run_report
from lending_pipelines.sensors.tape_deliveries import _unready

DELIVERED = date(2025, 2, 28)
SOLD, SOLD_SPAN = date(2025, 3, 5), (date(2025, 3, 5), date(2025, 3, 7))
VANISHED = "T-vanishes"


@dataclass(frozen=True)
class Kept:
    """A home after two housekeepings, and what refers to an old version of loan_positions in it, each to another."""

    home: Home
    manifest_file: Path
    """The manifest of the delivered tape."""
    undelivered: Path
    """The folder of a tape that was never delivered."""
    delivered_rows: list[dict]
    sale_version: int
    sale_rows: list[dict]
    report: dict
    known: datetime
    """When a transaction was known that has vanished since."""


@pytest.fixture(scope="module")
def kept_home(untouched_home, tmp_path_factory):
    """A tape is delivered, a portfolio is sold, a report is made, and a transaction vanishes; then housekeeping.

    Before the sale, and again before the report, days are closed again: each refers to versions of its own.
    """
    home = without_alerts(Home(shutil.copytree(untouched_home.folder, tmp_path_factory.mktemp("kept") / "home")))
    span = (DELIVERED - timedelta(days=1), SOLD_SPAN[1])
    tables = ["transactions", "loan_positions", "portfolio_snapshots"]
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        monkeypatch.setenv("LENDING_RETENTION", keep_little(home, reports_days=30))
        tapes = home.folder / "exports" / "tapes"
        manifest_file = next(tapes.rglob(f"*{DELIVERED}*.manifest.json"))
        undelivered = next(tapes.rglob("*2025-03-14*.manifest.json")).parent
        deliver(home, manifest_file)
        delivered_rows = home.rows("loan_positions", DELIVERED, DELIVERED)
        home.pay(delivered_rows[0]["loan_id"], date(2025, 3, 1), "2025-03-02 09:00:00", 5, VANISHED)
        run_job("daily_close", days=span, assets=[*tables, "loan_tapes"])
        assert VANISHED in transaction_ids(home)
        known = datetime.now(UTC).replace(tzinfo=None)
        sale_version, sale_rows = sell(home), home.rows("loan_positions", *SOLD_SPAN)
        home.servicing(f"DELETE FROM transactions WHERE transaction_id = '{VANISHED}'")
        run_job("daily_close", days=span, assets=tables)
        report = run_report("delinquency_aging", {"as_of": str(SOLD)}, "csv")
        assert sale_version < report["data_versions"]["loan_positions"]
        apply()
        apply()
    return Kept(home, manifest_file, undelivered, delivered_rows, sale_version, sale_rows, report, known)


def deliver(home, manifest_file):
    """Record that the tape was delivered."""
    manifest = json.loads(manifest_file.read_text())
    with home.register() as session:
        config = TapeConfigs(session).by_name(MONTHLY_TAPE)
        config.delivery_url = str(home.folder / "sent")
        deliveries = TapeDeliveries(session)
        [delivery] = deliveries.open(config, DELIVERED)
        deliveries.claim(config.config_id, DELIVERED, "run")
        deliveries.send(delivery.delivery_id, manifest["sha256"], manifest["row_count"])
        deliveries.complete(delivery.delivery_id)


def sell(home):
    """Record a sale of the portfolio; the version of loan_positions that it is based on."""
    with home.register() as session:
        fund = Investors(session).create("Buyer Fund", "fund")
        portfolio = Portfolios(session).by_name(PORTFOLIO)
        held = [
            row["loan_id"]
            for row in home.rows("loan_positions", SOLD, SOLD)
            if row["portfolio_id"] == portfolio.portfolio_id
        ]
        session.execute(sa.text("DELETE FROM loan_assignments"))
        versions = home.versions()
        versions = {name: versions[name] for name in ("loan_positions", "portfolio_snapshots")}
        prices = dict.fromkeys(held, 1)
        Sales(session).record(
            portfolio.portfolio_id,
            fund.investor_id,
            SOLD,
            currency="USD",
            prices=prices,
            snapshot={},
            lake_version=versions,
        )
    return versions["loan_positions"]


def transaction_ids(home):
    return {row["transaction_id"] for row in home.rows("transactions")}


@pytest.fixture
def kept(kept_home, monkeypatch):
    """The home with what is referred to, which the environment names."""
    kept_home.home.enter(monkeypatch)
    return kept_home


def test_what_a_sale_is_based_on_stays(kept):
    assert SOLD in days_of(kept.home)[0]
    with kept.home.lake() as lake:
        rows = lake.table("loan_positions", *SOLD_SPAN, kept.sale_version)
        found = rows.order_by("business_date", "loan_id").to_pyarrow().to_pylist()
    assert found == kept.sale_rows


def test_a_delivered_tape_keeps_its_day_its_files_and_its_versions(kept):
    manifest = json.loads(kept.manifest_file.read_text())
    version = manifest["table_versions"]["loan_positions"]
    assert version < kept.sale_version
    assert DELIVERED in days_of(kept.home)[0]
    assert (kept.manifest_file.parent / manifest["file_name"]).exists()
    with kept.home.lake() as lake:
        rows = lake.table("loan_positions", DELIVERED, DELIVERED, version).order_by("business_date", "loan_id")
        assert rows.to_pyarrow().to_pylist() == kept.delivered_rows
    # The other tape was never delivered, and the policy keeps such tapes for no day.
    assert not list(kept.undelivered.iterdir())


def test_a_report_keeps_the_versions_that_it_was_made_of_as_long_as_its_file(kept, monkeypatch):
    made, version = kept.report, kept.report["data_versions"]["loan_positions"]
    assert Path(made["file"]).exists()
    with kept.home.lake() as lake:
        assert lake.table("loan_positions", FIRST, LAST, version).business_date.nunique().to_pyarrow().as_py() == 31
    monkeypatch.setenv("LENDING_RETENTION", keep_little(kept.home))
    apply()
    apply()
    assert not Path(made["file"]).exists()
    [request] = [each for each in kept.home.requests() if each.report_id == made["report_id"]]
    assert (request.status, request.file_url) == ("completed", None)
    assert request.sha256 == made["sha256"]
    assert "housekeeping removed the file" in request.error_message
    with kept.home.lake() as lake, pytest.raises(Exception, match="this version is no longer readable") as raised:
        lake.table("loan_positions", FIRST, LAST, version)
    assert "housekeeping removes files of old versions" in str(raised.value)


def test_reports_with_known_at_still_have_rows_that_vanished(kept):
    assert VANISHED not in transaction_ids(kept.home)
    with kept.home.lake() as lake:
        gone = lake.superseded("transactions", kept.known).to_pyarrow().to_pylist()
    assert [row["transaction_id"] for row in gone] == [VANISHED]


def test_a_tape_of_a_day_whose_run_is_gone_is_still_ready(kept):
    with dg.DagsterInstance.get() as instance:
        assert _unready(instance, LAST)[0] is None


def test_what_is_left_is_read_as_before_after_compaction_and_vacuum(home, monkeypatch):
    monkeypatch.setenv("LENDING_RETENTION", keep_little(without_alerts(home)))
    loans = [row["loan_id"] for row in home.rows("loan_positions", LAST, LAST)]
    for number, loan in enumerate(loans[:3]):
        home.pay(loan, date(2025, 3, 14), "2025-03-14 09:00:00", 1, f"T-{number}")
        materialise(LAST, LAST, "transactions")
    tables = ("transactions", "installments", "loans", "trial_balance", "ledger_tieouts", "closed_days")
    before = {name: home.rows(name) for name in tables}
    files = len(list((home.folder / "lake" / "transactions").glob("*.parquet")))
    apply()
    apply()
    for name in tables[:-1]:
        assert home.rows(name) == before[name], name
    assert len(list((home.folder / "lake" / "transactions").glob("*.parquet"))) == 1 < files
    # A sync goes on where it was.
    assert run_job("sync", assets=tables[:3]).metadata["transactions"]["rows_added"] == 0
