"""`lending restate`: a backdated payment is found by the next close, restated, and both books stay readable."""

import json
import zipfile
from datetime import date
from pathlib import Path

from homes import LAST, MONTHLY_TAPE, OPEN, lending

from lending_pipelines.runs import run_job

FEBRUARY = date(2025, 2, 28)


def report(report_type, output_format, **values):
    """The file of a report on the last day of February."""
    settings = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    made = lending("report", report_type, "--set", f"as_of={FEBRUARY}", *settings, "--format", output_format)
    assert made.returncode == 0, made.stderr
    return Path(next(word for word in made.stdout.split() if word.endswith((".csv", ".json", ".zip"))))


def tables_in_bytes(report_type, book):
    """The files of a report's tables as CSV, without the cover."""
    file = report(report_type, "csv", book=book)
    if file.suffix == ".csv":
        return {"": file.read_bytes()}
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "cover.csv"}


def open_loan(home):
    """A loan of the tape's portfolio that owes more than 100.00 on the last closed day."""
    rows = [row for row in home.rows("loan_positions", LAST, LAST) if row["portfolio_id"] and row["status"] == "active"]
    return next(row for row in rows if row["principal_outstanding"] > 100)["loan_id"]


def deliver_february(inbox, settings):
    """Deliver the tape of February to a folder, with corrections that wait for approval; the delivered files."""
    inbox.mkdir()
    shown = lending("tapes", "show", MONTHLY_TAPE).stdout.replace("deliver_from = ", "# deliver_from = ")
    delivery = f'deliver_from = 2025-02-28\ndelivery_url = "file://{inbox}"\napprove_corrections = true\n'
    settings.write_text(shown + delivery)
    assert lending("tapes", "edit", MONTHLY_TAPE, str(settings)).returncode == 0
    first = lending("deliver", MONTHLY_TAPE, str(FEBRUARY))
    assert first.returncode == 0, first.stderr
    return contents(inbox)


def contents(folder):
    """The files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


SUMMARY = "portfolio_summary"
REPORTS = (SUMMARY, "delinquency_aging", "loan_tape")


def test_a_backdated_payment_from_its_detection_to_its_restatement(home, monkeypatch, tmp_path):
    """The tape of February is delivered, restated, and delivered again; the first numbers can be printed again."""
    monkeypatch.setenv("LENDING_ALERT_ADMINS", "ann@lender.example")
    inbox = tmp_path / "inbox"
    delivered = deliver_february(inbox, tmp_path / "tape.toml")
    loan_id = open_loan(home)
    reported = {name: tables_in_bytes(name, "as_closed") for name in REPORTS}
    assert tables_in_bytes(SUMMARY, "as_reported") == tables_in_bytes(SUMMARY, "as_known") == reported[SUMMARY]
    assert "no closed day differs" in lending("restate", "--from", "2025-02-12", "--to", str(LAST)).stdout

    home.pay(loan_id, date(2025, 2, 27), f"{OPEN} 10:00:00", 12.34)
    run_job("daily_close", days=(OPEN, OPEN), assets=["transactions", "loan_positions", "restatements"])

    expect_the_difference_told(home, loan_id)
    known = tables_in_bytes(SUMMARY, "as_known")
    assert tables_in_bytes(SUMMARY, "as_closed") == reported[SUMMARY] != known

    book = json.loads(report("restatement", "json").read_text())
    tables = {table["title"]: table for table in book["tables"]}
    assert [row["business_date"] for row in tables["Changed days"]["rows"]] == ["2025-02-27", "2025-02-28"]

    done = lending("restate", "--from", "2025-02-12", "--to", str(FEBRUARY), "--apply")
    assert done.returncode == 0, done.stderr
    assert "Closing 2025-02-27 to 2025-02-28 again" in done.stdout
    left = lending("restate", "--from", "2025-03-01", "--to", str(LAST)).stdout
    assert f"To close again: 2025-03-01 to {LAST}. Nothing was changed: add --apply." in left
    closed = {name: tables_in_bytes(name, "as_closed") for name in REPORTS}
    assert closed[SUMMARY] == known
    for name in REPORTS:
        assert tables_in_bytes(name, "as_reported") == reported[name] != closed[name], name
    expect_a_correction_that_waits_for_approval(done.stdout, inbox, delivered)

    # Housekeeping that keeps no version of its own accord keeps what was reported.
    policy = tmp_path / "retention.toml"
    policy.write_text('versions_days = 0\nleftovers_hours = 0\npositions_days = "forever"\n')
    monkeypatch.setenv("LENDING_RETENTION", str(policy))
    assert lending("housekeeping", "--apply").returncode == 0
    assert tables_in_bytes(SUMMARY, "as_reported") == reported[SUMMARY]
    again = lending("restate", "--from", "2025-02-12", "--to", str(FEBRUARY))
    assert again.stdout == "no closed day differs from what is known now.\n"


def expect_the_difference_told(home, loan_id):
    """The close recorded the differences and told the admins; `lending restate` says what would be closed again."""
    rows = [row for row in home.rows("restatements") if row["column"] == "principal_outstanding"]
    assert [row["business_date"] for row in rows][:2] == [date(2025, 2, 27), FEBRUARY]
    assert {(row["loan_id"], row["caused_by"], str(row["difference"])) for row in rows} == {
        (loan_id, "transaction T-late", "-12.34000000")
    }
    with home.register() as session:
        from lending_pipelines.register.models import Notification

        told = session.query(Notification).filter_by(notification_type="restatement").one()
    assert told.recipient == "ann@lender.example"
    line = "closed days from 2025-02-27 changed: 1 loan, principal outstanding -12.34 "
    assert told.subject.startswith(f"Restatement: {line}")

    planned = lending("restate", "--from", "2025-02-12", "--to", str(FEBRUARY))
    assert planned.stdout.startswith(line)
    assert "To close again: 2025-02-27 to 2025-02-28. Nothing was changed: add --apply." in planned.stdout


def expect_a_correction_that_waits_for_approval(told, inbox, delivered):
    """The command that approves the tape's correction was told; the correction is delivered after it, not before."""
    approve = f"`lending approve-correction '{MONTHLY_TAPE}' {FEBRUARY} --by NAME`"
    assert approve in told
    waiting = lending("deliver", MONTHLY_TAPE, str(FEBRUARY))
    assert waiting.returncode == 1
    assert f"nothing to deliver: file://{inbox}: waits for approval: {approve}" in waiting.stderr
    assert contents(inbox) == delivered

    assert lending("approve-correction", MONTHLY_TAPE, str(FEBRUARY), "--by", "Ann").returncode == 0
    assert lending("deliver", MONTHLY_TAPE, str(FEBRUARY)).returncode == 0
    found = contents(inbox)
    assert {name: found[name] for name in delivered} == delivered
    [changes] = [content.decode() for name, content in found.items() if name.endswith(".changes.csv")]
    assert [line for line in changes.splitlines() if "balance" in line], changes


def test_a_sync_says_what_it_added_and_that_is_found_without_a_close(home):
    loan_id = open_loan(home)
    home.pay(loan_id, date(2025, 2, 27), f"{OPEN} 10:00:00", 12.34)

    done = lending("sync")

    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert lines["transactions"][2:4] == ["1", "added"]
    assert lines["loans"][2:4] == ["0", "added"]
    assert lines["branches"] == ["5", "read", "0", "added", "0", "updated", "0", "removed"]
    planned = lending("restate", "--from", "2025-02-27", "--to", str(FEBRUARY))
    assert planned.stdout.startswith("closed days from 2025-02-27 changed: 1 loan, principal outstanding -12.34 ")
    written = home.versions()["restatements"]
    assert lending("restate", "--from", "2025-02-27", "--to", str(FEBRUARY)).stdout == planned.stdout
    assert home.versions()["restatements"] == written

    # One of the two changed days is closed again, and the other still differs.
    planned = lending("restate", "--from", str(FEBRUARY), "--to", str(FEBRUARY))
    assert "To close again: 2025-02-28. Nothing was changed: add --apply." in planned.stdout
    run_job("daily_close", days=(FEBRUARY, FEBRUARY), assets=["loan_positions"])
    left = lending("restate", "--from", "2025-02-27", "--to", str(FEBRUARY)).stdout
    assert "To close again: 2025-02-27. Nothing was changed: add --apply." in left
