"""Stores which blocking checks passed, next to the lake's tables, so that they run once on the same data.

For each check, the file has the days on which it passed and its inputs: the identities of the tables that it reads, the
conventions, and a hash of the checks' code. If any of these changes, the check runs again. If the file is missing or
damaged, all checks run again.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any

from lending_pipelines import __version__
from lending_pipelines.checks import Check, Days, Outcome
from lending_pipelines.places import PlaceError, opened, placing, sealed, unsealed
from lending_pipelines.resources.report_source import LakeReportSource
from lending_pipelines.tables import RECORDS, TABLES

FILE = "_passed_checks.json"

_LOGGER = logging.getLogger(__name__)


@contextmanager
def passed_checks(source: LakeReportSource) -> Iterator["PassedChecks"]:
    """The stored results for the tables as `source` reads them. Results added in the block are saved after it."""
    url = f"{source.lake.url}/{FILE}"
    memory = PassedChecks(source, _read(url))
    try:
        yield memory
    finally:
        if memory.added:
            # If another run writes at the same time, one of them repeats its checks next time.
            _write(url, _read(url) | memory.added)


class PassedChecks:
    """The stored results of `passed_checks`. `kept` is the content of the file, by check."""

    def __init__(self, source: LakeReportSource, kept: Mapping[str, Any]):
        self._source = source
        self._kept = kept
        self.added: dict[str, Any] = {}

    def unchecked(self, check: Check, days: Days) -> Days | None:
        """The days for which the check has no stored pass; None if it passed on all of them.

        A check of tables that are not daily covers the complete table: it passes on all days or on none.
        """
        known = self._days(check)
        if not TABLES[check.table].daily:
            return None if known is not None else days
        left = tuple(day for day in days.dates if day.isoformat() not in (known or ()))
        return Days(left) if left else None

    def remember(self, check: Check, days: Days, outcome: Outcome) -> None:
        """Store the days on which the check passed. A check that fails without naming days passed on none."""
        if not outcome.passed and not outcome.failing_days:
            return
        passed = [day.isoformat() for day in days.dates if day not in outcome.failing_days]
        kept = sorted({*(self._days(check) or ()), *passed}) if TABLES[check.table].daily else []
        self.added[_name(check)] = {"on": self._inputs(check), "days": kept}

    def _days(self, check: Check) -> list[str] | None:
        """The days on which the check passed on the same inputs; None without a stored result."""
        stored = self.added.get(_name(check)) or self._kept.get(_name(check))
        return stored["days"] if stored and stored["on"] == self._inputs(check) else None

    def _inputs(self, check: Check) -> dict[str, Any]:
        """The inputs of the check, as they are stored with its result."""
        # Record tables, such as closed_days, are left out: they change whenever any table is written.
        read = {name: self._source.identity(name) for name in sorted(check.reads) if name not in RECORDS}
        return {
            # The version is not used, because upkeep of a table can add a version with the same files.
            "tables": {name: table.files for name, table in read.items()},
            "conventions": self._source.conventions.stamp(),
            "code": _code(),
        }


def _name(check: Check) -> str:
    return f"{check.table}.{check.name}"


@cache
def _code() -> str:
    """A hash of the checks' code. It changes with each release and during development."""
    hashed = hashlib.sha256(__version__.encode())
    for module in sorted(resources.files("lending_pipelines.checks").iterdir(), key=lambda file: file.name):
        if module.name.endswith(".py"):
            hashed.update(module.read_bytes())
    return hashed.hexdigest()


def _read(url: str) -> dict[str, Any]:
    try:
        with opened(url) as (filesystem, path):
            stored = unsealed(filesystem.cat_file(path), url)
        return {name: entry for name, entry in stored.items() if {"on", "days"} <= entry.keys()}
    except FileNotFoundError:
        return {}
    except (OSError, PlaceError, ValueError, AttributeError, TypeError) as error:
        _LOGGER.warning("%s cannot be read, so checks run again: %s", url, error)
        return {}


def _write(url: str, entries: Mapping[str, Any]) -> None:
    try:
        with placing(url) as file:
            file.write(sealed(entries))
    except PlaceError as error:
        _LOGGER.warning("results of checks cannot be stored: %s", error)
