"""The program that made a statement: its version, the lock file, Python and the packages that compute and store."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from lending_pipelines import __version__

LOCK = "requirements.lock"

_PACKAGES = ("dagster", "deltalake", "duckdb", "ibis-framework", "numpy", "pyarrow", "pyxirr")


@cache
def program() -> dict[str, Any]:
    """The program as a statement has it. `lock_sha256` is null if the installation has no lock file."""
    lock = shipped(LOCK)
    return {
        "lending_pipelines": __version__,
        "lock_sha256": hashlib.sha256(lock).hexdigest() if lock else None,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def shipped(name: str) -> bytes | None:
    """A file of the repository: from the installed package, or from the checkout; None if neither has it."""
    package = Path(str(files("lending_pipelines")))
    for file in (package / "shipped" / name, package.parent / name):
        if file.is_file():
            return file.read_bytes()
    return None
