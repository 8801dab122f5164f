"""Delivery to a folder at an fsspec URL: a mounted folder, S3, SFTP or another file system of fsspec.

Secrets stay out of the register: ${NAME} in the URL is replaced by the environment variable of that name.
"""

import os
import shutil
import stat
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from lending_pipelines.delivery.parcel import DeliveryError, Parcel, ParcelFile
from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.places import hash_in, opened, placing_in
from lending_pipelines.url_secrets import filled, has_secret


class PlaceChannel:
    """Writes parcels to one folder. Existing files are never overwritten."""

    def __init__(self, url: str) -> None:
        """`url` as in the register, with ${NAME} in place of secrets."""
        self._url = url

    def deliver(self, parcel: Parcel) -> None:
        """Write every file to the folder. Raises DeliveryError when one fails or a different file has its name."""
        try:
            with opened(_filled(self._url), self._url) as (fs, folder):
                for file in parcel.files:
                    self._put(fs, folder, file)
        except LendingError as error:
            raise DeliveryError(f"{parcel.tape} of {parcel.business_date} to {self._url}: {error}") from error

    def _put(self, fs: Any, folder: str, file: ParcelFile) -> None:
        """Copy a file to the folder, unless the same file exists. Raises DeliveryError for a different file."""
        path, url = f"{folder.rstrip('/')}/{file.name}", f"{self._url.rstrip('/')}/{file.name}"
        existing = hash_in(fs, path, url)
        if existing == file.sha256:
            return
        if existing is not None:
            raise DeliveryError(f"a different file {file.name} exists: it is not overwritten; move it away")
        with placing_in(fs, path, url) as target:
            with fsspec.open(file.url, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
            file.require_unchanged(target.sha256)
        if isinstance(fs, LocalFileSystem):
            # The receiver may be another user: whoever can read the folder can read the file.
            os.chmod(path, stat.S_IMODE(os.stat(folder).st_mode) & 0o644)


def check_place(url: str) -> None:
    """Raise DeliveryError when the URL cannot be a destination. Does not connect to it."""
    # Check this first, so that no other message prints the password.
    if has_secret(url):
        raise DeliveryError("delivery_url contains a password: write ${NAME} instead, and set NAME in the environment")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        if "${" not in url:
            raise DeliveryError(f"delivery_url {url!r} is not a URL: {error}") from None
    # A URL such as simplecache::sftp://host/folder names the place last.
    parts = urlsplit(url.rpartition("::")[2])
    scheme = parts.scheme or "file"
    if scheme not in fsspec.available_protocols():
        near = did_you_mean(scheme, ("file", "s3", "sftp", "gs", "abfs"))
        raise DeliveryError(f"delivery_url {url!r}: {scheme}:// is not supported: {near}")
    if scheme in ("sftp", "s3", "gs", "abfs") and not parts.hostname:
        raise DeliveryError(f"delivery_url {url!r}: write {scheme}://host/folder")


def _filled(url: str) -> str:
    try:
        return filled(url, os.environ)
    except ValueError as error:
        raise DeliveryError(str(error)) from None
