"""Loan tapes of the close: due by their schedule, never overwritten, corrected by a new version."""

import csv
import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import openpyxl
import pytest
from homes import LAST, MONTHLY_TAPE, OPEN, Home, materialise

MONTH_END = date(2025, 2, 28)


def files(home: Home) -> dict[str, str]:
    """Every file of the tapes with its SHA-256, by its path under the exports."""
    root = home.folder / "exports" / "tapes"
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def monthly(name: str) -> str:
    return f"consumer-monthly/{MONTH_END}/consumer-monthly_{MONTH_END}{name}"


def manifest(home: Home, path: str) -> dict:
    return json.loads((home.folder / "exports" / "tapes" / f"{path}.manifest.json").read_text())


def balances(path: Path) -> dict[str, Decimal]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return {row["loan_id"]: Decimal(row["balance"]) for row in csv.DictReader(file)}


def named(*tapes: str) -> dict:
    return {"ops": {"loan_tapes": {"config": {"tapes": list(tapes)}}}}


def test_the_close_makes_each_tape_on_the_days_of_its_schedule_with_its_manifest(closed_home):
    made = files(closed_home)
    yearly = f"fund-yearly/{LAST}/fund-yearly_{LAST}.xlsx"

    assert set(made) == {
        monthly(".csv"),
        monthly(".csv.manifest.json"),
        yearly,
        f"{yearly}.manifest.json",
    }
    for path in (monthly(".csv"), yearly):
        assert manifest(closed_home, path)["sha256"] == made[path]


def test_a_tape_holds_its_portfolios_loans_as_the_positions_of_the_day_have_them(closed_home):
    positions = [row for row in closed_home.rows("loan_positions", MONTH_END, MONTH_END) if row["portfolio_id"]]
    told = manifest(closed_home, monthly(".csv"))

    tape = balances(closed_home.folder / "exports" / "tapes" / monthly(".csv"))
    assert len(tape) == 40
    assert tape == {row["loan_id"]: row["principal_outstanding"] for row in positions}
    assert (told["version"], told["supersedes"], told["row_count"]) == (1, None, 40)
    assert sum(Decimal(total["amounts"]["principal_outstanding"]) for total in told["totals"]) == sum(tape.values())
    assert told["table_versions"] == {"loan_positions": 0, "products": 0}
    assert told["conventions"]["par_operator"] == ">="


def test_an_investors_tape_holds_that_investors_loans_only(closed_home):
    path = closed_home.folder / "exports" / "tapes" / f"fund-yearly/{LAST}/fund-yearly_{LAST}.xlsx"
    sheet = openpyxl.load_workbook(path).worksheets[1]

    cells = {str(cell.value) for row in sheet.iter_rows() for cell in row}
    owned = {row["loan_id"] for row in closed_home.rows("loan_positions", LAST, LAST) if row["investor_id"]}
    others = {row["loan_id"] for row in closed_home.rows("loan_positions", LAST, LAST)} - owned
    assert len(owned) == 20
    assert owned <= cells
    assert not others & cells


def test_a_tape_with_the_same_content_is_not_written_again_and_a_restatement_makes_a_new_version(home):
    before = files(home)
    materialise(MONTH_END, MONTH_END, "loan_tapes")
    assert files(home) == before

    first = balances(home.folder / "exports" / "tapes" / monthly(".csv"))
    loan_id = next(loan for loan, balance in first.items() if balance > 100)
    home.pay(loan_id, date(2025, 2, 27), "2025-03-16 09:00:00", 25)
    made = materialise(MONTH_END, MONTH_END, "transactions", "loan_positions", "loan_tapes")

    after = files(home)
    changes = monthly("_v2.csv.changes.csv")
    assert set(after) - set(before) == {monthly("_v2.csv"), monthly("_v2.csv.manifest.json"), changes}
    assert {path: after[path] for path in before} == before
    second = balances(home.folder / "exports" / "tapes" / monthly("_v2.csv"))
    assert second == first | {loan_id: first[loan_id] - 25}
    told = manifest(home, monthly("_v2.csv"))
    assert (told["version"], told["supersedes"]) == (2, monthly(".csv").rpartition("/")[2])
    assert told["sha256"] == after[monthly("_v2.csv")]
    # The payment of 25.00 is all that changed.
    assert told["changes"] == {
        "file_name": changes.rpartition("/")[2],
        "sha256": after[changes],
        "loans_added": 0,
        "loans_removed": 0,
        "loans_changed": 1,
        "fields": {"balance": 1},
        "columns_added": [],
        "columns_removed": [],
    }
    listed = (home.folder / "exports" / "tapes" / changes).read_text().splitlines()
    assert listed == [
        '"change","loan_id","field","before","after"',
        f'"changed","{loan_id}","balance","{first[loan_id]:f}","{second[loan_id]:f}"',
    ]
    assert told["table_versions"]["loan_positions"] == 1
    assert made["files"] == {told["file_name"]: {"sha256": told["sha256"], "rows": 40}}

    # Once corrected, the day stays as it is.
    materialise(MONTH_END, MONTH_END, "loan_tapes")
    assert files(home) == after


def test_a_named_tape_is_made_on_a_day_on_which_it_is_not_due(home):
    made = materialise(LAST, LAST, "loan_tapes", config=named(MONTHLY_TAPE))

    assert list(made["files"]) == [f"consumer-monthly_{LAST}.csv"]
    assert f"consumer-monthly/{LAST}/consumer-monthly_{LAST}.csv" in files(home)


def test_a_tape_of_another_name_is_refused_with_the_names_near_it(home):
    with pytest.raises(dg.Failure, match=f"there is no tape 'Consumer montly': did you mean '{MONTHLY_TAPE}'"):
        materialise(LAST, LAST, "loan_tapes", config=named("Consumer montly"))


def test_no_tape_is_made_of_a_day_that_is_not_closed(home):
    before = files(home)

    with pytest.raises(dg.Failure, match=f"loan_positions: positions_complete fails for .* on {OPEN}"):
        materialise(OPEN, OPEN, "loan_tapes", config=named(MONTHLY_TAPE))

    assert files(home) == before
