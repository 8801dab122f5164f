"""The real tape, from its files to snapshots and reports: the totals that its README publishes, to the cent.

It goes out again as Schedule AL: valid by the SEC's schema, and loan by loan what its source says.
"""

import csv
import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import dagster as dg
import openpyxl
import pytest
from homes import Home, materialise

from lending_pipelines.conventions import Conventions
from lending_pipelines.register import Portfolios
from lending_pipelines.runs import run_job, run_report
from lending_pipelines.sources import open_source, sync_tables
from lending_pipelines.tables import SERVICING
from lending_pipelines.tapes import save_tape_config

CUT_OFF = date(2019, 8, 31)
# Period end, loans with a balance, principal outstanding, paid to date: the README of the tape.
PUBLISHED = [
    (CUT_OFF, 2861, "37193021.80", "0.00"),
    (date(2019, 9, 30), 2829, "36298225.84", "1164270.83"),
    (date(2023, 6, 30), 1096, "4804472.78", "37793514.92"),
]
OFFERED = {"branches", "borrowers", "programs", "products", "loans", "installments", "transactions"}
DAY, BEFORE = date(2020, 6, 30), date(2020, 5, 31)
"""The day of Schedule AL, and the month end before."""
NAMESPACE = "{http://www.sec.gov/edgar/document/absee/autoloan/assetdata}"
TERMS = ("originationDate", "loanMaturityDate", "originalLoanTerm", "vehicleNewUsedCode", "paymentTypeCode")
VALUES = {
    "primaryLoanServicerName": "Ally Bank",
    "originatorName": "Ally Bank",
    "vehicleNewUsedCode": {"new": "1", "used": "2"},
}


def _source(shared_dir: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(shared_dir / "data" / "autoloans" / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tape(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home on the tape, all its loans in a portfolio, with the cut-off day closed by the daily close.

    Two more days of the README are derived. Schedule AL is made of a day, with the month end before it in the lake.
    """
    home = Home(tmp_path_factory.mktemp("absee") / "home")
    outputs = {output_format: f"Schedule AL {output_format}" for output_format in ("xml", "csv")}
    with home.register() as session:
        pool = Portfolios(session).create("Pool", CUT_OFF).portfolio_id
        Portfolios(session).assign(pool, [row["assetNumber"] for row in _source(shared_dir, "loans")], CUT_OFF)
        for output_format, name in outputs.items():
            save_tape_config(
                session,
                name,
                pool,
                tape_format=output_format,
                tape_schedule="0 0 1 1 *",
                template="sec_schedule_al_auto_loans",
                template_values=VALUES,
                allow_pii=True,
            )
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        monkeypatch.setenv("LENDING_SOURCE", "absee")
        monkeypatch.setenv("LENDING_SERVICING_URL", str(shared_dir / "data" / "autoloans"))
        run_job("daily_close", days=(CUT_OFF, CUT_OFF))
        (next_day, *_), (last, *_) = PUBLISHED[1:]
        materialise(next_day, next_day, "loan_positions", "portfolio_snapshots")
        materialise(last, last, "loan_positions", "aging_buckets", "portfolio_snapshots")
        materialise(BEFORE, BEFORE, "loan_positions")
        config = {"ops": {"loan_tapes": {"config": {"tapes": list(outputs.values())}}}}
        materialise(DAY, DAY, "loan_positions", "loan_tapes", config=config)
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


@pytest.fixture(scope="module")
def metadata(tape) -> dict[str, Mapping[str, dg.MetadataValue]]:
    """What the sync said of each table."""
    with dg.DagsterInstance.get() as instance:
        latest = {name: instance.get_latest_materialization_event(dg.AssetKey(name)) for name in SERVICING}
    return {name: event.asset_materialization.metadata for name, event in latest.items()}


def test_tables_that_the_tape_has_not_are_there_empty_and_say_so(tape, metadata):
    absent = {name for name, said in metadata.items() if "absent" in said}
    assert absent == set(SERVICING) - OFFERED
    assert metadata["journal_lines"]["absent"].value == "no data: the source does not have this table"
    assert all(tape.rows(name) == [] for name in absent)
    assert metadata["loans"]["notes"].value == {"skipped_loans_without_balance_at_cut_off": 34}
    assert metadata["loans"]["rows_added"].value == 2861


def test_the_transactions_come_in_whole_and_unchanged_the_second_time(tape, metadata, shared_dir):
    # The tape says neither what was charged off nor how late a loan is.
    assert metadata["transactions"]["notes"].value.keys() == {"repossession_costs_above_recoveries"}
    assert metadata["transactions"]["watermark"].value == "2023-07-01 00:00:00"
    source = open_source("absee", str(shared_dir / "data" / "autoloans"))
    with tape.lake() as lake:
        rows = lake.table("transactions")
        assert rows.filter(rows.type == "repayment").amount.sum().to_pyarrow().as_py() == Decimal("37793514.92")
        [(_, result)] = sync_tables(source, [SERVICING["transactions"]], lake, Conventions())
        assert result.rows_added == 0
        assert lake.version("transactions") == 0


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
    # By period end, so that a loan's last reported balance stands.
    for month in sorted(_source(shared_dir, "monthly"), key=lambda row: row["periodEnd"]):
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


def _file(tape: Home, output_format: str) -> Path:
    name = f"schedule-al-{output_format}"
    return tape.folder / "exports" / "tapes" / name / f"{DAY}" / f"{name}_{DAY}.{output_format}"


@pytest.fixture(scope="module")
def assets(tape: Home) -> dict[str, dict[str, str]]:
    """What the XML file of Schedule AL says of each loan."""
    root = ElementTree.parse(_file(tape, "xml")).getroot()
    assert root.tag == f"{NAMESPACE}assetData"
    rows = [{child.tag.removeprefix(NAMESPACE): child.text for child in asset} for asset in root]
    return {row["assetNumber"]: row for row in rows}


def test_schedule_al_is_valid_against_the_schema(tape, shared_dir, tmp_path):
    from lxml import etree

    for path in (shared_dir / "oracles" / "tapes").glob("*.xsd"):
        shutil.copy(path, tmp_path)
    # The commons import the SEC's state codes, which nothing in an asset file is.
    (tmp_path / "eis_stateCodes.xsd").write_text(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.sec.gov/edgar/statecodes">'
        '<xs:simpleType name="STATE_COUNTRY_CODE"><xs:restriction base="xs:token"/></xs:simpleType></xs:schema>'
    )
    schema = etree.XMLSchema(etree.parse(tmp_path / "eis_ABS_AutoLoanAssetData.xsd"))
    document = etree.parse(_file(tape, "xml"))

    schema.assertValid(document)
    # The schema does see what is wrong.
    document.getroot()[0][0].tag = f"{NAMESPACE}assetNumber"
    assert not schema.validate(document)


def test_balances_and_payments_of_schedule_al_are_those_of_the_source(assets, shared_dir):
    loans = {row["assetNumber"]: row for row in _source(shared_dir, "loans")}
    months = _source(shared_dir, "monthly")
    reported = {row["assetNumber"]: row for row in months if row["periodEnd"] == f"{DAY}"}
    before = {row["assetNumber"]: row for row in months if row["periodEnd"] == f"{BEFORE}"}
    compared = 0
    for loan_id, month in reported.items():
        if not Decimal(loans[loan_id]["reportingPeriodActualEndBalanceAmount"]):
            continue
        if not month["endBalance"]:
            continue
        asset = assets.get(loan_id)
        if asset is None:
            # Reported once more with nothing left and nothing paid.
            assert Decimal(month["endBalance"]) == Decimal(month["totalPaid"] or 0) == 0
            continue
        compared += 1
        assert Decimal(asset["reportingPeriodActualEndBalanceAmount"]) == Decimal(month["endBalance"]), loan_id
        assert Decimal(asset["totalActualAmountPaid"]) == Decimal(month["totalPaid"] or 0), loan_id
        if loan_id in before and before[loan_id]["endBalance"]:
            opening = Decimal(before[loan_id]["endBalance"])
            assert Decimal(asset["reportingPeriodBeginningLoanBalanceAmount"]) == opening, loan_id
    assert compared > 2500


def test_statuses_of_schedule_al_are_those_of_the_source(assets, shared_dir):
    months = _source(shared_dir, "monthly")
    before = {row["assetNumber"]: row for row in months if row["periodEnd"] == f"{BEFORE}"}
    ended = {"1": 0, "4": 0}
    for month in months:
        asset = assets.get(month["assetNumber"])
        if month["periodEnd"] != f"{DAY}" or asset is None or not month["endBalance"]:
            continue
        if Decimal(month["endBalance"]) > 0:
            assert "zeroBalanceCode" not in asset
            assert "zeroBalanceEffectiveDate" not in asset
            continue
        opening = before.get(month["assetNumber"])
        if opening is None or not opening["endBalance"] or not Decimal(opening["endBalance"]):
            continue
        # What no cash explains of a fall to zero was charged off.
        residual = max(Decimal(opening["endBalance"]) - Decimal(month["totalPaid"] or 0), Decimal(0))
        if residual:
            residual = Decimal(opening["endBalance"]) - min(
                max(Decimal(month["principalCollected"] or 0), Decimal(0)), Decimal(month["totalPaid"] or 0)
            )
        code = "4" if residual else "1"
        ended[code] += 1
        assert asset["zeroBalanceCode"] == code, month
        assert asset["zeroBalanceEffectiveDate"] == "06/2020"
        assert Decimal(asset["chargedoffPrincipalAmount"]) == residual, month
        assert asset["currentDelinquencyStatus"] == "0"
    assert min(ended.values()) > 0, ended


def test_what_does_not_change_in_schedule_al_is_as_at_the_cut_off(assets, shared_dir):
    for loan in _source(shared_dir, "loans"):
        asset = assets.get(loan["assetNumber"])
        if asset is None:
            continue
        assert asset["assetTypeNumber"] == "Sponsor Assigned"
        assert asset["reportingPeriodBeginningDate"] == "06-01-2020"
        assert asset["reportingPeriodEndingDate"] == "06-30-2020"
        for name in TERMS:
            assert asset[name] == loan[name], (name, loan["assetNumber"])
        assert asset["obligorGeographicLocation"] == loan["obligorGeographicLocation"]
        assert Decimal(asset["originalLoanAmount"]) == Decimal(loan["originalLoanAmount"])
        assert Decimal(asset["reportingPeriodInterestRatePercentage"]) == Decimal(
            loan["reportingPeriodInterestRatePercentage"]
        )
        if loan["obligorCreditScore"]:
            assert asset["obligorCreditScore"] == loan["obligorCreditScore"].removesuffix(".0")
        else:
            assert "obligorCreditScore" not in asset


def test_the_csv_file_of_schedule_al_says_the_same_and_the_manifest_vouches_for_both(tape, assets):
    with _file(tape, "csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert {row["assetNumber"]: row for row in rows} == assets
    told = json.loads(Path(f"{_file(tape, 'xml')}.manifest.json").read_text())
    total = sum(Decimal(asset["reportingPeriodActualEndBalanceAmount"]) for asset in assets.values())
    assert told["row_count"] == len(assets)
    assert Decimal(told["totals"][0]["amounts"]["principal_outstanding"]) == total
    # 39 of the template's own, and what the config gives: the new or used code, the servicer and the originator.
    assert told["coverage"]["filled"] == 42
