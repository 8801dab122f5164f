"""Who may read what a command creates: its user, or more as LENDING_FILE_ACCESS says. Receivers can read deliveries."""

import hashlib
import os
import stat
import sys
from datetime import date

import pytest

from lending_pipelines.cli import main
from lending_pipelines.delivery import Parcel, ParcelFile, PlaceChannel
from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings


@pytest.fixture(autouse=True)
def umask():
    """The umask of the tests, which the commands change."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("access", "file", "folder"), [("", 0o600, 0o700), ("group", 0o640, 0o750), ("everyone", 0o644, 0o755)]
)
def test_new_files_and_folders_are_readable_by_whom_the_setting_names(tmp_path, monkeypatch, access, file, folder):
    home = tmp_path / "home"
    monkeypatch.setenv("LENDING_HOME", str(home))
    monkeypatch.setenv("LENDING_FILE_ACCESS", access)
    monkeypatch.setattr(sys, "argv", ["lending", "portfolio", "create", "Pool", "--opened", "2025-01-01"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    assert (mode(home), mode(home / "register.db")) == (folder, file)


def test_another_word_is_refused():
    with pytest.raises(LendingError, match="LENDING_FILE_ACCESS is 'world': write one of owner, group, everyone"):
        Settings.from_environment({"LENDING_FILE_ACCESS": "world"})


@pytest.mark.parametrize(("folder", "file"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_who_can_read_the_folder_of_a_delivery_can_read_its_files(tmp_path, parcel_of_one, folder, file):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    inbox.chmod(folder)
    os.umask(0o077)

    PlaceChannel(str(inbox)).deliver(parcel_of_one)

    assert [mode(each) for each in inbox.iterdir()] == [file]


@pytest.fixture
def parcel_of_one(tmp_path):
    """A parcel with one file."""
    tape = tmp_path / "tape.csv"
    tape.write_bytes(b"loan_id\nL1\n")
    found = ParcelFile(tape.name, str(tape), hashlib.sha256(tape.read_bytes()).hexdigest())
    return Parcel("0123abcd", "Harbour monthly", date(2025, 3, 31), 1, None, (found,))
