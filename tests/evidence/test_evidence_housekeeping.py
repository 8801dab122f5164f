"""Housekeeping is not tampering: a statement says what it replaced and removed, and whether the rows are equal."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from homes import Home, lending

from lending_pipelines.evidence import certificates, verify


@pytest.fixture
def home(synced_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home with two files of transactions to put together, and a policy that keeps no earlier version."""
    policy = synced_home.folder / "retention.toml"
    policy.write_text("versions_days = 0\nleftovers_hours = 0\npositions_days = 30\n")
    monkeypatch.setenv("LENDING_RETENTION", str(policy))
    return synced_home


def housekeep() -> None:
    done = lending("housekeeping", "--apply")
    assert done.returncode == 0, done.stderr


def test_housekeeping_leaves_a_statement_and_a_verified_home(home, places):
    housekeep()
    last = certificates(places.lake)[-1]
    said = last.content
    assert (last.kind, last.business_date) == ("housekeeping", None)
    (rewritten,) = (each for each in said["rewritten"] if each["table"] == "transactions")
    assert len(rewritten["replaced"]) == 2
    assert len(rewritten["by"]) == 1
    assert (rewritten["rows_equal"], rewritten["replaced_as_certified"]) == (True, True)
    assert {chore["subject"] for chore in said["chores"]} >= {"loan_positions: days thinned to month ends"}
    assert verify(places).findings == []
    # The next one removes the files that this one replaced.
    files = set((home.folder / "lake").rglob("*.parquet"))
    housekeep()
    removed = set(certificates(places.lake)[-1].content["files"]["removed"])
    gone = {f"lake/{file.relative_to(home.folder / 'lake')}" for file in files if not file.exists()}
    assert {path for path in gone if "close_certificates" not in path} == removed
    assert set(rewritten["replaced"]) <= removed
    assert verify(places).findings == []


def changed_amounts(file: Path) -> None:
    """Flip a bit of a Parquet file that leaves it readable, with other amounts."""
    content, rows = file.read_bytes(), pq.read_table(file)
    chosen = random.Random(7)
    for _ in range(5_000):
        bit = chosen.randrange(len(content) * 8)
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        try:
            read = pq.read_table(file)
            if not read.equals(rows) and read.drop_columns("amount").equals(rows.drop_columns("amount")):
                return
        except (pa.ArrowException, OSError):
            continue
    raise AssertionError("no flipped bit reads as other amounts")


def test_a_file_changed_before_housekeeping_stays_a_finding(home, places):
    file = max((home.folder / "lake/transactions").glob("*.parquet"), key=lambda file: file.stat().st_size)
    changed_amounts(file)
    path = f"lake/{file.relative_to(home.folder / 'lake')}"
    assert any(each.startswith(f"{path} was changed") for each in verify(places).findings)
    housekeep()
    housekeep()
    found = verify(places).findings
    assert [each for each in found if "transactions: version" in each and "they were not as certified" in each]
