"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and published expected values, which lies beside the checkout and is never committed."""
    return Path(__file__).resolve().parents[2] / "shared"
