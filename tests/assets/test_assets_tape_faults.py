"""Tapes of a tiny lender: faults, days changed after their close, empty tapes, corrections in every format.

The servicing database is that of the case tapes-of-one-folder: loan L1 of 100.00, due 2024-02-05.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from delivering import Daemon, configured, deliveries, told
from homes import Home, materialise
from typer.testing import CliRunner

from lending_pipelines.assets import tape_days
from lending_pipelines.cli import app
from lending_pipelines.register import Investors, Portfolios, RegisterError, TapeFaults
from lending_pipelines.runs import Finished, RunFailed, open_days, run_job
from lending_pipelines.tapes import save_tape_config

DAY, NEXT = date(2024, 6, 1), date(2024, 6, 2)
FORMATS = ("csv", "xlsx", "parquet", "xml")
ASSIGNED = ("portfolio_assignments", "portfolio_membership", "loan_ownership")
FIELDS = ["loan_id", "currency", "principal_outstanding", "annual_rate"]
PORTFOLIO = "p"
WITHOUT_TAPES = "register_without_tapes.db"
"""A copy of the register from before its tapes were configured."""


@dataclass(frozen=True)
class Faulty:
    """A home whose close could not make all tapes, which one test changes, and what else is known of that close."""

    home: Home
    copy: Path
    finished: Finished
    manifest: Path


@pytest.fixture(scope="module")
def faulty(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """The lender with L1 in the portfolio P, and its close of a day with two tapes that cannot be made."""
    home = Home(tmp_path_factory.mktemp("faulty") / "home")
    build = shared_dir / "cases" / "tapes-of-one-folder" / "build.py"
    subprocess.run([sys.executable, build, home.folder], check=True)
    with home.register() as session:
        Portfolios(session).create("P", date(2024, 1, 1), portfolio_id=PORTFOLIO)
        Portfolios(session).assign(PORTFOLIO, ["L1"], date(2024, 1, 1))
    shutil.copy(home.folder / "register.db", home.folder / WITHOUT_TAPES)
    for name in ("A broken", "B whole", "C lost"):
        tape(home, name)
    manifest = break_folder(home, "a-broken", DAY)
    configured(home, "C lost", holiday_calendar="NOWHERE", business_day_convention="following")
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        finished = run_job("daily_close", days=(DAY, DAY))
    return Faulty(home, shutil.copytree(home.folder, home.folder.parent / "copy"), finished, manifest)


@pytest.fixture(scope="module")
def lender(faulty: Faulty, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same lender with its closed day, as if it had no tapes; for reading only."""
    home = Home(shutil.copytree(faulty.copy, tmp_path_factory.mktemp("lender") / "home"))
    shutil.rmtree(home.folder / "exports")
    (home.folder / WITHOUT_TAPES).replace(home.folder / "register.db")
    return home


@pytest.fixture
def tiny(lender: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The test's own copy of it, which the environment names."""
    copy = Home(shutil.copytree(lender.folder, tmp_path / "home"))
    copy.enter(monkeypatch)
    return copy


@pytest.fixture(scope="module")
def taped(lender: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The lender with a tape of each format made of the day; for reading only."""
    home = Home(shutil.copytree(lender.folder, tmp_path_factory.mktemp("taped") / "home"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        for name in FORMATS:
            fields = {"template": "sec_schedule_al_auto_loans", "required_fields": None} if name == "xml" else {}
            tape(home, f"Tape {name}", tape_format=name, **fields)
        materialise(DAY, DAY, "loan_tapes")
    return home


def tape(home: Home, name: str, **settings) -> None:
    with home.register() as session:
        save_tape_config(session, name, PORTFOLIO, **{"required_fields": FIELDS, "deliver_from": DAY, **settings})


def made(home: Home) -> list[str]:
    return sorted(path.name for path in (home.folder / "exports").rglob("*") if path.suffix in (".csv", ".xlsx"))


def faults(home: Home) -> list[tuple[date, str]]:
    with home.register() as session:
        return [(fault.business_date, fault.reason) for fault in TapeFaults(session).all()]


def break_folder(home: Home, slug: str, day: date) -> Path:
    """Put a manifest that cannot be read into a tape's folder."""
    manifest = home.folder / "exports" / "tapes" / slug / str(day) / "x.manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    return manifest


def test_two_tapes_of_one_folder_are_refused_when_the_second_is_saved(tiny, shared_dir):
    case = shared_dir / "cases" / "tapes-of-one-folder"
    saved = CliRunner().invoke(app, ["tape-config", str(case / "tape1.toml")])
    assert saved.exit_code == 0, saved.output
    refused = CliRunner().invoke(app, ["tape-config", str(case / "tape2.toml")])
    assert isinstance(refused.exception, RegisterError)
    message = "tape 'A-B daily': tape 'A/B daily' already uses the folder tapes/a-b-daily: choose another name"
    assert str(refused.exception) == message


def test_one_tapes_fault_stops_neither_the_other_tapes_nor_the_close_and_is_tried_again(faulty, monkeypatch):
    home = faulty.home
    home.enter(monkeypatch)
    reason = f"tape manifest {faulty.manifest} cannot be read: tape: Field required"
    lost = next(fault for _, fault in faults(home) if fault != reason)
    assert "unknown holiday_calendar 'NOWHERE'" in lost
    assert sorted(faults(home)) == sorted([(DAY, reason), (DAY, lost)])
    assert faulty.finished.warnings == [f"check loan_tapes.tapes_made failed: not made: {lost}; {reason}"]
    assert open_days(DAY, DAY) == []
    assert made(home) == [f"b-whole_{DAY}.csv"]
    again = "The next close retries, unless the day itself must be closed again."
    assert sorted(told(home)) == [
        (f"Loan tape A broken of {DAY} not made", f"{reason}. {again}"),
        (f"Loan tape C lost of {DAY} not made", f"{lost}. {again}"),
    ]

    # Another day's run tries again; while the fault is the same, the owner is not notified of it again.
    # DAY is a Saturday, and NEXT a Sunday: under the convention no tape would be due.
    configured(home, "C lost", holiday_calendar=None, business_day_convention="unadjusted")
    materialise(NEXT, NEXT, "loan_positions", "loan_tapes")
    assert (faults(home), len(told(home))) == ([(DAY, reason)], 2)
    whole = [f"{slug}_{day}.csv" for slug in ("b-whole", "c-lost") for day in (DAY, NEXT)]
    assert made(home) == [f"a-broken_{NEXT}.csv", *whole]
    faulty.manifest.unlink()
    materialise(NEXT, NEXT, "loan_tapes")
    assert faults(home) == []
    assert made(home) == [f"a-broken_{day}.csv" for day in (DAY, NEXT)] + whole


def test_a_portfolio_made_after_the_close_keeps_its_tape_waiting_until_the_day_is_closed_again(tiny, tmp_path):
    inbox = tmp_path / "inbox"
    with tiny.register() as session:
        Portfolios(session).remove(PORTFOLIO, ["L1"], date(2024, 1, 1))
        Portfolios(session).create("Late", date(2024, 1, 1), portfolio_id="late")
        Portfolios(session).assign("late", ["L1"], date(2024, 1, 1))
        save_tape_config(session, "Late daily", "late", delivery_url=str(inbox), deliver_from=DAY)
    waits = (
        f"tape 'Late daily' of {DAY}: data changed after the day was closed (portfolio membership of 1 loan): close it"
        f" again with `lending close --from {DAY} --to {DAY} --force`"
    )
    with pytest.raises(RunFailed, match="portfolio membership of 1 loan"):
        run_job("deliver_tape", {"ops": {"deliver": {"config": {"tape": "Late daily", "date": str(DAY)}}}})
    (delivery,) = deliveries(tiny)
    assert (delivery.status, delivery.error_message) == ("pending", waits)
    assert [body for _, body in told(tiny)] == [f"{waits}. It is sent as soon as possible."]
    assert not inbox.exists()
    materialise(DAY, DAY, "loan_tapes")
    assert faults(tiny) == [(DAY, waits)]

    materialise(DAY, DAY, *ASSIGNED, "loan_positions", "loan_tapes")
    assert faults(tiny) == []
    run_job("deliver_tape", {"ops": {"deliver": {"config": {"tape": "Late daily", "date": str(DAY)}}}})
    ((delivery),) = deliveries(tiny)
    assert (delivery.status, delivery.rows) == ("delivered", 1)


@pytest.fixture
def sending(taped: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The test's own copy of the lender with tapes, one of which is to be delivered."""
    home = Home(shutil.copytree(taped.folder, tmp_path / "home"))
    home.enter(monkeypatch)
    configured(home, "Tape csv", delivery_url=str(tmp_path / "inbox"))
    return home


def assert_waits(home: Home, what: str) -> None:
    """The tape's delivery fails because of what changed, and waits."""
    with pytest.raises(RunFailed, match=rf"data changed after the day was closed \({what} of 1 loan\)"):
        run_job("deliver_tape", {"ops": {"deliver": {"config": {"tape": "Tape csv", "date": str(DAY)}}}})
    assert not (home.folder.parent / "inbox").exists()
    assert {each.status for each in deliveries(home)} == {"pending"}


@pytest.mark.parametrize("change", ["conventions", "servicing data"])
def test_a_tape_waits_when_its_day_changed(sending, change, tmp_path, monkeypatch):
    if change == "conventions":
        conventions = tmp_path / "conventions.toml"
        conventions.write_text('delinquency_method = "OTS"')
        monkeypatch.setenv("LENDING_CONVENTIONS", str(conventions))
    else:
        sending.pay("L1", date(2024, 5, 31), "2024-06-02 09:00:00", 25)
        materialise(DAY, DAY, "transactions")
    # L1 is 117 days past due by MBA; by OTS a payment period later.
    assert_waits(sending, "servicing data or conventions")


def test_a_tape_whose_owners_or_loans_changed_waits_and_is_not_given_up(sending, monkeypatch):
    monkeypatch.setattr("lending_pipelines.register.tape_deliveries.ATTEMPTS", 1)
    daemon = Daemon(monkeypatch).at("2024-06-02 02:00")
    with sending.register() as session:
        Investors(session).create("Fund", "fund", investor_id="f")
        Investors(session).assign("f", [("L1", None)], DAY)
    assert_waits(sending, "ownership")

    with sending.register() as session:
        Portfolios(session).remove(PORTFOLIO, ["L1"], DAY)
    assert daemon.at("2024-06-02 03:00").tick() == [False]
    (delivery,) = deliveries(sending)
    assert (delivery.status, delivery.attempts) == ("pending", 2)
    assert "(portfolio membership of 1 loan, ownership of 1 loan)" in delivery.error_message


@pytest.mark.parametrize("change", ["nothing", "membership later", "program", "servicing data of another day"])
def test_the_loans_are_recomputed_once_something_has_changed(tiny, change, monkeypatch):
    tape(tiny, "Daily")
    if change == "membership later":
        with tiny.register() as session:
            Portfolios(session).remove(PORTFOLIO, ["L1"], DAY + timedelta(days=1))
    elif change == "program":
        monkeypatch.setattr(tape_days, "__version__", "999.0")
    elif change == "servicing data of another day":
        tiny.pay("L1", date(2024, 6, 2), "2024-06-02 09:00:00", 25)
        materialise(DAY, DAY, "transactions")
    recomputed = []
    changes = tape_days._changes
    monkeypatch.setattr(tape_days, "_changes", lambda *given: recomputed.append("") or changes(*given))
    materialise(DAY, DAY, "loan_tapes")
    assert made(tiny) == [f"daily_{DAY}.csv"]
    assert bool(recomputed) == (change != "nothing")


def test_a_tape_without_loans_goes_out_only_where_its_configuration_allows_it(tiny, tmp_path):
    with tiny.register() as session:
        Portfolios(session).create("Empty", date(2024, 1, 1), portfolio_id="empty")
        for name, allowed in (("Not allowed", False), ("Allowed", True)):
            goes = {"delivery_url": str(tmp_path / name), "deliver_from": DAY}
            save_tape_config(session, name, "empty", allow_empty=allowed, **goes)
    materialise(DAY, DAY, "loan_tapes")
    assert made(tiny) == [f"allowed_{DAY}.csv"]
    ((day, reason),) = faults(tiny)
    assert (day, reason.startswith(f"tape 'Not allowed' of {DAY} has no loans: ")) == (DAY, True)
    run_job("deliver_tape", {"ops": {"deliver": {"config": {"tape": "Allowed", "date": str(DAY)}}}})
    with pytest.raises(RunFailed, match=f"tape 'Not allowed' of {DAY} has no loans"):
        run_job("deliver_tape", {"ops": {"deliver": {"config": {"tape": "Not allowed", "date": str(DAY)}}}})
    assert {path.name for path in tmp_path.iterdir()} == {"home", "Allowed"}
    assert {each.status: each.rows for each in deliveries(tiny)} == {"delivered": 0, "pending": None}


def test_every_format_is_made_left_alone_corrected_and_corrected_again(sending):
    folders = {name: sending.folder / "exports" / "tapes" / f"tape-{name}" / str(DAY) for name in FORMATS}
    names = {name: [f"tape-{name}_{DAY}{suffix}.{name}" for suffix in ("", "_v2", "_v3")] for name in FORMATS}

    def found() -> dict[str, list[str]]:
        files = {name: {path.name for path in folder.iterdir()} for name, folder in folders.items()}
        others = (".manifest.json", ".changes.csv")
        return {name: sorted(each for each in held if not each.endswith(others)) for name, held in files.items()}

    def closed(*assets: str) -> dict[str, list[str]]:
        materialise(DAY, DAY, *assets, "loan_tapes")
        return found()

    def versions(number: int) -> dict[str, list[str]]:
        return {name: files[:number] for name, files in names.items()}

    def assert_one_loan_changed(number: int) -> None:
        """Version `number` of every tape corrects the one before in one loan."""
        for name, folder in folders.items():
            before, file = names[name][number - 2 : number]
            manifest = json.loads((folder / f"{file}.manifest.json").read_text())
            changes = manifest["changes"]
            assert manifest["supersedes"] == before
            assert [changes[f"loans_{what}"] for what in ("added", "removed", "changed")] == [0, 0, 1]

    assert found() == versions(1)
    assert closed("loan_positions") == versions(1)
    sending.pay("L1", date(2024, 5, 31), "2024-06-02 09:00:00", 25, "T-first")
    assert closed("transactions", "loan_positions") == versions(2)
    assert_one_loan_changed(2)
    sending.pay("L1", date(2024, 5, 31), "2024-06-02 10:00:00", 5, "T-second")
    assert closed("transactions", "loan_positions") == versions(3)
    assert_one_loan_changed(3)
    assert faults(sending) == []
