"""A closed home opened for verification."""

from collections.abc import Iterator

import pytest
from homes import Home

from lending_pipelines.evidence import Places
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.register import Register


@pytest.fixture
def places(home: Home) -> Iterator[Places]:
    """The test's own copy of the closed home."""
    engine, register = DuckDBEngine(memory_limit="1GB"), Register(home.register_url)
    yield Places(Lake(str(home.folder / "lake"), engine), register, str(home.folder / "exports"))
    register.dispose()
    engine.close()
