"""Servicing databases of the shared cases."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Home


@pytest.fixture
def case(shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Home]:
    """Builds the servicing database of a case in a home of its own."""
    home = Home(tmp_path)
    home.enter(monkeypatch)

    def build(name: str, *options: str) -> Home:
        program = shared_dir / "cases" / name / "build.py"
        subprocess.run([sys.executable, program, str(home.folder), *options], check=True)
        return home

    return build
