"""The command `lending`: what it prints, what it writes, and one line and status 1 for a user's error."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from homes import FIRST, LAST, OPEN, PORTFOLIO, lending
from typer.testing import CliRunner

from lending_pipelines.cli import app, main
from lending_pipelines.cli.terminal import VERBOSE

LENDING = Path(sys.executable).parent / "lending"


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """What `lending` prints on standard error when it ends with status 1."""
    monkeypatch.setattr(sys, "argv", ["lending", *arguments])
    monkeypatch.setattr(VERBOSE, "chosen", False)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_sample_fills_the_homes_database_and_never_over_rows(empty_home, tmp_path):
    period = ("--from", "2025-01-01", "--to", "2025-01-05", "--loans", "5")
    done = invoke("sample", *period)

    assert done.exit_code == 0, done.output
    printed = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert printed["loans"] == "5"
    engine = sa.create_engine(empty_home.servicing_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM loans")) == 5
    engine.dispose()

    assert "use --overwrite to replace them" in str(invoke("sample", *period).exception)
    assert invoke("sample", *period, "--overwrite").exit_code == 0
    elsewhere = f"sqlite:///{tmp_path / 'other.db'}"
    assert invoke("sample", *period, "--url", elsewhere).exit_code == 0
    assert (tmp_path / "other.db").exists()


def test_close_skips_days_that_are_closed(home):
    before = home.versions()

    done = invoke("close", "--from", str(FIRST), "--to", str(LAST))

    assert done.exit_code == 0
    assert done.stdout == f"{FIRST} to {LAST} is already closed; use --force to close it again.\n"
    assert home.versions() == before


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2025-03-14", "2025-03-01", "2025-03-14 to 2025-03-01: the first day is after the last"),
        ("2019-07-31", "2019-08-02", "2019-07-31 is before the first business date, 2019-08-01"),
        ("2025-03-14", "2199-01-01", "2199-01-01 has not ended in UTC: close up to 20"),
    ],
)
@pytest.mark.parametrize("again", [[], ["--force"]], ids=["", "force"])
def test_close_refuses_days_that_are_no_business_dates(home, monkeypatch, capsys, first, last, told, again):
    errors = failed(monkeypatch, capsys, "close", "--from", first, "--to", last, *again)

    assert errors.startswith(f"Error: {told}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "days", [[], ["--from", str(LAST)], ["--date", str(LAST), "--to", str(LAST)]], ids=["none", "half", "both"]
)
def test_close_wants_a_day_or_a_range(home, monkeypatch, capsys, days):
    errors = failed(monkeypatch, capsys, "close", *days)

    assert errors == "Error: close: write --date with a day, or both --from and --to, such as --date 2025-01-31\n"


def test_close_prints_the_numbers_of_a_manager(home, monkeypatch, capsys):
    row = home.rows("manager_snapshots", LAST, LAST)[0]

    done = invoke("close", "--date", str(LAST), "--manager", row["manager_id"])

    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["health_category", row["health_category"]] in [line[:2] for line in lines]
    assert ["total_collected", f"{row['total_collected']:,}"] in [line[:2] for line in lines]
    errors = failed(monkeypatch, capsys, "close", "--date", str(LAST), "--manager", "nobody")
    assert errors.startswith(f"Error: no manager 'nobody' has loans on {LAST}; ")


def test_report_prints_where_its_file_is(home):
    done = invoke(
        "report", "portfolio_summary", "--set", f"portfolio={PORTFOLIO}", "--set", "history=1", "--format", "csv"
    )

    assert done.exit_code == 0, done.output
    file, rest = done.stdout.split("  (")
    (request,) = home.requests()
    assert file == request.file_url
    assert rest.endswith(f" rows, sha256 {request.sha256})\n")
    assert request.requested_by == "command line"
    assert request.parameters | {"portfolio": PORTFOLIO, "history": 1} == request.parameters


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["trial_balanc"], "unknown report 'trial_balanc'; did you mean 'trial_balance'?"),
        (["trial_balance", "--set", "as_of"], "--set as_of: write a parameter like name=value"),
        (
            ["trial_balance", "--set", "asof=latest"],
            "report trial_balance: unknown parameter asof; did you mean 'as_of'?",
        ),
        (["trial_balance", "--format", "docx"], "report trial_balance: unknown format 'docx'; write csv or xlsx"),
        (
            ["trial_balance", "--set", f"as_of={OPEN}"],
            f"report_trial_balance: trial_balance has no {OPEN}: the nearest",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_1(home, monkeypatch, capsys, arguments, told):
    errors = failed(monkeypatch, capsys, "report", *arguments)

    assert errors.startswith(f"Error: {told}")
    assert errors.count("\n") == 1


# Modules read the first two settings when they are imported.
@pytest.mark.parametrize(
    ("variable", "value"),
    [("LENDING_START_DATE", "yesterday"), ("LENDING_TIMEZONE", "America"), ("LENDING_HOME", "/dev/null/home")],
)
def test_a_wrong_setting_is_one_line_of_a_real_process(tmp_path, monkeypatch, variable, value):
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.setenv("LENDING_HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    done = subprocess.run([LENDING, "sync"], capture_output=True, text=True, timeout=120)

    one_line(done, value)


def one_line(done: subprocess.CompletedProcess, told: str) -> None:
    """The command has failed with one line that says that."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_verbose_adds_the_trace_of_what_failed_in_the_run(home, monkeypatch):
    monkeypatch.setenv("LENDING_SOURCE", "no_such_adapter")
    monkeypatch.setattr(VERBOSE, "chosen", False)
    done = lending("--verbose", "sync")

    assert done.returncode == 1
    assert "unknown source adapter 'no_such_adapter': set LENDING_SOURCE to one of absee, canonical" in done.stderr
    # Where it happened, which only the run knows.
    assert "in open_source" in done.stderr


def test_a_failed_request_is_listed_with_its_reason_and_can_be_asked_again(empty_home, monkeypatch, capsys):
    from lending_pipelines.register import ReportRequests

    with empty_home.register() as session:
        broken = ReportRequests(session).create("trial_balance", {}, "csv", "ann")
        waiting = ReportRequests(session).create("loan_tape", {}, "pdf", "bob")
        ReportRequests(session).fail(broken, "no such day")

    listed = invoke("requests").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["report_id", waiting, broken]
    assert listed.splitlines()[2].split()[3:] == ["failed", "trial_balance", "ann", "no", "such", "day"]
    assert waiting not in invoke("requests", "--status", "failed").stdout

    assert invoke("ask-again", broken).exit_code == 0
    assert {request.status for request in empty_home.requests()} == {"pending"}
    assert "is pending: only failed requests" in failed(monkeypatch, capsys, "ask-again", broken)


def test_tapes_are_configured_from_a_file_that_is_checked_first(home, tmp_path, monkeypatch, capsys):
    file = tmp_path / "tape.toml"
    file.write_text(f'name = "Quarterly"\nportfolio = "{PORTFOLIO}"\ntape_schedule = "quarterly"\n')
    done = invoke("tape-config", str(file))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Quarterly: csv, quarterly  (")

    file.write_text(f'name = "Other"\nportfolio = "{PORTFOLIO}"\nrequired_fields = ["loan_id", "statuss"]\n')
    refused = failed(monkeypatch, capsys, "tape-config", str(file))
    assert refused == "Error: tape 'Other': unknown field 'statuss': did you mean 'status'?\n"


def test_tape_fields_and_templates_are_listed():
    fields = invoke("tape-fields").stdout.splitlines()
    assert any(line.startswith("borrower_id ") and " personal " in line for line in fields)
    (line,) = [line for line in invoke("tape-templates").stdout.splitlines() if line.startswith("esma_annex5_auto")]
    # The standard has 84 fields; of the deal and its originator, four must be known and no servicing system has them.
    assert "84 fields: " in line
    assert ", 4 to be given, " in line
    assert any(
        line.split()[:3] == ["AUTL30", "filled", "principal_outstanding"]
        for line in invoke("tape-templates", "esma_annex5_auto").stdout.splitlines()
    )


def test_a_tape_is_delivered_by_hand_and_listed_with_its_receipt(home, tmp_path, monkeypatch, capsys):
    file = tmp_path / "tape.toml"
    file.write_text(f'name = "By hand"\nportfolio = "{PORTFOLIO}"\ndelivery_url = "{tmp_path}/inbox"\n')
    assert invoke("tape-config", str(file)).exit_code == 0

    done = invoke("deliver", "By hand", str(LAST))
    assert done.exit_code == 0, done.output
    digest = hashlib.sha256((tmp_path / "inbox" / f"by-hand_{LAST}.csv").read_bytes()).hexdigest()
    headers, line = invoke("deliveries").stdout.splitlines()
    assert headers.split() == ["day", "status", "tape", "destination", "receipt", "or", "reason"]
    assert line.split()[:5] == [str(LAST), "delivered", "By", "hand", f"{tmp_path}/inbox"]
    assert line.endswith(f"  40 rows  {digest}")
    assert done.stdout.splitlines() == [headers, line]

    again = failed(monkeypatch, capsys, "deliver", "By hand", str(LAST))
    assert f"tape 'By hand' of {LAST}: nothing to deliver: {tmp_path}/inbox: delivered at " in again
    not_closed = failed(monkeypatch, capsys, "deliver", "By hand", str(OPEN))
    assert f"{OPEN} is not closed: run `lending close --from {OPEN} --to {OPEN}` first" in not_closed
    assert f"{OPEN}  pending " in invoke("deliveries", "--status", "pending").stdout
