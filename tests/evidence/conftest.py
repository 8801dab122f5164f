"""A closed home opened for verification, and one with a payment that was synced after its close."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from homes import LAST, Home, lending

from lending_pipelines.evidence import Places
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.register import Register


@pytest.fixture(scope="session")
def once_synced(untouched_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the closed home with a later payment, synced. For copies: no test opens it."""
    home = Home(tmp_path_factory.mktemp("synced") / "home")
    shutil.copytree(untouched_home.folder, home.folder)
    home.pay(home.rows("loans")[0]["loan_id"], LAST, "2025-03-15 08:00:00", 1.00)
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        assert lending("sync").returncode == 0
    return home


@pytest.fixture
def synced_home(once_synced: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The test's own copy of it, which the environment names."""
    copy = Home(tmp_path / "home")
    shutil.copytree(once_synced.folder, copy.folder)
    copy.enter(monkeypatch)
    return copy


@contextmanager
def opened(home: Home) -> Iterator[Places]:
    engine, register = DuckDBEngine(memory_limit="1GB"), Register(home.register_url)
    yield Places(Lake(str(home.folder / "lake"), engine), register, str(home.folder / "exports"))
    register.dispose()
    engine.close()


@pytest.fixture
def places(home: Home) -> Iterator[Places]:
    """The test's own copy of the closed home."""
    with opened(home) as places:
        yield places


@pytest.fixture
def synced_places(synced_home: Home) -> Iterator[Places]:
    """The test's own copy of the home that was synced after its close."""
    with opened(synced_home) as places:
        yield places
