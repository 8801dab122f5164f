"""What every format writes: a title, typed columns and their rows in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lending_pipelines.reports.book import ReportBook, ReportColumn

SLICE_ROWS = 16_384
"""Rows that text formats work on at once: few enough to stay near the processor, so that memory stays flat."""


@dataclass(frozen=True)
class Sheet:
    """One table on its way to a file. `batches` can be read once; their columns are named as `columns`, in order.

    `totals` are rows of values by column name. `no_data` is written in the place of the rows when there are none.
    """

    title: str
    columns: tuple[ReportColumn, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    totals: tuple[Mapping[str, Any], ...] = ()
    no_data: str | None = None

    def slices(self, rows: int = SLICE_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows, so many at once and the rest at the end: equal rows are cut alike, whatever the batches are."""
        kept: list[pa.RecordBatch] = []
        wanted = rows
        for batch in self.batches:
            while batch.num_rows:
                kept.append(batch.slice(0, wanted))
                batch = batch.slice(wanted)
                wanted -= kept[-1].num_rows
                if not wanted:
                    yield pa.concat_batches(kept)
                    kept, wanted = [], rows
        if kept:
            yield pa.concat_batches(kept)


class Unwritten:
    """Rows that are not written yet: handed out ahead of the writing, and again when they did not fit."""

    def __init__(self, slices: Iterator[pa.RecordBatch]) -> None:
        self._unread = slices
        self._read: list[pa.RecordBatch] = []
        self._given = 0

    def first(self) -> pa.RecordBatch | None:
        """The first rows that are not written; None when all are."""
        return self._at(0)

    def ahead(self, most: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The unwritten rows, `most` at most, each slice with the number of rows before it."""
        before = self._given = 0
        while before < most and (rows := self._at(self._given)):
            if rows.num_rows > most - before:
                self._read[self._given : self._given + 1] = rows.slice(0, most - before), rows.slice(most - before)
                rows = self._read[self._given]
            self._given += 1
            yield before, rows
            before += rows.num_rows

    def written(self) -> None:
        """The first slice that was handed out is written."""
        del self._read[0]
        self._given -= 1

    def _at(self, number: int) -> pa.RecordBatch | None:
        if number == len(self._read) and (rows := next(self._unread, None)):
            self._read.append(rows)
        return self._read[number] if number < len(self._read) else None


def sheets_of(book: ReportBook) -> Iterator[Sheet]:
    """The tables of a book, in order."""
    for table in book.tables:
        rows = table.arrow()
        yield Sheet(table.title, table.columns, rows.schema, iter(rows.to_batches()), table.totals, table.no_data)
