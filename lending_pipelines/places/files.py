"""Writes files completely or not at all: to a temporary name in the same folder, hashed while writing, then moved.

A place is an fsspec URL or a local path. A reader never sees a partial file; a failed write leaves the earlier file.
The contents of the files are made elsewhere.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec

from lending_pipelines.errors import LendingError

# Registered by name, so that the import of paramiko (half a second) happens only for sftp:// URLs.
fsspec.register_implementation("sftp", "lending_pipelines.places.sftp.KnownServer", clobber=True)


LINK_DAYS = 7
"""How many days a signed link is valid. Object stores do not sign for longer."""


class PlaceError(LendingError):
    """A place that cannot be reached or written."""


@dataclass(frozen=True)
class PlacedFile:
    """A written file: its URL, the SHA-256 and size of its bytes, and the number of data rows."""

    url: str
    sha256: str
    bytes: int
    rows: int


class Sink(io.RawIOBase):
    """A writable stream that hashes and counts the bytes. It cannot seek, so the hash is that of the stored bytes."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url
        self._hash = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Write the bytes. Raises PlaceError when the place rejects them."""
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
    """A sink whose file appears at `url` when the block ends, and not at all if the block fails.

    Creates folders, and replaces an existing file.

    Raises:
        PlaceError: The place cannot be reached or written. The message names it.
    """
    with opened(url) as (fs, path), placing_in(fs, path, url) as sink:
        yield sink


@contextmanager
def placing_in(fs: Any, path: str, url: str) -> Iterator[Sink]:
    """Like `placing`, in an opened file system; `url` is the name of the place in errors."""
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


def replace_folder(folder: str, url: str) -> None:
    """Copy the files of a local folder to `url`, then delete files there that are not among them.

    Raises:
        PlaceError: The place cannot be reached or written.
    """
    with opened(url) as (fs, path), _named(url):
        before = set(fs.find(path)) if fs.exists(path) else set()
        fs.put(f"{folder}/", f"{path}/", recursive=True)
        names = (file.relative_to(folder).as_posix() for file in Path(folder).rglob("*") if file.is_file())
        left_over = before - {f"{path}/{name}" for name in names}
        if left_over:
            fs.rm(sorted(left_over))


def hash_in(fs: Any, path: str, url: str) -> str | None:
    """The SHA-256 of a file in an opened file system, or None if there is no such file. Raises PlaceError."""
    with _named(url):
        return _hash(fs, path) if fs.exists(path) else None


def hash_of(url: str) -> str:
    """The SHA-256 of a file. Raises PlaceError when it cannot be read."""
    with opened(url) as (fs, path), _named(url):
        return _hash(fs, path)


def _hash(fs: Any, path: str) -> str:
    with fs.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(url: str, called: str | None = None) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it. An SFTP connection is closed at the end of the block.

    Args:
        url: The place.
        called: The name of the place in errors, if not `url`.

    Raises:
        PlaceError: The place cannot be reached.
    """
    with _named(called or url):
        fs, path = fsspec.url_to_fs(url)
    try:
        yield fs, path
    finally:
        if "sftp" in fs.protocol:
            fs.client.close()


def signed_link(url: str) -> str | None:
    """A link to a file in an object store, valid for LINK_DAYS; None where the place cannot sign links."""
    fs, path = fsspec.url_to_fs(url)
    try:
        return str(fs.sign(path, expiration=LINK_DAYS * 86_400))
    except NotImplementedError:
        return None


@contextmanager
def _closing(file: Any, url: str) -> Iterator[None]:
    """Close the file when the block ends; closing writes buffered bytes and can fail."""
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
    # fsspec raises ValueError for an unknown protocol and ImportError when its package is not installed.
    # paramiko raises EOFError when a connection breaks.
    try:
        yield
    except (OSError, ValueError, ImportError, EOFError) as error:
        raise PlaceError(f"{url} cannot be used: {error or type(error).__name__}") from error
