"""Settings: locations, engine and start date, read from the settings file and LENDING_* variables in one place.

Choices that change what a number means are conventions (conventions.py).
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from lending_pipelines.bounds import LONGEST_TEXT, day_from, plain_text
from lending_pipelines.errors import LendingError
from lending_pipelines.settings_file import find_settings_file, read_settings_file
from lending_pipelines.url_secrets import Secret, SecretUrl, filled, has_secret, require_encoded

T = TypeVar("T")

VARIABLES = (
    "LENDING_HOME",
    "LENDING_NAME",
    "LENDING_LOGO",
    "LENDING_LAKE",
    "LENDING_ENGINE",
    "LENDING_SPARK_MASTER",
    "LENDING_EXPORTS",
    "LENDING_SERVICING_URL",
    "LENDING_SOURCE",
    "LENDING_REGISTER_URL",
    "LENDING_START_DATE",
    "LENDING_TIMEZONE",
    "LENDING_CONVENTIONS",
    "LENDING_REPORT_SCHEDULES",
    "LENDING_RETENTION",
    "LENDING_SMTP_URL",
    "LENDING_MAIL_FROM",
    "LENDING_MAIL_LIMIT_MB",
    "LENDING_ALERT_ADMINS",
    "LENDING_ALERT_DIGEST_HOUR",
    "LENDING_ALERT_WEBHOOK_URL",
    "LENDING_ALERT_WEBHOOK_SECRET",
    "LENDING_UI_URL",
    "LENDING_LOCALE",
    "LENDING_PORTAL_URL",
    "LENDING_PORTAL_PROXIES",
    "LENDING_OIDC_ISSUER",
    "LENDING_OIDC_CLIENT_ID",
    "LENDING_OIDC_CLIENT_SECRET",
    "LENDING_OIDC_NAME",
    "LENDING_OIDC_ROLES",
    "LENDING_PORTAL_KEYS",
    "LENDING_REGISTER_KEYS",
    "LENDING_FILE_ACCESS",
    "LENDING_SIGNING_KEY",
)
"""The environment variables of all settings."""

FILE_NAMES = {variable.removeprefix("LENDING_").lower(): variable for variable in VARIABLES}
"""The variable of each setting by its name in the settings file: LENDING_START_DATE is `start_date` there."""

MOST_MEGABYTES = 1_000
"""The largest value of LENDING_MAIL_LIMIT_MB."""

ENGINES = ("duckdb", "spark")
"""The compute engines: DuckDB in this process, or Spark on this machine or a cluster."""


UMASKS = {"owner": 0o077, "group": 0o027, "everyone": 0o022}
"""The umask for each value of LENDING_FILE_ACCESS, which says who may read new files and folders."""


@dataclass(frozen=True)
class Settings:
    """The settings of one environment. Locations are fsspec URLs or local paths; databases are SQLAlchemy URLs.

    `lender_name` is empty when it is not set. Secrets, and the passwords and tokens in URLs, are not printed.
    """

    home: Path
    lender_name: str
    logo_file: str | None
    lake_url: str
    engine: str
    spark_master: str
    exports_url: str
    servicing_url: SecretUrl
    source: str
    register_url: SecretUrl
    start_date: date
    timezone: str
    conventions_file: str | None
    report_schedules_file: str | None
    retention_file: str | None
    smtp_url: SecretUrl | None
    mail_from: str
    mail_limit_mb: int
    alert_admins: tuple[str, ...]
    alert_digest_hour: int
    alert_webhook_url: SecretUrl
    alert_webhook_secret: Secret
    ui_url: str
    locale: str
    portal_url: str
    portal_proxies: tuple[str, ...]
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: Secret
    oidc_name: str
    oidc_roles_file: str | None
    portal_keys_file: str | None
    register_keys: Secret
    umask: int
    signing_key: Secret | None

    @property
    def today(self) -> date:
        """The date now in LENDING_TIMEZONE."""
        return datetime.now(ZoneInfo(self.timezone)).date()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from the settings file, if there is one, and from LENDING_* variables.

        A variable takes precedence over the file. An empty variable counts as not set.

        Raises:
            LendingError: The file cannot be read, or settings are not valid. The message names all of them.
        """
        file = find_settings_file(environment)
        filed = read_settings_file(file, FILE_NAMES) if file else {}
        given = filed | {name: value for name, value in environment.items() if value}
        read = _Reader(given)
        home = read("LENDING_HOME", _folder, ".lending") or Path()
        url, place = partial(_secret_url, environment), partial(_place, environment)
        settings = cls(
            home=home,
            lender_name=read("LENDING_NAME", _text),
            logo_file=read.optional("LENDING_LOGO", _text),
            lake_url=read.optional("LENDING_LAKE", place) or str(home / "lake"),
            engine=read("LENDING_ENGINE", partial(_one_of, ENGINES), "duckdb"),
            spark_master=read("LENDING_SPARK_MASTER", _text, "local[*]"),
            exports_url=read.optional("LENDING_EXPORTS", place) or str(home / "exports"),
            servicing_url=read.optional("LENDING_SERVICING_URL", url, secret=True) or _file_url(home / "servicing.db"),
            source=read("LENDING_SOURCE", _text, "canonical"),
            register_url=read.optional("LENDING_REGISTER_URL", url, secret=True) or _file_url(home / "register.db"),
            start_date=read("LENDING_START_DATE", day_from, "2025-01-01"),
            timezone=read("LENDING_TIMEZONE", _timezone, "UTC"),
            conventions_file=read.optional("LENDING_CONVENTIONS", _text),
            report_schedules_file=read.optional("LENDING_REPORT_SCHEDULES", _text),
            retention_file=read.optional("LENDING_RETENTION", _text),
            smtp_url=read.optional("LENDING_SMTP_URL", url, secret=True),
            mail_from=read("LENDING_MAIL_FROM", _text, f"lending@{socket.gethostname()}"),
            mail_limit_mb=read("LENDING_MAIL_LIMIT_MB", partial(_whole_number, MOST_MEGABYTES), "10"),
            alert_admins=read("LENDING_ALERT_ADMINS", _listed, "team:risk"),
            alert_digest_hour=read("LENDING_ALERT_DIGEST_HOUR", partial(_whole_number, 23), "0"),
            alert_webhook_url=read("LENDING_ALERT_WEBHOOK_URL", url, secret=True),
            alert_webhook_secret=read("LENDING_ALERT_WEBHOOK_SECRET", _secret, secret=True),
            ui_url=read("LENDING_UI_URL", place),
            locale=read("LENDING_LOCALE", _text, "en"),
            portal_url=read("LENDING_PORTAL_URL", place),
            portal_proxies=read("LENDING_PORTAL_PROXIES", _listed),
            oidc_issuer=read("LENDING_OIDC_ISSUER", place),
            oidc_client_id=read("LENDING_OIDC_CLIENT_ID", _text),
            oidc_client_secret=read("LENDING_OIDC_CLIENT_SECRET", _secret, secret=True),
            oidc_name=read("LENDING_OIDC_NAME", _text, "single sign-on"),
            oidc_roles_file=read.optional("LENDING_OIDC_ROLES", _text),
            portal_keys_file=read.optional("LENDING_PORTAL_KEYS", _text),
            register_keys=read("LENDING_REGISTER_KEYS", _secret, secret=True),
            umask=UMASKS[read("LENDING_FILE_ACCESS", partial(_one_of, tuple(UMASKS)), "owner")],
            signing_key=read.optional("LENDING_SIGNING_KEY", _key, secret=True),
        )
        read.require_plain("LENDING_HOME", str(home))
        for variable, location in (("LENDING_LAKE", settings.lake_url), ("LENDING_EXPORTS", settings.exports_url)):
            if variable in given:
                read.require_plain(variable, location)
        read.require_all()
        return settings


class _Reader:
    """Reads settings by their variable, and collects the faults of all settings."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._faults: list[str] = []

    def __call__(self, variable: str, parse: Callable[[str], T], default: str = "", *, secret: bool = False) -> T:
        """The value of a setting, or of its default. The fault of a secret does not contain its value."""
        text = self._given.get(variable, default)
        try:
            return parse(text)
        except ValueError as error:
            found = "not valid" if secret else repr(text)
            self._faults.append(f"{variable} is {found}: {error}")
            # The value is never used, because require_all raises.
            return parse(default)

    def optional(self, variable: str, parse: Callable[[str], T], *, secret: bool = False) -> T | None:
        """The value of a setting; None if it is not set."""
        return self(variable, parse, secret=secret) if variable in self._given else None

    def require_plain(self, variable: str, place: str) -> None:
        """Add a fault for a location that is a pattern: engine and file systems would find other names, or none."""
        # A relative path is in a folder that can have such a name too.
        where = place if "://" in place else str(Path(place).absolute())
        if any(part in where for part in "*?["):
            self._faults.append(f"{variable} is {where!r}: choose a location without *, ? and [, which form patterns")

    def require_all(self) -> None:
        """Raise LendingError with every fault that was found."""
        if self._faults:
            raise LendingError("; ".join(self._faults))


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"write at most {LONGEST_TEXT:,} characters")
    return plain_text(text)


def _secret(text: str) -> Secret:
    return Secret(_text(text))


def _key(text: str) -> Secret:
    """The path or the text of a PEM file, whose lines end in `\\n` as in a file of environment variables."""
    return _secret(text.strip().replace("\n", "\\n"))


def _folder(text: str) -> Path:
    """The path of a folder whose files can be named by URLs."""
    if found := next((part for part in ("${", "?", "%") if part in text), None):
        raise ValueError(f"write the path itself, without {found}: ${{NAME}} is replaced in URLs only")
    return Path(_text(text)).absolute()


def _file_url(file: Path) -> SecretUrl:
    """The URL of an SQLite database."""
    return SecretUrl(f"sqlite:///{file}")


def _secret_url(environment: Mapping[str, str], text: str) -> SecretUrl:
    """A URL that can contain a password. The password is never printed."""
    url = filled(_text(text), environment)
    require_encoded(url)
    _require_port(url)
    return SecretUrl(url)


def _place(environment: Mapping[str, str], text: str) -> str:
    """A folder or URL. It is printed and stored, so it must not contain a secret."""
    url = filled(_text(text), environment)
    if has_secret(url):
        raise ValueError("remove the password or token, because this location is stored with every file")
    _require_port(url)
    return url


def _require_port(url: str) -> None:
    """Raise ValueError when the URL has a port that is not valid."""
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("write a port from 1 to 65535, or percent-encode the special characters") from None


def _one_of(allowed: tuple[str, ...], text: str) -> str:
    if text not in allowed:
        raise ValueError(f"write one of {', '.join(allowed)}")
    return text


def _whole_number(most: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > most:
        raise ValueError(f"write a whole number from 0 to {most:,}")
    return int(text)


def _listed(text: str) -> tuple[str, ...]:
    """Values separated by commas."""
    return tuple(part.strip() for part in _text(text).split(",") if part.strip())


def _timezone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise ValueError("write an IANA time zone like Europe/Amsterdam or UTC") from None
