"""Checks a home before the first close. Each check returns findings and does not stop the others.

The sync validates the servicing tables against an empty lake in a temporary folder, so the findings are those of a
first sync. The checks that need only servicing tables run on the same rows. Nothing is written to the home except probe
files, which are deleted.
"""

import os
import platform
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import sqlalchemy as sa

from lending_pipelines import __version__
from lending_pipelines.checks import Days, Outcome, own_checks
from lending_pipelines.conventions import Conventions
from lending_pipelines.delivery.mail_server import MailServer
from lending_pipelines.delivery.parcel import DeliveryError
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import open_engine
from lending_pipelines.places import opened
from lending_pipelines.processes import temporary_folder
from lending_pipelines.register import Investors, Register
from lending_pipelines.settings import UMASKS, Settings
from lending_pipelines.settings_file import find_settings_file
from lending_pipelines.sources import Preview, open_source, preview_reload
from lending_pipelines.sources.protocol import ReadsDatabase, Rights
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import MYSQL

_PACKAGES = ("dagster", "duckdb", "deltalake", "ibis-framework")
_LISTED = 10
"""How many ids a diagnosis lists."""

_CLOCK_SECONDS = 300
"""The allowed difference between the database's clock and this machine's."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check."""

    verdict: Literal["ok", "warning", "FAILED"]
    subject: str
    text: str
    faults: tuple[str, ...] = ()
    """Each fault of the subject, with its rows."""


def diagnose(settings: Settings) -> Iterator[Diagnosis]:
    """Run every check: fast ones first, then the servicing tables."""
    yield from _versions()
    yield from _places(settings)
    yield from _file_access(settings)
    yield from _register(settings)
    yield from _mail(settings)
    yield _admins(settings)
    yield _zone(settings)
    yield from _database(settings)
    yield from _tables(settings)


def _versions() -> Iterator[Diagnosis]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Diagnosis(
        "ok", "versions", f"lending_pipelines {__version__}, Python {platform.python_version()}, {packages}"
    )
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
    shown = str(settings.register_url)
    try:
        register = Register(settings.register_url)
        register.upgrade()
        with register.reading_session() as session:
            clear = Investors(session).in_clear()
        register.dispose()
    except (LendingError, sa.exc.SQLAlchemyError) as error:
        yield Diagnosis("FAILED", "register", f"{shown}: {_one_line(error)}")
    else:
        yield Diagnosis("ok", "register", f"{shown} has this version's tables")
        yield _personal_data(settings, clear)


def _personal_data(settings: Settings, clear: int) -> Diagnosis:
    """Whether the bank accounts, phones, emails and addresses of investors are encrypted."""
    what = "investors' bank accounts, phones, emails and addresses"
    if not settings.register_keys:
        verdict: Literal["ok", "warning"] = "warning" if clear else "ok"
        return Diagnosis(verdict, "personal data", f"{what} are stored unencrypted: set LENDING_REGISTER_KEYS")
    if clear:
        return Diagnosis(
            "warning", "personal data", f"those of {clear:,} are unencrypted: run `lending investor encrypt`"
        )
    return Diagnosis("ok", "personal data", f"{what} are encrypted")


def _file_access(settings: Settings) -> Iterator[Diagnosis]:
    """A warning for each of the folders home, lake and exports that permits more access than LENDING_FILE_ACCESS."""
    folders = [settings.home, *(Path(url) for url in (settings.lake_url, settings.exports_url) if "://" not in url)]
    open_ones = [
        folder for folder in folders if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & settings.umask
    ]
    for folder in dict.fromkeys(open_ones):
        taken = "go-rwx" if settings.umask == UMASKS["owner"] else "g-w,o-rwx"
        yield Diagnosis("warning", "file access", f"other users can read {folder}: run `chmod -R {taken} {folder}`")


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


def _admins(settings: Settings) -> Diagnosis:
    if settings.alert_admins:
        return Diagnosis("ok", "alert admins", ", ".join(settings.alert_admins))
    text = "none: nobody is notified of failed runs, and of alerts without another recipient (LENDING_ALERT_ADMINS)"
    return Diagnosis("warning" if settings.smtp_url else "ok", "alert admins", text)


def _zone(settings: Settings) -> Diagnosis:
    now = datetime.now(ZoneInfo(settings.timezone))
    return Diagnosis("ok", "time zone", f"{settings.timezone}, where it is {now:%Y-%m-%d %H:%M}")


def _database(settings: Settings) -> Iterator[Diagnosis]:
    """Permissions and clock of a SQLAlchemy servicing database. `_tables` checks whether it can be read."""
    with suppress(LendingError, sa.exc.SQLAlchemyError, ImportError):
        url = sa.make_url(settings.servicing_url)
        if url.get_backend_name() == "sqlite" and url.database and os.path.exists(url.database):
            writable = os.access(url.database, os.W_OK)
            text = "this user may write to the file; it is only read" if writable else "it can only be read"
            yield Diagnosis("ok", "servicing rights", text)
        elif url.get_backend_name() in ("postgresql", *MYSQL):
            with open_source(settings.source, settings.servicing_url).snapshot() as reader:
                found = reader.rights() if isinstance(reader, ReadsDatabase) else None
            if found is not None:
                yield from _rights(found)


def _rights(found: Rights) -> Iterator[Diagnosis]:
    if found.writable:
        yield Diagnosis(
            "warning",
            "servicing rights",
            f"the user may write to {len(found.writable)} tables, such as {found.writable[0]}: a user who may only "
            "read is safer",
        )
    else:
        yield Diagnosis("ok", "servicing rights", "the user may only read")
    apart = abs((datetime.now(UTC).replace(tzinfo=None) - found.now).total_seconds())
    verdict: Literal["ok", "warning"] = "ok" if apart <= _CLOCK_SECONDS else "warning"
    yield Diagnosis(verdict, "servicing clock", f"{apart:.0f} s from this machine's clock")


def _tables(settings: Settings) -> Iterator[Diagnosis]:
    """Whether each servicing table exists, and every error of its columns and rows."""
    try:
        conventions = Conventions.load(settings.conventions_file)
    except LendingError as error:
        yield Diagnosis("FAILED", "conventions", str(error))
        conventions = Conventions()
    yesterday = datetime.now(ZoneInfo(settings.timezone)).date() - timedelta(days=1)
    with temporary_folder("doctor") as folder:
        engine = open_engine(settings, folder, "2GB")
        try:
            source = open_source(settings.source, settings.servicing_url)
            with preview_reload(source, SERVICING.values(), Lake(folder, engine), conventions) as previews:
                failed = _failed_checks(previews, conventions, Days((yesterday,)))
                for preview in previews:
                    yield _table(preview, [each for each in failed if each.table == preview.table.name])
                    if preview.table.name == "staff" and preview.rows is not None:
                        yield from _staff_without_email(preview.rows, yesterday)
        except LendingError as error:
            yield Diagnosis("FAILED", "servicing database", str(error))
        finally:
            engine.close()


def _failed_checks(previews: Sequence[Preview], conventions: Conventions, days: Days) -> list[Outcome]:
    """The failed checks that need only servicing tables, on the rows of the source."""
    readable = {preview.table.name: preview.rows for preview in previews if preview.rows is not None}
    absent = {preview.table.name for preview in previews if preview.rows is None and preview.error is None}
    tables = readable | {
        name: ibis.memtable(SERVICING[name].arrow_schema.empty_table(), schema=SERVICING[name].schema)
        for name in absent
    }
    checks = [each for each in own_checks(conventions) if each.table in readable and tables.keys() >= {*each.reads}]
    outcomes = [check.evaluate(tables.__getitem__, days) for check in checks]
    return [outcome for outcome in outcomes if not outcome.passed]


def _table(preview: Preview, failed: Sequence[Outcome]) -> Diagnosis:
    name, error = preview.table.name, preview.error
    faults = [
        *((getattr(error, "faults", None) or [str(error)]) if error else []),
        *(f"rejected: {name}.{each}" for each in preview.rejected_rows),
        *(outcome.message for outcome in failed),
    ]
    if preview.rows is None:
        text = "the source does not have it; it is optional" if error is None else "it cannot be read"
    else:
        text = f"{int(preview.rows.count().to_pyarrow().as_py()):,} rows"
    if error or preview.rejected_rows or any(outcome.severity == "error" for outcome in failed):
        return Diagnosis("FAILED", name, text, tuple(faults))
    return Diagnosis("warning" if faults else "ok", name, text, tuple(faults))


def _staff_without_email(staff: ir.Table, day: date) -> Iterator[Diagnosis]:
    """A warning that lists the members of staff on a day who have no email address."""
    works = (staff.active_from <= day) & (staff.active_to.isnull() | (staff.active_to >= day))
    missing = staff.filter(works, ~staff.email.contains("@")).order_by("staff_id")
    if ids := missing.staff_id.to_pyarrow().to_pylist():
        text = f"{len(ids):,} have none, and the admins get their alerts: {', '.join(ids[:_LISTED])}"
        yield Diagnosis("warning", "staff email", f"{text}, …" if len(ids) > _LISTED else text)


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
