"""Upgrades a home of an earlier version to this version: the register's schema and the lake's tables.

`plan` only reads. `upgrade_home` rewrites tables with the same rows, and certifies that the rows are the same.
"""

from dataclasses import dataclass

from lending_pipelines import __version__
from lending_pipelines.evidence.chain import CERTIFICATES, append
from lending_pipelines.evidence.files import PASSED_CHECKS
from lending_pipelines.evidence.inventory import Places
from lending_pipelines.evidence.keys import SigningKey
from lending_pipelines.evidence.rewrites import upkeep_certified
from lending_pipelines.evidence.statement import step_statement
from lending_pipelines.lake.format import FORMAT, lake_format, stamp_format
from lending_pipelines.lake.schema_changes import SchemaChange
from lending_pipelines.tables import RECORDS, SERVICING, TABLES


@dataclass(frozen=True)
class TableUpgrade:
    """A table of an earlier version, and what it lacks."""

    table: str
    changes: tuple[SchemaChange, ...]

    def lines(self) -> list[str]:
        """What is done: a line for each column, with its value in earlier rows."""
        return [self._line(change) for change in self.changes]

    def _line(self, change: SchemaChange) -> str:
        if change.stored is not None:
            return f"{self.table}.{change.column}: {change.stored} becomes {change.now}; the values stay"
        return f"{self.table}.{change.column}: added as {change.now}; earlier rows have null: {self._missing(change)}"

    def _missing(self, change: SchemaChange) -> str:
        """What null in the earlier rows means, and how to fill it."""
        table = TABLES[self.table]
        if self.table in SERVICING:
            return f"not read yet, until `lending sync --reload {self.table}`"
        if self.table in RECORDS:
            return "not recorded"
        if table.daily:
            return "not computed, until the days are closed again with `lending close --from D --to D --force`"
        return "not computed, until the next close"


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade does: the register's revisions before and after, the lake's formats, and its tables."""

    register: tuple[str | None, str]
    lake: tuple[int | None, int | None]
    tables: tuple[TableUpgrade, ...]

    def lines(self) -> list[str]:
        """The upgrade as lines of text; empty if everything is up to date."""
        lines = []
        if self.register[0] != self.register[1]:
            lines.append(f"register: schema {self.register[0] or 'none'} becomes {self.register[1]}")
        lines += [line for table in self.tables for line in table.lines()]
        if self.lake[0] != self.lake[1]:
            lines.append(f"lake: format {self.lake[0] or 'not recorded'} becomes {self.lake[1]}")
        return lines


def plan(places: Places) -> Upgrade:
    """What an upgrade of the home would do. Nothing is changed.

    Raises:
        LakeError: A later version of this program has written the lake.
    """
    there = [name for name in TABLES if places.lake.has(name)]
    changes = {name: places.lake.schema_changes(name) for name in there}
    tables = tuple(TableUpgrade(name, tuple(found)) for name, found in changes.items() if found)
    format_now = lake_format(places.lake.url)
    return Upgrade(places.register.revisions(), (format_now, FORMAT if there else format_now), tables)


def upgrade_home(places: Places, upgrade: Upgrade, key: SigningKey | None) -> None:
    """Do the upgrade. Each table is rewritten in one commit. A second call completes an interrupted upgrade.

    A home without certificates gets its first statement, so that the next close need not hash all its files.

    Args:
        places: The home.
        upgrade: Its plan.
        key: Signs the statement.

    Raises:
        RegisterError: A later version has already migrated the register.
        LakeError: A later version of this program has written the lake.
    """
    places.register.upgrade()
    if upgrade.lake[1] is None:
        return
    about = {"upgraded_to": __version__, "changes": upgrade.lines()}
    had_certificates = places.lake.has(CERTIFICATES)
    with upkeep_certified(places, "upgrade", key, lambda: about):
        for each in upgrade.tables:
            places.lake.bring_up_to_date(each.table)
        stamp_format(places.lake.url)
    if upgrade.lake[0] is None:
        _forget_passed_checks(places)
    if not had_certificates:
        append(places, lambda inventory: step_statement(places, "upgrade", about, inventory), key)


def _forget_passed_checks(places: Places) -> None:
    """Remove the results of checks of a lake without a recorded format: they have no checksum. All checks run again."""
    filesystem, path = places.opened(PASSED_CHECKS)
    if filesystem.exists(path):
        filesystem.rm_file(path)
