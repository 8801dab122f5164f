"""Passwords and tokens in URLs: filled in from the environment, and hidden wherever a URL is printed.

This module does not read the settings. LendingError hides secrets in every message.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

HIDDEN = "***"

_LONG = r"[\w.-]*(?:password|passwd|passphrase|secret|token|api_?key|account_?key|access_?key|credential)[\w.-]*"
_SHORT = r"pwd|pass|key|sig|signature|sas"
_VALUE = r"(\"[^\"]*\"|'[^']*'|[^\s&;,'\")}\]]+)"
# Up to the last @ of the word: a password that is not percent-encoded can itself contain @, :, / or #.
_PASSWORD = re.compile(r"(?<=://)([^\s/:@'\"]*:)([^\s'\"]*)(?=@)")
_PARAMETER = re.compile(rf"((?:[?&;](?:{_LONG}|{_SHORT})|\b{_LONG})\s?=\s?){_VALUE}", re.IGNORECASE)
_NO_SECRET = re.compile(r"password|\*+|…|\$\{\w+\}|\$\w+", re.IGNORECASE)
"""Placeholders for a password, as in a message that says how to write a URL. They are not hidden."""

_NAMED = re.compile(r"\$\{(\w+)\}")
_ENCODED = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*")
"""The characters that are valid in the user and password of a URL."""


class Secret(str):
    """A text that prints as ***. Its value is used like any other text."""

    __slots__ = ()

    def __str__(self) -> str:
        """What is printed."""
        return HIDDEN if self else ""

    def __repr__(self) -> str:
        """What is printed, in quotes."""
        return repr(str(self))

    def __format__(self, specification: str) -> str:
        """What is printed."""
        return format(str(self), specification)

    @property
    def value(self) -> str:
        """The text itself."""
        return str.__str__(self)


class SecretUrl(Secret):
    """A URL that prints without its passwords and tokens."""

    __slots__ = ()

    def __str__(self) -> str:
        """The URL with *** in place of each secret."""
        return hide_secrets(self.value)


def hide_secrets(text: str) -> str:
    """The text with *** in place of each password and token."""
    if "://" not in text and "=" not in text:
        return text
    return _PARAMETER.sub(_hidden, _PASSWORD.sub(_hidden, text))


def has_secret(url: str) -> bool:
    """Whether the URL itself contains a password or token, not only a placeholder such as ${NAME}."""
    return hide_secrets(url) != url


def filled(url: str, environment: Mapping[str, str]) -> str:
    """The URL with each ${NAME} replaced by the environment variable.

    In a user or password, the value is percent-encoded, unless it has only characters that are valid there.

    Raises:
        ValueError: A variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        text = environment.get(found[1])
        if not text:
            raise ValueError(f"{found[1]} is not set in the environment")
        in_password = "://" in url[: found.start()] and "@" in url[found.end() :]
        return text if not in_password or _ENCODED.fullmatch(text) else quote(text, safe="")

    return _NAMED.sub(value, url)


def require_encoded(url: str) -> None:
    """Raise ValueError when a user or password in the URL has characters that end it too early."""
    if (found := _PASSWORD.search(url)) and not _ENCODED.fullmatch(f"{found[1]}{found[2]}"):
        raise ValueError("percent-encode special characters of the user and password, such as %40 for @ and %23 for #")


def _hidden(found: re.Match[str]) -> str:
    return found[0] if not found[2] or _NO_SECRET.fullmatch(found[2]) else f"{found[1]}{HIDDEN}"
