"""A register on each database that it supports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lending_pipelines.register import Register


@pytest.fixture(params=["sqlite", "postgresql"])
def register_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a register."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'register.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def register(register_url: str) -> Iterator[Register]:
    """An empty register."""
    register = Register(register_url)
    register.upgrade()
    yield register
    register.dispose()
