"""Passwords: which are accepted, and their hashes (argon2id)."""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from lending_pipelines.errors import LendingError

SHORTEST, LONGEST = 12, 200
"""The minimum and maximum number of characters of a password."""

_HASHER = PasswordHasher()
_OF_NOBODY = _HASHER.hash("the hash that is compared when there is no account, so that it takes the same time")


class PasswordRefused(LendingError):
    """A new password is not accepted."""


def hash_password(password: str, username: str = "") -> str:
    """The hash of a new password. Raises PasswordRefused when it is too short, too long or easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordRefused(f"Choose a password of {SHORTEST} to {LONGEST} characters.")
    if len(set(password)) < 5 or (username and username.casefold() in password.casefold()):
        raise PasswordRefused("Choose a password that is harder to guess: several sentences or a generated one.")
    return _HASHER.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether a password matches a hash. Without a hash the answer is no, after the same time."""
    try:
        correct = _HASHER.verify(password_hash or _OF_NOBODY, password[: LONGEST + 1])
    except (Argon2Error, InvalidHashError):
        return False
    return correct and password_hash is not None
