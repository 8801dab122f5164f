"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and published expected values, which lies beside the checkout and is never committed.

    CI must have it; on another machine the tests that need it are skipped.
    """
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.exists() and not os.environ.get("CI"):
        pytest.skip("needs the folder of real data, shared/, beside the checkout")
    return folder
