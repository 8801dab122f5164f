"""What `lending verify` finds in a closed home: every changed bit, missing and extra files, rows, and certificates."""

import random
import re
import shutil
from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from homes import DAYS, FIRST, LAST, Home, lending, materialise

from lending_pipelines.evidence import Places, certificates, verify
from lending_pipelines.evidence.chain import read_seal
from lending_pipelines.evidence.files import changed_files

FIRST_LOAN = "loan_id = (SELECT min(loan_id) FROM portfolio_loans)"
FIRST_OWNED = "loan_id = (SELECT min(loan_id) FROM loan_assignments)"


def findings(places: Places) -> list[str]:
    return verify(places).findings


def kinds(home: Home) -> dict[str, list[Path]]:
    """The files of the lake and of tapes by kind: the path with ids, days and the names of most tables left out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in ("lake", "exports/tapes"):
        for file in sorted((home.folder / folder).rglob("*")):
            if file.is_file():
                kind = re.sub(r"[0-9a-f-]{8,}|\d+", "#", str(file.relative_to(home.folder)))
                found[re.sub(r"lake/(?!close_certificates)[a-z_]+/", "lake/T/", kind)].append(file)
    return found


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def change(home: Home, statement: str) -> None:
    """Change the register behind the program's back."""
    engine = sa.create_engine(home.register_url)
    with engine.begin() as connection:
        assert connection.execute(sa.text(statement)).rowcount == 1
    engine.dispose()


def test_a_closed_home_equals_its_certificates(places):
    verdict = verify(places)
    assert (verdict.findings, verdict.notes) == ([], [])
    chain = certificates(places.lake)
    assert [each.business_date for each in chain] == DAYS
    assert [each.sequence for each in chain] == list(range(1, 32))
    assert (verdict.certificates, verdict.signed) == (31, 0)


def test_a_flipped_bit_is_found_in_every_kind_of_file(home, places):
    """Certified files are named each, so one is changed of every kind at once. Other files are changed one by one."""
    chosen = random.Random(20260331)
    certified = read_seal(places.lake).inventory.files
    by_kind = kinds(home)
    assert len(by_kind) >= 11
    for _ in range(2):
        at_once, alone = [], []
        for files in by_kind.values():
            file = chosen.choice(files)
            bit = chosen.randrange(file.stat().st_size * 8)
            (at_once if str(file.relative_to(home.folder)) in certified else alone).append((file, bit))
        assert len(at_once) >= 6
        for flipped in (at_once, *([each] for each in alone)):
            for file, bit in flipped:
                flip(file, bit)
            found = findings(places)
            assert found, f"bit {flipped[0][1]} of {flipped[0][0]}"
            for file, bit in flipped:
                flip(file, bit)
                named = any(each.startswith(f"{file.relative_to(home.folder)} was changed") for each in found)
                assert named or flipped is not at_once, f"bit {bit} of {file}"
    assert findings(places) == []


def test_two_hundred_flipped_bits_are_found_in_certified_files(home, places):
    seal = read_seal(places.lake)
    certified = seal.inventory.files | seal.own
    chosen = random.Random(20260401)
    for path in chosen.choices(sorted(certified), k=200):
        file = home.folder / path
        bit = chosen.randrange(file.stat().st_size * 8)
        flip(file, bit)
        (found,) = changed_files(places, {path: certified[path]})
        assert found.startswith(f"{path} was changed")
        flip(file, bit)


def test_all_differences_are_found_at_once(home, places):
    day = home.folder / f"lake/loan_positions/business_date={FIRST}"
    (positions,) = day.glob("*.parquet")
    kept = positions.read_bytes()
    positions.unlink()
    (home.folder / "lake/loans/planted.parquet").write_bytes(b"PAR1")
    (home.folder / "exports/tapes/planted.csv").write_text("loan_id")
    (tape,) = home.folder.glob("exports/tapes/consumer-monthly/2025-02-28/*.csv")
    tape.write_bytes(tape.read_bytes() + b"\n")
    change(home, "UPDATE portfolios SET name = 'Consumer 2023'")
    found = findings(places)
    path = positions.relative_to(home.folder)
    assert f"{path} is missing." in found
    assert any(each.startswith("The table loan_positions lacks 1 files of its current version") for each in found)
    assert "lake/loans/planted.parquet is an extra file: no version of a table has it." in found
    assert "exports/tapes/planted.csv is an extra file: no tape and no report has it." in found
    assert f"{tape.relative_to(home.folder)} was changed." in found
    assert any(re.match(r"The register's row portfolios \w+ was changed or removed\.", each) for each in found)
    positions.write_bytes(kept)
    assert f"{path} is missing." not in findings(places)


def test_only_the_files_of_the_wanted_days_are_read(home, places):
    (file,) = (home.folder / f"lake/loan_positions/business_date={FIRST}").glob("*.parquet")
    flip(file, 1000)
    assert verify(places, first=date(2025, 3, 1)).findings == []
    assert len(verify(places, last=date(2025, 2, 28)).findings) == 1


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE investors SET investor_type = 'other'", "row investors"),
        (f"DELETE FROM portfolio_loans WHERE {FIRST_LOAN}", "portfolio_membership"),
        (f"UPDATE portfolio_loans SET removed_on = '2025-03-14' WHERE {FIRST_LOAN}", "portfolio_membership"),
        (f"UPDATE loan_assignments SET purchase_price = '1.00' WHERE {FIRST_OWNED}", "loan_ownership"),
    ],
)
def test_a_changed_row_of_the_register_is_found(home, places, statement, found):
    change(home, statement)
    (finding,) = findings(places)
    assert found in finding


def test_an_assignment_after_the_last_certified_day_is_no_difference(home, places):
    change(home, f"UPDATE portfolio_loans SET removed_on = '2025-03-15' WHERE {FIRST_LOAN}")
    assert findings(places) == []


def test_a_changed_certificate_is_found(home, places):
    table = DeltaTable(home.folder / "lake/close_certificates")
    table.update(updates={"statement": "replace(statement, '0.00', '0.01')"}, predicate="sequence = 7")
    found = findings(places)
    assert "Certificate 7 of 2025-02-18: the statement was changed: its sha256 differs." in found


def test_a_certificate_with_a_new_hash_breaks_its_link(home, places):
    chain = certificates(places.lake)
    table = DeltaTable(home.folder / "lake/close_certificates")
    table.update(updates={"sha256": f"'{'0' * 64}'"}, predicate="sequence = 7")
    found = findings(places)
    assert "Certificate 8 of 2025-02-19: its link to certificate 7 is broken." in found
    assert chain[7].previous_sha256 == chain[6].sha256


@pytest.mark.parametrize(
    ("gone", "finding"),
    [
        ("sequence = 1", "The chain begins with certificate 2: those before it are gone."),
        ("sequence = 7", "Between certificates 6 and 8, some are gone or repeated."),
        ("sequence = 31", "Certificates 31 to 31 are missing at the end of the chain"),
        ("true", "All 31 certificates are missing"),
    ],
)
def test_a_removed_certificate_is_found(home, places, gone, finding):
    DeltaTable(home.folder / "lake/close_certificates").delete(gone)
    assert any(each.startswith(finding) for each in findings(places))


def test_a_close_whose_certificate_is_gone_with_the_seal_is_found(home, places):
    DeltaTable(home.folder / "lake/close_certificates").delete("sequence = 31")
    (home.folder / "lake/_certificates.json").unlink()
    found = findings(places)
    assert any(re.match(rf"The close of {LAST} at .* has no certificate", each) for each in found)
    assert "The file _certificates.json is missing from the lake." in found


def test_a_sync_is_certified_and_a_foreign_commit_is_told(synced_home, synced_places):
    assert certificates(synced_places.lake)[-1].kind == "run"
    assert findings(synced_places) == []
    DeltaTable(synced_home.folder / "lake/branches").delete("true")
    verdict = verify(synced_places)
    assert [each for each in verdict.notes if each.startswith("branches: version 1 is not certified yet")]


def test_a_day_closed_again_gets_the_next_certificate(home, places):
    made = materialise(LAST, LAST, "close_certificates")
    assert (made["certificates"], made["sequence"]) == (1, 32)
    assert [each.sequence for each in certificates(places.lake, LAST)] == [31, 32]
    assert findings(places) == []


def test_a_fault_in_the_certificate_is_told_and_stops_nothing(home, places, monkeypatch):
    monkeypatch.setenv("LENDING_SIGNING_KEY", str(home.folder / "absent.pem"))
    # As the positions of a close record it.
    places.lake.record_days("loan_positions", [LAST], None, {})
    made = materialise(LAST, LAST, "close_certificates")
    assert made["fault"].startswith(f"{LAST} to {LAST}: LENDING_SIGNING_KEY: the file cannot be read")
    status = lending("status")
    assert f"certificate: {LAST} is closed without a certificate" in status.stdout


def test_the_command_prints_every_difference_and_fails(home):
    assert lending("verify").returncode == 0
    shutil.rmtree(home.folder / "lake/branches")
    verified = lending("verify", "--from", "2025-03-01")
    assert verified.returncode == 1
    assert "lake/branches/_delta_log/00000000000000000000.json is missing." in verified.stdout
    assert "2 differences: 31 certificates (0 signed)" in verified.stdout
