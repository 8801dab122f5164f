"""The real tape, from its files to snapshots and reports: the totals that its README publishes, to the cent."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import openpyxl
import pytest
from homes import Home, materialise

from lending_pipelines.runs import run_job, run_report
from lending_pipelines.tables import SERVICING

CUT_OFF = date(2019, 8, 31)
# Period end, loans with a balance, principal outstanding, paid to date: the README of the tape.
PUBLISHED = [
    (CUT_OFF, 2861, "37193021.80", "0.00"),
    (date(2019, 9, 30), 2829, "36298225.84", "1164270.83"),
    (date(2023, 6, 30), 1096, "4804472.78", "37793514.92"),
]
OFFERED = {"branches", "borrowers", "programs", "products", "loans", "installments", "transactions"}


@pytest.fixture(scope="module")
def tape(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home on the tape, with the cut-off day closed by the daily close and two more days of the README derived."""
    home = Home(tmp_path_factory.mktemp("absee") / "home")
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        monkeypatch.setenv("LENDING_SOURCE", "absee")
        monkeypatch.setenv("LENDING_SERVICING_URL", str(shared_dir / "data" / "autoloans"))
        run_job("daily_close", days=(CUT_OFF, CUT_OFF))
        for day, *_ in PUBLISHED[1:]:
            materialise(day, day, "loan_positions", "aging_buckets", "portfolio_snapshots")
        yield home


@pytest.mark.parametrize(("day", "loans", "principal", "paid"), PUBLISHED, ids=lambda value: str(value))
def test_the_snapshot_of_all_loans_is_what_the_tape_adds_up_to(tape, day, loans, principal, paid):
    (whole,) = [row for row in tape.rows("portfolio_snapshots", day, day) if row["scope"] == "all"]
    positions = tape.rows("loan_positions", day, day)

    assert whole["total_balance"] == Decimal(principal)
    assert sum(1 for row in positions if row["principal_outstanding"] > 0) == loans
    assert len(positions) == 2861
    assert sum(row["principal_paid"] + row["interest_paid"] + row["fees_paid"] for row in positions) == Decimal(paid)
    assert whole["total_disbursed"] == Decimal("37193021.80")


def test_the_last_snapshot_has_the_tapes_charge_offs(tape):
    last = PUBLISHED[-1][0]
    (whole,) = [row for row in tape.rows("portfolio_snapshots", last, last) if row["scope"] == "all"]

    assert whole["charged_off"] == Decimal("828972.92")


def test_tables_that_the_tape_has_not_are_there_empty_and_say_so(tape):
    with dg.DagsterInstance.get() as instance:
        latest = {name: instance.get_latest_materialization_event(dg.AssetKey(name)) for name in SERVICING}
    metadata = {name: event.asset_materialization.metadata for name, event in latest.items()}

    absent = {name for name, said in metadata.items() if "absent" in said}
    assert absent == set(SERVICING) - OFFERED
    assert metadata["journal_lines"]["absent"].value == "no data: the source does not have this table"
    assert all(tape.rows(name) == [] for name in absent)
    assert metadata["loans"]["notes"].value == {"skipped_loans_without_balance_at_cut_off": 34}
    assert metadata["loans"]["rows_added"].value == 2861


def test_without_a_ledger_its_tables_are_empty(tape):
    assert tape.rows("trial_balance") == []
    assert tape.rows("ledger_tieouts") == []


@pytest.mark.parametrize("report_type", ["trial_balance", "general_ledger"])
def test_a_report_on_the_ledger_that_is_not_there_says_no_data(tape, report_type):
    field = {"trial_balance": "as_of", "general_ledger": "to_date"}[report_type]

    made = run_report(report_type, {field: CUT_OFF.isoformat()}, "xlsx")

    sheets = openpyxl.load_workbook(made["file"]).worksheets
    for sheet in sheets[1:]:
        assert [cell.value for row in sheet.iter_rows() for cell in row if "has no journal_lines" in str(cell.value)]
    assert made["dagster/row_count"] == 0
    assert (tape.requests()[0].report_type, tape.requests()[0].status) == (report_type, "completed")


def test_a_report_of_the_tape_prints_its_total(tape):
    made = run_report("portfolio_summary", {"as_of": CUT_OFF.isoformat(), "history": "1", "by": "program"}, "xlsx")

    cells = [cell.value for sheet in openpyxl.load_workbook(made["file"]) for row in sheet.iter_rows() for cell in row]
    assert 37193021.80 in [float(value) for value in cells if isinstance(value, (int, float, Decimal))]


def test_reports_of_a_month_agree_with_the_tapes_own_rows(tape, shared_dir):
    day = PUBLISHED[-1][0]
    paid, owed = Decimal(0), {}
    with gzip.open(shared_dir / "data" / "autoloans" / "monthly.csv.gz", "rt", encoding="utf-8", newline="") as file:
        # By period end, so that a loan's last reported balance stands.
        for month in sorted(csv.DictReader(file), key=lambda row: row["periodEnd"]):
            if month["endBalance"]:
                owed[month["assetNumber"]] = Decimal(month["endBalance"])
            if month["periodEnd"] == f"{day}":
                paid += Decimal(month["totalPaid"] or 0)
    assert paid == Decimal("373756.11")

    assert _summary("payment_activity", day, period="current_month")["net"] == str(paid)
    assert _summary("portfolio_summary", day, history="1")["total_balance"] == str(sum(owed.values()))


def _summary(report_type: str, day: date, **parameters: str) -> dict:
    """The one row of a report's first table."""
    made = run_report(report_type, {"as_of": day.isoformat(), **parameters}, "json")
    (row,) = json.loads(Path(made["file"]).read_text(encoding="utf-8"))["tables"][0]["rows"]
    return row
