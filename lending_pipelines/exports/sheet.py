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
    no_data: str = ""

    def slices(self) -> Iterator[pa.RecordBatch]:
        """The rows, at most SLICE_ROWS at once."""
        for batch in self.batches:
            for start in range(0, batch.num_rows, SLICE_ROWS):
                yield batch.slice(start, SLICE_ROWS)


def sheets_of(book: ReportBook) -> Iterator[Sheet]:
    """The tables of a book, in order."""
    for table in book.tables:
        rows = table.arrow()
        yield Sheet(table.title, table.columns, rows.schema, iter(rows.to_batches()), table.totals, table.no_data)
