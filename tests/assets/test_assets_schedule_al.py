"""The real tape goes out again as Schedule AL: valid by the SEC's schema, and loan by loan what its source says."""

import csv
import gzip
import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from homes import Home, materialise

from lending_pipelines.register import Portfolios
from lending_pipelines.runs import run_job
from lending_pipelines.tapes import save_tape_config

DAY, BEFORE, CUT_OFF = date(2020, 6, 30), date(2020, 5, 31), date(2019, 8, 31)
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
def tape(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tape of the day: the whole source in one portfolio, it and the month end before in the lake."""
    home = Home(tmp_path_factory.mktemp("schedule_al") / "home")
    loan_ids = [row["assetNumber"] for row in _source(shared_dir, "loans")]
    with home.register() as session:
        pool = Portfolios(session).create("Pool", CUT_OFF)
        Portfolios(session).assign(pool.portfolio_id, loan_ids, CUT_OFF)
        for output_format in ("xml", "csv"):
            save_tape_config(
                session,
                f"Schedule AL {output_format}",
                pool.portfolio_id,
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
        run_job("sync")
        materialise(BEFORE, BEFORE, "portfolio_membership", "loan_ownership", "loan_positions")
        materialise(DAY, DAY, "loan_positions")
        materialise(
            DAY,
            DAY,
            "loan_tapes",
            config={"ops": {"loan_tapes": {"config": {"tapes": ["Schedule AL xml", "Schedule AL csv"]}}}},
        )
    return home.folder / "exports" / "tapes"


def _file(tape: Path, output_format: str) -> Path:
    return tape / f"schedule-al-{output_format}" / f"{DAY}" / f"schedule-al-{output_format}_{DAY}.{output_format}"


@pytest.fixture(scope="module")
def assets(tape: Path) -> dict[str, dict[str, str]]:
    """What the XML file says of each loan."""
    root = ElementTree.parse(_file(tape, "xml")).getroot()
    assert root.tag == f"{NAMESPACE}assetData"
    rows = [{child.tag.removeprefix(NAMESPACE): child.text for child in asset} for asset in root]
    return {row["assetNumber"]: row for row in rows}


def test_it_is_valid_against_the_schema(tape, shared_dir, tmp_path):
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


def test_balances_and_payments_are_those_of_the_source(assets, shared_dir):
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


def test_statuses_are_those_of_the_source(assets, shared_dir):
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


def test_what_does_not_change_is_as_at_the_cut_off(assets, shared_dir):
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


def test_the_csv_file_says_the_same_and_the_manifest_vouches_for_both(tape, assets):
    with _file(tape, "csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert {row["assetNumber"]: row for row in rows} == assets
    told = json.loads(Path(f"{_file(tape, 'xml')}.manifest.json").read_text())
    total = sum(Decimal(asset["reportingPeriodActualEndBalanceAmount"]) for asset in assets.values())
    assert told["row_count"] == len(assets)
    assert Decimal(told["totals"][0]["amounts"]["principal_outstanding"]) == total
    # 39 of the template's own, and what the config gives: the new or used code, the servicer and the originator.
    assert told["coverage"]["filled"] == 42
