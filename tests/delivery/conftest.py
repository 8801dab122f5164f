"""A parcel as it is delivered."""

import hashlib
from datetime import date

import pytest
from parcel_files import FILES

from lending_pipelines.delivery import Parcel, ParcelFile


@pytest.fixture
def parcel(tmp_path):
    """Three files in a folder of their own: the tape, its changes and its manifest."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    files = [ParcelFile(name, str(folder / name), hashlib.sha256(FILES[name]).hexdigest()) for name in FILES]
    return Parcel("0123abcd", "Harbour monthly", date(2025, 3, 31), 1, "tape_v1.csv", tuple(files))
