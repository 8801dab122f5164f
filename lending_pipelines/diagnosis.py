"""Checks a home before the first close. Each check returns findings and does not stop the others.

The sync validates the servicing tables against an empty lake in a temporary folder, so the findings are those of a
first sync. The checks write nothing to the home except probe files, which they delete.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from lending_pipelines.conventions import Conventions
from lending_pipelines.delivery.mail_server import MailServer
from lending_pipelines.delivery.parcel import DeliveryError
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import open_engine
from lending_pipelines.places import opened
from lending_pipelines.processes import temporary_folder
from lending_pipelines.register import Register
from lending_pipelines.settings import Settings
from lending_pipelines.settings_file import find_settings_file
from lending_pipelines.sources import open_source, preview_reload
from lending_pipelines.tables import REQUIRED, SERVICING

_PACKAGES = ("dagster", "duckdb", "deltalake", "ibis-framework")
_CLOCK_SECONDS = 300
"""The allowed difference between the database's clock and this machine's."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check."""

    verdict: Literal["ok", "warning", "FAILED"]
    subject: str
    text: str


def diagnose(settings: Settings) -> Iterator[Diagnosis]:
    """Run every check: fast ones first, then the servicing tables."""
    yield from _versions()
    yield from _places(settings)
    yield from _register(settings)
    yield from _mail(settings)
    yield _zone(settings)
    yield from _database(settings)
    yield from _tables(settings)


def _versions() -> Iterator[Diagnosis]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Diagnosis("ok", "versions", f"Python {platform.python_version()}, {packages}")
    file = find_settings_file(os.environ)
    yield Diagnosis("ok", "settings", str(file) if file else "no lending.toml here: environment variables and defaults")


def _places(settings: Settings) -> Iterator[Diagnosis]:
    for subject, url in (("home", str(settings.home)), ("lake", settings.lake_url), ("exports", settings.exports_url)):
        try:
            with opened(url) as (filesystem, folder):
                filesystem.makedirs(folder, exist_ok=True)
                probe = f"{folder}/probe-{uuid4().hex}"
                filesystem.pipe_file(probe, b"probe")
                filesystem.rm_file(probe)
        except (LendingError, OSError, ValueError, ImportError) as error:
            yield Diagnosis("FAILED", subject, f"{url} is not writable: {_one_line(error)}")
        else:
            yield Diagnosis("ok", subject, f"{url} is writable")


def _register(settings: Settings) -> Iterator[Diagnosis]:
    shown = _without_password(settings.register_url)
    try:
        register = Register(settings.register_url)
        register.upgrade()
        register.dispose()
    except (LendingError, sa.exc.SQLAlchemyError) as error:
        yield Diagnosis("FAILED", "register", f"{shown}: {_one_line(error)}")
    else:
        yield Diagnosis("ok", "register", f"{shown} has this version's tables")


def _mail(settings: Settings) -> Iterator[Diagnosis]:
    if settings.smtp_url is None:
        yield Diagnosis("ok", "mail server", "none: tapes and notifications are not mailed (LENDING_SMTP_URL)")
        return
    try:
        MailServer(settings.smtp_url, settings.mail_from, 0).check()
    except DeliveryError as error:
        yield Diagnosis("FAILED", "mail server", str(error))
    else:
        yield Diagnosis("ok", "mail server", "it answers, and takes the user and password")


def _zone(settings: Settings) -> Diagnosis:
    now = datetime.now(ZoneInfo(settings.timezone))
    return Diagnosis("ok", "time zone", f"{settings.timezone}, where it is {now:%Y-%m-%d %H:%M}")


def _database(settings: Settings) -> Iterator[Diagnosis]:
    """Permissions and clock of a SQLAlchemy servicing database. `_tables` checks whether it can be read."""
    if settings.source != "canonical":
        return
    with suppress(LendingError, sa.exc.SQLAlchemyError, ImportError):
        url = sa.make_url(settings.servicing_url)
        if url.get_backend_name() == "sqlite" and url.database and os.path.exists(url.database):
            writable = os.access(url.database, os.W_OK)
            text = "this user may write to the file; it is only read" if writable else "it can only be read"
            yield Diagnosis("ok", "servicing rights", text)
        elif url.get_backend_name() == "postgresql":
            yield from _postgresql(url)


def _postgresql(url: sa.URL) -> Iterator[Diagnosis]:
    url = url.set(drivername="postgresql+psycopg2").update_query_dict({"connect_timeout": "5"})
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        names = [name for name in SERVICING if sa.inspect(connection).has_table(name)]
        writable = [
            name
            for name in names
            if connection.scalar(sa.text("SELECT has_table_privilege(:name, 'INSERT')"), {"name": name})
        ]
        now = connection.scalar(sa.text("SELECT clock_timestamp() AT TIME ZONE 'UTC'"))
    if writable:
        yield Diagnosis(
            "warning",
            "servicing rights",
            f"the user may write to {len(writable)} tables, such as {writable[0]}: a user who may only read is safer",
        )
    else:
        yield Diagnosis("ok", "servicing rights", "the user may only read")
    apart = abs((datetime.now(UTC).replace(tzinfo=None) - now).total_seconds())
    verdict: Literal["ok", "warning"] = "ok" if apart <= _CLOCK_SECONDS else "warning"
    yield Diagnosis(verdict, "servicing clock", f"{apart:.0f} s apart from this machine's")


def _tables(settings: Settings) -> Iterator[Diagnosis]:
    """Whether each servicing table exists, and every error of its columns and rows."""
    try:
        conventions = Conventions.load(settings.conventions_file) if settings.conventions_file else Conventions()
    except LendingError as error:
        yield Diagnosis("FAILED", "conventions", str(error))
        conventions = Conventions()
    with temporary_folder("doctor") as folder:
        engine = open_engine(settings, folder, "2GB")
        try:
            source = open_source(settings.source, settings.servicing_url)
            with source.snapshot() as reader:
                absent = reader.absent
            for table, outcome in preview_reload(source, SERVICING.values(), Lake(folder, engine), conventions):
                if table.name in absent and table.name not in REQUIRED:
                    yield Diagnosis("ok", table.name, "the source does not have it; it is optional")
                elif isinstance(outcome, LendingError):
                    yield Diagnosis("FAILED", table.name, str(outcome))
                else:
                    rejected = [line for line in outcome if line.startswith("rejected")]
                    rows = next((line.partition(" ")[0] for line in outcome if " added" in line), "0")
                    yield Diagnosis(
                        "FAILED" if rejected else "ok",
                        table.name,
                        "; ".join(rejected) or f"{rows} rows without a fault",
                    )
        except LendingError as error:
            yield Diagnosis("FAILED", "servicing database", str(error))
        finally:
            engine.close()


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "LENDING_REGISTER_URL"


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
