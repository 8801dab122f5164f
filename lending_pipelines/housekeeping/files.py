"""Files of any fsspec file system: their age, their size, and their removal."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any


def is_older(filesystem: Any, path: str, than: datetime) -> bool:
    """Whether a file was last written before that instant; false if the file is gone."""
    try:
        written = filesystem.modified(path)
    except FileNotFoundError:
        return False
    return (written if written.tzinfo else written.replace(tzinfo=UTC)) < than


def size_of(filesystem: Any, paths: Iterable[str]) -> int:
    """The total bytes of the files; files that are gone count as 0."""
    return sum(filesystem.info(path)["size"] or 0 for path in paths if filesystem.exists(path))


def remove(filesystem: Any, paths: Iterable[str]) -> None:
    """Remove the files in order; those that are gone are skipped."""
    for path in paths:
        if filesystem.exists(path):
            filesystem.rm_file(path)
