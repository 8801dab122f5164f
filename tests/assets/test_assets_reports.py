"""Reports as the launchpad runs them: a form of defaults in, a file and a row of the register out."""

import csv
import hashlib
import json
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import openpyxl
import pytest
import sqlalchemy as sa
from homes import FIRST, LAST, PORTFOLIO, materialise

from lending_pipelines.assets import report_assets
from lending_pipelines.assets.reports import asset_key
from lending_pipelines.errors import LendingError
from lending_pipelines.register import Alerts
from lending_pipelines.runs import RunFailed, run_job, run_report

REPORTS = ("delinquency_aging", "general_ledger", "loan_tape", "portfolio_summary", "trial_balance")


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize("report_type", REPORTS)
def test_a_report_from_the_launchpads_defaults_is_a_workbook_and_a_completed_request(home, report_type):
    finished = run_job(f"report_{report_type}")

    made = finished.metadata[report_type]
    (request,) = home.requests()
    assert (request.report_type, request.status, request.output_format) == (report_type, "completed", "xlsx")
    assert (request.requested_by, request.run_id) == ("launchpad", finished.run_id)
    assert request.report_id == made["report_id"]
    assert request.file_url == made["file"]
    assert Path(request.file_url).parent == home.folder / "exports" / "reports" / report_type / LAST.isoformat()
    assert request.sha256 == made["sha256"] == sha256(request.file_url)
    assert made["bytes"] == Path(request.file_url).stat().st_size
    assert made["as_of"] == LAST.isoformat()
    # Each daily table of the close adds its days to closed_days, and is itself written once.
    assert {version for name, version in made["data_versions"].items() if name != "closed_days"} == {0}
    assert request.report_data.keys() > {"no_data"}
    assert request.report_data["no_data"] is None
    assert request.error_message is None
    assert request.generated_at >= request.requested_at

    workbook = openpyxl.load_workbook(request.file_url)
    assert {row[1].value for row in workbook.worksheets[0].iter_rows(min_col=1, max_col=2)} >= {
        report_type,
        LAST.isoformat(),
        "1, 30, 60, 90, 120",
    }
    assert len(workbook.sheetnames) > 1


def test_a_request_goes_from_pending_over_generating_to_completed(home):
    with home.register():
        pass
    engine = sa.create_engine(f"sqlite:///{home.folder / 'register.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE seen (status TEXT)")
        connection.exec_driver_sql(
            "CREATE TRIGGER born AFTER INSERT ON reports BEGIN INSERT INTO seen VALUES (NEW.status); END"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER moved AFTER UPDATE ON reports BEGIN INSERT INTO seen VALUES (NEW.status); END"
        )

    run_report("trial_balance", {}, "csv")

    with engine.connect() as connection:
        assert list(connection.scalars(sa.text("SELECT status FROM seen"))) == ["pending", "generating", "completed"]
    engine.dispose()


def test_the_csv_of_the_trial_balance_holds_the_lakes_rows_to_the_cent(home):
    # From before the first entry on, the debits and credits of the period are all that there are.
    period = {"period": "custom", "from_date": "2000-01-01", "to_date": LAST.isoformat()}
    made = run_report("trial_balance", {"as_of": LAST.isoformat()} | period, "csv", requested_by="an auditor")

    with open(made["file"], newline="", encoding="utf-8-sig") as file:
        printed = {(row["currency"], row["account_code"]): row for row in csv.DictReader(file)}
    stored = {(row["currency"], row["account_code"]): row for row in home.rows("trial_balance", LAST, LAST)}
    assert len(stored) > 20
    columns = {"debit": "debit_total", "credit": "credit_total"}
    for name in ("debit", "credit", "debit_balance", "credit_balance"):
        expected = {key: row[columns.get(name, name)] for key, row in stored.items()}
        assert {key: Decimal(printed[key][name]) for key in stored} == expected
    assert home.requests()[0].requested_by == "an auditor"
    # The preview in the UI shows the same cents.
    first = stored[min(stored)]
    assert first["debit_balance"] > 1000
    assert f" {first['debit_balance']} " in made["preview: Trial balance"]
    assert made["preview: Trial balance"].endswith(f"\n\nFirst 10 of {len(stored)} rows.")


def test_a_report_without_rows_says_why_in_the_register(home):
    run_report("manager_performance", {"branch": "nowhere"}, "json")
    assert home.requests()[0].report_data["no_data"] == f"no such manager has loans on {LAST}"


def test_the_alert_log_has_what_people_did_since_the_close(home):
    with home.register() as session:
        alerts = Alerts(session)
        open_alerts = alerts.listed(states=("open",))
        alert_id = alerts.acknowledge(open_alerts[0].alert_id, "ann", "calling the branch").alert_id
        expected = alerts.get(alert_id)
    made = run_report("alert_log", {"allow_pii": True, "period": "year"}, "json")

    tables = {table["title"]: table["rows"] for table in json.loads(Path(made["file"]).read_text())["tables"]}
    (acknowledged,) = [row for row in tables["Alerts"] if row["acknowledged_by"]]
    assert (acknowledged["acknowledged_by"], acknowledged["reason"]) == ("ann", "calling the branch")
    assert (acknowledged["finding"], acknowledged["state"]) == (expected.text, "acknowledged")
    assert sum(row["still_open"] for row in tables["By rule"]) == len(open_alerts)


def test_a_report_on_a_branch_says_nothing_of_the_loans_of_others(home):
    loans = {row["branch_id"]: row for row in home.rows("loan_positions", LAST, LAST) if row["status"] == "active"}
    changed, other = sorted(loans)[:2]
    home.pay(loans[changed]["loan_id"], LAST, f"{LAST + timedelta(days=3)} 10:00:00", 1.23)
    run_job("sync", assets=["transactions"])

    def notes(branch):
        made = run_report("portfolio_summary", {"branch": branch, "history": 1}, "json")
        return [note for note in json.loads(Path(made["file"]).read_text())["notes"] if "no longer agree" in note]

    assert notes(other) == []
    (note,) = notes(changed)
    assert "1 loan (on" in note
    total = loans[changed]["principal_outstanding"]
    # What changed is the one loan, whose balance is named before and after.
    assert f"{total:,.2f} {loans[changed]['currency']} as closed, {total - Decimal('1.23'):,.2f} now" in note


def test_a_csv_of_several_tables_is_a_zip_of_them(home):
    made = run_report("portfolio_summary", {"portfolio": PORTFOLIO, "history": "2"}, "csv")

    assert made["file"].endswith(".zip")
    assert made["sha256"] == sha256(made["file"]) == home.requests()[0].sha256
    assert any(name.startswith("summary") for name in zipfile.ZipFile(made["file"]).namelist())
    assert home.requests()[0].parameters["portfolio"] == PORTFOLIO
    # The materialization shows a preview and the number of rows of each table.
    assert "preview: Summary" in made
    assert made["rows"]["Summary"] == len(made["preview: Summary"].splitlines()) - 2


@pytest.mark.parametrize(
    ("output_format", "suffix", "opening"),
    [("pdf", ".pdf", b"%PDF-"), ("json", ".json", b'{"report_type": "portfolio_summary"'), ("parquet", ".zip", b"PK")],
)
def test_a_report_comes_in_the_format_asked_for(home, output_format, suffix, opening):
    made = run_report("portfolio_summary", {"history": "2"}, output_format)

    (request,) = home.requests()
    assert (request.status, request.output_format, request.file_url) == ("completed", output_format, made["file"])
    assert made["file"].endswith(suffix)
    assert Path(made["file"]).read_bytes().startswith(opening)
    assert made["sha256"] == sha256(made["file"])


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"as_of": "14.3.2025"}, "as_of is '14.3.2025': write a date like 2025-01-31, or latest"),
        ({"by": "portfolios"}, "by is 'portfolios': write 'portfolio', 'program', "),
        ({"history": "0"}, "history is '0': Input should be greater than or equal to 1"),
        ({"portfolo": "ALL"}, "unknown parameter portfolo; did you mean 'portfolio'?"),
        ({"portfolio": "A", "product": "B"}, "choose only one of portfolio, product and set the others to ALL"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_to_write_before_anything_runs(home, parameters, told):
    with pytest.raises(LendingError) as refused:
        run_report("portfolio_summary", parameters, "xlsx")

    assert str(refused.value).startswith("report portfolio_summary: ")
    assert told in str(refused.value)
    assert home.requests() == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            {"portfolio": "Consumer 2025"},
            rf"there is no portfolio 'Consumer 2025' on {LAST}; did you mean '{PORTFOLIO}'\?",
        ),
        (
            {"as_of": "2025-01-31"},
            rf"has no 2025-01-31: the nearest closed days are {FIRST}; run lending close",
        ),
    ],
)
def test_what_only_the_lake_can_tell_is_refused_by_the_run_and_the_request_failed(home, parameters, told):
    with pytest.raises(RunFailed, match=told):
        run_report("portfolio_summary", parameters, "xlsx")

    (request,) = home.requests()
    assert request.status == "failed"
    assert told.split(r"\?")[0].split(";")[0] in request.error_message
    assert not (home.folder / "exports" / "reports").exists()


def test_a_launchpad_refuses_another_format_before_the_run(home):
    op = asset_key("trial_balance").to_python_identifier()
    with pytest.raises(dg.DagsterInvalidConfigError, match="output_format not in enum type Literal"):
        run_job("report_trial_balance", {"ops": {op: {"config": {"output_format": "doc"}}}})

    assert home.requests() == []


@pytest.mark.parametrize("asset", report_assets(), ids=lambda asset: asset.key.path[-1])
def test_every_field_of_a_form_shows_its_default_and_says_what_it_is(asset):
    fields = asset.op.config_schema.as_field().config_type.fields

    assert {"output_format", "requested_by"} <= fields.keys()
    assert [name for name, field in fields.items() if not field.default_provided] == []
    # By default, nobody is sent the report.
    assert fields["notify"].default_value == []
    others = [name for name in fields if name != "notify"]
    assert [name for name in others if fields[name].default_value in (None, "", [])] == []
    assert [name for name, field in fields.items() if len(field.description or "") < 10] == []


def test_no_text_of_the_lender_becomes_a_formula(home):
    home.servicing("UPDATE products SET name = '=HYPERLINK(\"http://x\")', product_type = '+1'")
    materialise(LAST, LAST, "products", "portfolio_snapshots")

    made = run_report("portfolio_summary", {"by": "product", "history": "1"}, "xlsx")

    cells = [cell for sheet in openpyxl.load_workbook(made["file"]) for row in sheet.iter_rows() for cell in row]
    named = [cell for cell in cells if "HYPERLINK" in str(cell.value)]
    assert named
    assert {cell.data_type for cell in named} == {"s"}
    formulas = [str(cell.value) for cell in cells if cell.data_type == "f"]
    assert all(formula.startswith(("=SUM(", "=SUMIFS(")) for formula in formulas)


def late_by(row: dict) -> str:
    """The bucket of edges 1, 16, 31."""
    days = row["days_past_due"]
    return "current" if days < 1 else "1-15" if days < 16 else "16-30" if days < 31 else "31+"


def test_conventions_change_the_numbers_of_a_close_and_are_printed_on_the_report(home, tmp_path, monkeypatch):
    # A day on which PAR 30 of the two operators differs: a loan is exactly 30 days late.
    late = [row for row in home.rows("loan_positions") if row["days_past_due"] == 30]
    day: date = late[0]["business_date"]
    assert late[0]["principal_outstanding"] > 0
    (tmp_path / "conventions.toml").write_text('bucket_edges = [1, 16, 31]\npar_operator = ">"\n')
    monkeypatch.setenv("LENDING_CONVENTIONS", str(tmp_path / "conventions.toml"))

    materialise(day, day, "loan_positions", "aging_buckets", "portfolio_snapshots")
    made = run_report("portfolio_summary", {"as_of": day.isoformat(), "history": "1"}, "xlsx")

    positions = home.rows("loan_positions", day, day)
    assert [row["bucket"] for row in positions] == [late_by(row) for row in positions]
    assert {row["bucket"] for row in home.rows("aging_buckets", day, day)} <= {"current", "1-15", "16-30", "31+"}
    for whole in home.rows("portfolio_snapshots", day, day):
        if whole["scope"] == "all":
            mine = [row for row in positions if row["currency"] == whole["currency"]]
            above = sum(row["principal_outstanding"] for row in mine if row["days_past_due"] > 30)
            owed = sum(row["principal_outstanding"] for row in mine)
            assert whole["par_30"] == pytest.approx(float(above / owed), abs=1e-12)
    cover = openpyxl.load_workbook(made["file"]).worksheets[0]
    printed = {row[0].value: row[1].value for row in cover.iter_rows(min_col=1, max_col=2)}
    assert (printed["bucket_edges"], printed["par_operator"]) == ("1, 16, 31", ">")
