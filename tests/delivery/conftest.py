"""A parcel as it is delivered, and an SFTP server that is known."""

import hashlib
from datetime import date

import pytest
from servers import SftpServer, mail_server

from lending_pipelines.delivery import Parcel, ParcelFile

TAPE = b"loan_id,balance\nL-1,900.00\n"
FILES = {"tape.csv": TAPE, "tape.csv.changes.csv": b"change\n", "tape.csv.manifest.json": b"{}\n"}


@pytest.fixture
def parcel(tmp_path):
    """Three files in a folder of their own: the tape, its changes and its manifest."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    files = [ParcelFile(name, str(folder / name), hashlib.sha256(FILES[name]).hexdigest()) for name in FILES]
    return Parcel("0123abcd", "Harbour monthly", date(2025, 3, 31), 1, "tape_v1.csv", tuple(files))


@pytest.fixture
def sftp(tmp_path, monkeypatch):
    """A running SFTP server whose key is in known_hosts."""
    folder = tmp_path / "sftp"
    folder.mkdir()
    server = SftpServer(folder)
    server.start()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(server.known_host)
    yield server
    server.stop()


@pytest.fixture
def mailbox():
    """What arrives at a mail server."""
    with mail_server() as box:
        yield box
