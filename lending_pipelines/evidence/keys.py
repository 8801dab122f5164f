"""The lender's Ed25519 key: made, read from LENDING_SIGNING_KEY, and used to sign and to check statements."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lending_pipelines.errors import LendingError
from lending_pipelines.url_secrets import Secret

_PEM = "-----BEGIN"


class KeyUnusable(LendingError):
    """A key cannot be read or written."""


@dataclass(frozen=True)
class SigningKey:
    """A private key."""

    private: Ed25519PrivateKey

    @classmethod
    def of(cls, setting: Secret | None) -> "SigningKey | None":
        """The key of LENDING_SIGNING_KEY: the text of a PEM file, or its path. None if the setting is empty.

        Raises KeyUnusable when the key cannot be read.
        """
        if not setting:
            return None
        try:
            text = setting.value
            pem = text if text.startswith(_PEM) else Path(text).read_text(encoding="ascii")
            key = serialization.load_pem_private_key(pem.replace("\\n", "\n").strip().encode(), None)
        except OSError as error:
            raise KeyUnusable(f"LENDING_SIGNING_KEY: the file cannot be read: {error}") from None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(
                "LENDING_SIGNING_KEY is not a private Ed25519 key in PEM without a password: make one with"
                " `lending signing-key FILE`"
            )
        return cls(key)

    @property
    def public(self) -> str:
        """The public key, 32 bytes in hexadecimal."""
        return self.private.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> str:
        """The signature in hexadecimal."""
        return self.private.sign(data).hex()


def make_key(file: Path) -> SigningKey:
    """Write a new private key to a file that only its owner can read. Raises KeyUnusable when the file exists."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(pem)
    except OSError as error:
        raise KeyUnusable(f"the key cannot be written: {error}; name a new file in an existing folder") from None
    return SigningKey(key)


def is_signed(data: bytes, signature: str, public: str) -> bool:
    """Whether the signature of the data is by the owner of the public key."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_pem(public: str) -> bytes:
    """The public key as a PEM file."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_key(given: str) -> str:
    """A public key, given in hexadecimal or as a PEM file, in hexadecimal. Raises KeyUnusable when it is neither."""
    try:
        if len(given) == 64:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(given)).public_bytes_raw().hex()
        key = serialization.load_pem_public_key(Path(given).read_bytes())
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"{given} is not a public Ed25519 key, in hexadecimal or as a PEM file: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{given} is a public key of another kind: Ed25519 is needed")
    return key.public_bytes_raw().hex()
