"""Settings: locations, engine and start date, read from the settings file and LENDING_* variables in one place.

Choices that change what a number means are conventions (conventions.py).
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from lending_pipelines.errors import LendingError
from lending_pipelines.settings_file import find_settings_file, read_settings_file

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
)
"""Every setting as an environment variable."""

FILE_NAMES = {variable.removeprefix("LENDING_").lower(): variable for variable in VARIABLES}
"""The variable of each setting by its name in the settings file: LENDING_START_DATE is `start_date` there."""

ENGINES = ("duckdb", "spark")
"""The compute engines: DuckDB in this process, or Spark on this machine or a cluster."""


@dataclass(frozen=True)
class Settings:
    """The settings of one environment. Locations are fsspec URLs or local paths; databases are SQLAlchemy URLs.

    `lender_name` is empty when it is not set.
    """

    home: Path
    lender_name: str
    logo_file: str | None
    lake_url: str
    engine: str
    spark_master: str
    exports_url: str
    servicing_url: str
    source: str
    register_url: str
    start_date: date
    timezone: str
    conventions_file: str | None
    report_schedules_file: str | None
    retention_file: str | None
    smtp_url: str | None
    mail_from: str
    mail_limit_mb: int
    alert_admins: tuple[str, ...]
    alert_digest_hour: int
    alert_webhook_url: str
    alert_webhook_secret: str
    ui_url: str
    locale: str
    portal_url: str
    portal_proxies: tuple[str, ...]
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str
    oidc_name: str
    oidc_roles_file: str | None
    portal_keys_file: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from the settings file, if there is one, and LENDING_* variables, which win. Empty is not set.

        Raises:
            LendingError: The file cannot be read, or a setting cannot be understood.
        """
        file = find_settings_file(environment)
        filed = read_settings_file(file, FILE_NAMES) if file else {}
        given = filed | {name: value for name, value in environment.items() if value}
        home = Path(given.get("LENDING_HOME", ".lending")).absolute()
        return cls(
            home=home,
            lender_name=given.get("LENDING_NAME", ""),
            logo_file=given.get("LENDING_LOGO"),
            lake_url=given.get("LENDING_LAKE", str(home / "lake")),
            engine=_one_of("LENDING_ENGINE", given.get("LENDING_ENGINE", "duckdb"), ENGINES),
            spark_master=given.get("LENDING_SPARK_MASTER", "local[*]"),
            exports_url=given.get("LENDING_EXPORTS", str(home / "exports")),
            servicing_url=given.get("LENDING_SERVICING_URL", f"sqlite:///{home / 'servicing.db'}"),
            source=given.get("LENDING_SOURCE", "canonical"),
            register_url=given.get("LENDING_REGISTER_URL", f"sqlite:///{home / 'register.db'}"),
            start_date=_date("LENDING_START_DATE", given.get("LENDING_START_DATE", "2025-01-01")),
            timezone=_timezone("LENDING_TIMEZONE", given.get("LENDING_TIMEZONE", "UTC")),
            conventions_file=given.get("LENDING_CONVENTIONS"),
            report_schedules_file=given.get("LENDING_REPORT_SCHEDULES"),
            retention_file=given.get("LENDING_RETENTION"),
            smtp_url=given.get("LENDING_SMTP_URL"),
            mail_from=given.get("LENDING_MAIL_FROM", f"lending@{socket.gethostname()}"),
            mail_limit_mb=_whole_number("LENDING_MAIL_LIMIT_MB", given.get("LENDING_MAIL_LIMIT_MB", "10")),
            alert_admins=_listed(given.get("LENDING_ALERT_ADMINS", "team:risk")),
            alert_digest_hour=_hour("LENDING_ALERT_DIGEST_HOUR", given.get("LENDING_ALERT_DIGEST_HOUR", "0")),
            alert_webhook_url=given.get("LENDING_ALERT_WEBHOOK_URL", ""),
            alert_webhook_secret=given.get("LENDING_ALERT_WEBHOOK_SECRET", ""),
            ui_url=given.get("LENDING_UI_URL", ""),
            locale=given.get("LENDING_LOCALE", "en"),
            portal_url=given.get("LENDING_PORTAL_URL", ""),
            portal_proxies=_listed(given.get("LENDING_PORTAL_PROXIES", "")),
            oidc_issuer=given.get("LENDING_OIDC_ISSUER", ""),
            oidc_client_id=given.get("LENDING_OIDC_CLIENT_ID", ""),
            oidc_client_secret=given.get("LENDING_OIDC_CLIENT_SECRET", ""),
            oidc_name=given.get("LENDING_OIDC_NAME", "single sign-on"),
            oidc_roles_file=given.get("LENDING_OIDC_ROLES"),
            portal_keys_file=given.get("LENDING_PORTAL_KEYS"),
        )


def _one_of(variable: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise LendingError(f"{variable} is {text!r}: write one of {', '.join(allowed)}")
    return text


def _whole_number(variable: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise LendingError(f"{variable} is {text!r}: write a whole number")
    return int(text)


def _hour(variable: str, text: str) -> int:
    hour = _whole_number(variable, text)
    if hour > 23:
        raise LendingError(f"{variable} is {text!r}: write an hour from 0 to 23")
    return hour


def _listed(text: str) -> tuple[str, ...]:
    """Values separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _date(variable: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LendingError(f"{variable} is {text!r}: write a date like 2025-01-31") from None


def _timezone(variable: str, text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise LendingError(f"{variable} is {text!r}: write an IANA time zone like Europe/Amsterdam or UTC") from None
