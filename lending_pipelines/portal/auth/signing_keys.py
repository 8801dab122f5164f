"""The keys that sign access tokens: Ed25519, in a PEM file. The first key signs; all of them verify.

The file is `portal_keys.pem` in the home, made at first use and readable by its owner only, or that of the setting
LENDING_PORTAL_KEYS. A key's id (kid) is the SHA-256 of its public half.
"""

import hashlib
import os
import re
import stat
import threading
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings

_KEPT = 2
"""The number of keys after a rotation: the new key, and the previous one for the tokens that it has signed."""

_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\s*", re.DOTALL)


class KeysUnusable(LendingError):
    """The file of keys cannot be used."""


class SigningKeys:
    """The keys of a portal. Another process's rotation is seen at the next use. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._own = settings.portal_keys_file is None
        self._file = Path(settings.portal_keys_file or settings.home / "portal_keys.pem")
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Ed25519PrivateKey] = {}

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The key that signs, and its id. Raises KeysUnusable."""
        return next(iter(self._read().items()))

    def verifying(self, kid: str) -> Ed25519PublicKey | None:
        """The public half of the key with that id. Raises KeysUnusable."""
        key = self._read().get(kid)
        return key.public_key() if key else None

    def rotate(self) -> str:
        """Sign with a new key from now on, and return its id. Raises KeysUnusable when a setting names the file."""
        if not self._own:
            raise KeysUnusable(f"{self._file} is set by LENDING_PORTAL_KEYS: write a new key at its beginning")
        kept = list(self._read().values())[: _KEPT - 1]
        os.replace(self._written([Ed25519PrivateKey.generate(), *kept]), self._file)
        return self.signing()[0]

    def _read(self) -> dict[str, Ed25519PrivateKey]:
        """The keys by id, read again if the file has changed. Raises KeysUnusable."""
        with self._lock:
            if self._own and not self._file.exists():
                self._create()
            try:
                info = self._file.stat()
                if self._own and stat.S_IMODE(info.st_mode) & 0o077:
                    raise KeysUnusable(f"{self._file} can be read by others: run chmod 600 {self._file}")
                stamp = (info.st_mtime_ns, info.st_ino)
                if stamp != self._stamp:
                    self._keys, self._stamp = _keys(self._file), stamp
            except OSError as error:
                raise KeysUnusable(f"{self._file} cannot be read: {error.strerror or error}") from error
            return self._keys

    def _create(self) -> None:
        """Make the file with a key. If another process makes it at the same time, its file stays."""
        temporary = self._written([Ed25519PrivateKey.generate()])
        try:
            os.link(temporary, self._file)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()

    def _written(self, keys: list[Ed25519PrivateKey]) -> Path:
        """A new file beside the real one with these keys."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{uuid4().hex}.pem")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for key in keys:
                file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        return temporary


def _keys(file: Path) -> dict[str, Ed25519PrivateKey]:
    """The keys of a file by id. Raises KeysUnusable."""
    found: dict[str, Ed25519PrivateKey] = {}
    for number, text in enumerate(_PEM.findall(file.read_bytes()), start=1):
        try:
            key = load_pem_private_key(text, None)
        except (ValueError, TypeError) as error:
            raise KeysUnusable(f"{file}: key {number} cannot be read: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeysUnusable(f"{file}: key {number} is not an Ed25519 key: run openssl genpkey -algorithm ed25519")
        found[_kid(key)] = key
    if not found:
        raise KeysUnusable(f"{file} has no private key: run openssl genpkey -algorithm ed25519")
    return found


def _kid(key: Ed25519PrivateKey) -> str:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(public).hexdigest()[:16]
