"""Puts a file in its place whole: written under a temporary name beside it, hashed on the way, then moved.

Places are fsspec URLs or local paths. A reader never sees half a file, and a failure leaves what was there before.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import fsspec

from lending_pipelines.errors import LendingError


class ExportError(LendingError):
    """A file that cannot be written as asked."""


@dataclass(frozen=True)
class ExportedFile:
    """A file in its place: where, the hash and size of its bytes, and how many rows of data it holds."""

    url: str
    sha256: str
    bytes: int
    rows: int


class Sink(io.RawIOBase):
    """A writable stream that hashes and counts what passes; it cannot seek, so what is hashed is what is stored."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url
        self._hash = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Write the bytes on; ExportError when the place refuses them."""
        view = memoryview(data).cast("B")
        with _named(self._url):
            self._file.write(view)
        self._hash.update(view)
        self._size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def exported(self, rows: int) -> ExportedFile:
        """The record of the finished file."""
        return ExportedFile(self._url, self._hash.hexdigest(), self._size, rows)


@contextmanager
def placing(url: str) -> Iterator[Sink]:
    """A sink whose bytes appear at `url` when the block ends, and not at all when it fails; folders are made."""
    with _named(url):
        fs, path = fsspec.url_to_fs(url)
        folder = path.rpartition("/")[0]
        fs.makedirs(folder or "/", exist_ok=True)
        temporary = f"{folder}/.{uuid4().hex}.part"
        file = fs.open(temporary, "wb")
    try:
        with file:
            yield Sink(file, url)
        with _named(url):
            fs.mv(temporary, path)
    except BaseException:
        with suppress(OSError):
            fs.rm(temporary)
        raise


@contextmanager
def _named(url: str) -> Iterator[None]:
    # fsspec: an unknown protocol is a ValueError, one whose package is not installed an ImportError.
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        raise ExportError(f"{url} cannot be written: {error}") from error
