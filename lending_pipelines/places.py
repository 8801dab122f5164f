"""Puts a file in its place whole: written under a temporary name beside it, hashed on the way, then moved.

Places are fsspec URLs or local paths. A reader never sees half a file, and a failure leaves what was there before. What
is in the files, and who asked for them, is known elsewhere.
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

# Once a place is sftp://, and not before: it takes half a second of imports.
fsspec.register_implementation("sftp", "lending_pipelines.sftp.KnownServer", clobber=True)


class PlaceError(LendingError):
    """A place that cannot be reached or written."""


@dataclass(frozen=True)
class PlacedFile:
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
        """Write the bytes on; PlaceError when the place refuses them."""
        view = memoryview(data).cast("B")
        with _named(self._url):
            self._file.write(view)
        self._hash.update(view)
        self._size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    @property
    def sha256(self) -> str:
        """The hash of the bytes written so far."""
        return self._hash.hexdigest()

    def placed(self, rows: int) -> PlacedFile:
        """The record of the finished file."""
        return PlacedFile(self._url, self.sha256, self._size, rows)


@contextmanager
def placing(url: str) -> Iterator[Sink]:
    """A sink whose bytes appear at `url` when the block ends, and not at all when it fails; folders are made.

    A file that is there is replaced. PlaceError names the place when it cannot be reached or written.
    """
    with opened(url) as (fs, path):
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{uuid4().hex}.part"
        with _named(url):
            fs.makedirs(folder or "/", exist_ok=True)
            file = fs.open(temporary, "wb")
        try:
            with _closing(file, url):
                yield Sink(file, url)
            with _named(url):
                fs.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                fs.rm(temporary)
            raise


@contextmanager
def opened(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it; PlaceError when it cannot be reached.

    A connection to an SFTP server lasts as long as the block.
    """
    with _named(url):
        fs, path = fsspec.url_to_fs(url)
    try:
        yield fs, path
    finally:
        if "sftp" in fs.protocol:
            fs.client.close()


@contextmanager
def _closing(file: Any, url: str) -> Iterator[None]:
    """Close the file when the block ends; what was still buffered may be refused then."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            file.close()
        raise
    with _named(url):
        file.close()


@contextmanager
def _named(url: str) -> Iterator[None]:
    # fsspec: an unknown protocol is a ValueError, one whose package is not installed an ImportError. SFTP: a connection
    # that breaks off is an EOFError.
    try:
        yield
    except (OSError, ValueError, ImportError, EOFError) as error:
        raise PlaceError(f"{url} cannot be written: {error}") from error
