"""Reads servicing tables from a lender's own tables or files, by a mapping file.

mapping.py defines the file, values.py its expressions. All rows are read at each sync, because a mapping does not say
which of the lender's columns shows what is new.
"""

import os
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from lending_pipelines.errors import did_you_mean, first_of
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.canonical.database import CanonicalDatabase
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.mapped.database import LenderDatabase
from lending_pipelines.sources.mapped.files import Folder
from lending_pipelines.sources.mapped.mapping import Mapping as MappingFile
from lending_pipelines.sources.mapped.mapping import TableRule, read_mapping
from lending_pipelines.sources.mapped.unreadable import Unreadable
from lending_pipelines.sources.mapped.values import ColumnValues, code_of, is_empty
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import SERVICING, Table
from lending_pipelines.url_secrets import filled, require_encoded


class Origin(Protocol):
    """A lender's database or folder of files."""

    def columns(self, rule: TableRule) -> list[str]:
        """The columns of a table, in order. Raises Unreadable."""

    def groups(self, rule: TableRule, columns: Sequence[str]) -> Iterator[dict[str, Values]]:
        """The named columns of a table, in groups of rows. Raises Unreadable."""


class MappedSource:
    """A mapping file, by its path."""

    name = "mapped"

    def __init__(self, url: str):
        self.file = Path(url.removeprefix("file://"))

    @contextmanager
    def snapshot(self) -> Iterator["MappedSnapshot"]:
        """Read the mapping and open the lender's database or folder. All tables of a database show one state."""
        mapping = read_mapping(self.file)
        if "://" not in mapping.origin:
            yield MappedSnapshot(mapping, Folder(self.file.parent / mapping.origin))
            return
        with CanonicalDatabase(self._url(mapping.origin), self.name).snapshot() as database:
            yield MappedSnapshot(mapping, LenderDatabase(database))

    def _url(self, origin: str) -> str:
        """The database's URL, with variables of the environment filled in.

        The path of a SQLite file is relative to the mapping file.
        """
        try:
            origin = filled(origin, os.environ)
            require_encoded(origin)
        except ValueError as error:
            raise SourceError(f"mapped: {self.file}: from: {error}") from None
        path = origin.removeprefix("sqlite:///")
        return f"sqlite:///{(self.file.parent / path).absolute()}" if path not in (origin, "") else origin


class MappedSnapshot:
    """The servicing tables that a mapping defines."""

    name = MappedSource.name

    def __init__(self, mapping: MappingFile, origin: Origin):
        self.mapping = mapping
        self.origin = origin
        self._left_out: Counter[str] = Counter()

    @property
    def absent(self) -> frozenset[str]:
        """The servicing tables that the mapping does not name."""
        return frozenset(SERVICING) - set(self.mapping.tables)

    @property
    def tables(self) -> list[Table]:
        """The servicing tables that the mapping names, in the order of the sync."""
        return [table for name, table in SERVICING.items() if name in self.mapping.tables]

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows, all of them whatever `since` and `months`.

        Raises:
            SourceError: A table or column of the lender does not exist, or cannot be read.
            UnreadableValues: After the last row: codes that are not listed, or values that do not fit their column.
        """
        if table.name in self.absent:
            return
        rules = self.mapping.tables[table.name]
        self._left_out[table.name] = 0
        self._check_columns(table, rules)
        faults: list[Finding] = []
        try:
            yield from record_batches(self.name, table, self._groups(table, rules, faults), faults=faults)
        except Unreadable as error:
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {error}") from error

    def month_totals(self, table: Table) -> None:
        """None: every sync reads and compares complete tables."""

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """The number of rows that `where` left out when the table was read."""
        left_out = self._left_out[table.name]
        return {"rows left out by where": left_out} if left_out else {}

    def _check_columns(self, table: Table, rules: Sequence[TableRule]) -> None:
        """Raise SourceError if the lender's tables lack columns of the mapping. The message names every such column."""
        faults = []
        for rule in rules:
            try:
                columns = self.origin.columns(rule)
            except Unreadable as error:
                faults.append(str(error))
                continue
            faults += [
                f"{rule.origin} has no column {name!r}; {did_you_mean(name, columns)}"
                for name in rule.used
                if name not in columns
            ]
        if faults:
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {first_of(faults)}")

    def _groups(self, table: Table, rules: Sequence[TableRule], faults: list[Finding]) -> Iterator[list[Values]]:
        """The servicing table's columns in groups of rows. Adds to `faults` after each of the lender's tables."""
        for rule in rules:
            columns = {
                name: ColumnValues(table.column(name), column, rule.decimal_comma)
                for name, column in rule.columns.items()
            }
            for group in self.origin.groups(rule, rule.used):
                counted, rows, left_out = _counted(rule, group)
                self._left_out[table.name] += left_out
                if rows:
                    yield [
                        columns[name].of(counted, rows) if name in columns else [None] * rows for name in table.names
                    ]
            faults += [finding for each in columns.values() if (finding := each.finding())]


def _counted(rule: TableRule, group: Mapping[str, Values]) -> tuple[dict[str, Values], int, int]:
    """The rows of a group that `where` selects, their number, and the number of the others."""
    arrays = {name: values if isinstance(values, pa.Array) else list(values) for name, values in group.items()}
    rows = len(next(iter(arrays.values()), ()))
    if not rule.where:
        return arrays, rows, 0
    tested = {name: _texts(group[name]) for name in rule.where}
    kept = [row for row in range(rows) if all(_holds(rule.where[name], tested[name][row]) for name in tested)]
    return {name: _taken(values, kept) for name, values in arrays.items()}, len(kept), rows - len(kept)


def _texts(values: Values) -> list[str]:
    """The values as codes; an empty text for a missing value."""
    listed = values.to_pylist() if isinstance(values, pa.Array) else values
    return ["" if is_empty(value) else code_of(value) for value in listed]


def _holds(wanted: bool | list[str], text: str) -> bool:
    """Whether a value meets a condition of `where`."""
    return text in wanted if isinstance(wanted, list) else bool(text) is wanted


def _taken(values: Values, rows: list[int]) -> Values:
    return values.take(pa.array(rows, pa.int64())) if isinstance(values, pa.Array) else [values[row] for row in rows]
