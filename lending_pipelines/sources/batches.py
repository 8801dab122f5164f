"""Converts the columns that an adapter reads to record batches, and collects all conversion errors.

convert.py converts one value. rules.py checks the rows after the conversion.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lending_pipelines.sources.convert import REFUSED, Values, to_arrow
from lending_pipelines.sources.finding import SHOWN, Finding, example
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import Column, Table
from lending_pipelines.tables.schema import MONEY, RATE

MOST_COUNTED = 1000
"""The rest of a column is skipped after this number of rows with errors."""

_WANTED = {
    MONEY: "amounts with at most 2 decimals, up to 9,999,999,999,999,999.99",
    RATE: "fractions a year with at most 8 decimals, such as 0.125 for 12.5 %",
    "int64": "whole numbers",
    "date": "dates, such as 2024-01-31",
    "timestamp(6)": "timestamps, such as 2024-01-31 10:00:00",
    "boolean": "true or false",
    "string": "text",
}
"""The values that a column accepts, by its type."""


class UnreadableValues(SourceError):
    """A table has values that cannot be converted, or lacks columns."""

    def __init__(self, source: str, table: Table, findings: Sequence[Finding]):
        self.findings = tuple(findings)
        super().__init__(
            f"{source}: table {table.name} cannot be read: "
            + "; ".join(f"{table.name}.{finding}" for finding in findings)
        )


def record_batches(
    source: str,
    table: Table,
    groups: Iterable[Sequence[Values]],
    missing: Collection[str] = (),
    faults: Sequence[Finding] = (),
) -> Iterator[pa.RecordBatch]:
    """Yield a record batch of the table's types for each group of rows.

    Args:
        source: The adapter's name.
        table: The servicing table.
        groups: Groups of rows, each as the columns of values in the table's order.
        missing: Columns that the source does not have. They are filled with nulls.
        faults: Errors that the adapter found itself.

    Raises:
        UnreadableValues: After the last group, with every error of every column. A value that cannot be converted is
            null in its batch, so that the sync can still check the rest of the row.
    """
    columns = [_ColumnReader(table, column) for column in table.columns]
    for group in groups:
        by_name = dict(zip(table.names, group, strict=True))
        yield pa.RecordBatch.from_arrays([column.read(by_name) for column in columns], schema=table.arrow_schema)
    findings = [*faults, *(finding for column in columns for finding in column.findings(missing))]
    if findings:
        raise UnreadableValues(source, table, findings)


class _ColumnReader:
    """Converts the groups of one column and collects its errors."""

    def __init__(self, table: Table, column: Column):
        self._key = table.key
        self._column = column
        self._type = table.arrow_schema.field(column.name).type
        self._refused = _Faults()
        self._empty = _Faults()

    def read(self, group: Mapping[str, Values]) -> pa.Array:
        """The column of a group of rows; a value that cannot be converted is null."""
        values = group[self._column.name]
        if self._refused.count >= MOST_COUNTED:
            return pa.nulls(len(values), self._type)
        try:
            return to_arrow(values, self._type)
        except REFUSED:
            return self._one_by_one(group, values.to_pylist() if isinstance(values, pa.Array) else values)

    def findings(self, missing: Collection[str]) -> Iterator[Finding]:
        """The errors of the values read so far."""
        if self._column.name in missing and not self._column.optional:
            yield Finding(self._column.name, "the column is missing")
        if self._refused.count:
            problem = f"are not {_WANTED[self._column.type]}"
            yield self._refused.finding(self._column.name, problem, at_least=self._refused.count >= MOST_COUNTED)
            if self._empty.count:
                yield self._empty.finding(self._column.name, "have no value")

    def _one_by_one(self, group: Mapping[str, Values], values: Sequence[Any]) -> pa.Array:
        """Convert each value separately, because some may not convert."""
        converted = []
        for row, value in enumerate(values):
            try:
                converted.append(to_arrow((value,), self._type))
            except REFUSED:
                converted.append(pa.nulls(1, self._type))
                self._refused.add(self._example(group, row, value))
            else:
                # The rules cannot tell a missing value from one that could not be converted.
                if value is None and not self._column.nullable:
                    self._empty.add(self._example(group, row))
        return pa.concat_arrays(converted)

    def _example(self, group: Mapping[str, Values], row: int, *value: Any) -> str:
        return example({name: _plain(group[name][row]) for name in self._key}, *value)


@dataclass
class _Faults:
    """The rows with one error: their number and the first few."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def finding(self, column: str, problem: str, at_least: bool = False) -> Finding:
        return Finding(column, problem, self.count, tuple(self.examples), at_least)


def _plain(cell: Any) -> Any:
    return cell.as_py() if isinstance(cell, pa.Scalar) else cell
