"""What a source adapter is. How rows are checked and committed is the sync's business."""

from collections.abc import Collection, Generator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class SourceError(LendingError):
    """A source cannot be opened or read, or holds what its tables may not hold."""


class Reader(Protocol):
    """A servicing system at one moment, read only: all tables are of that moment."""

    name: str
    """The adapter's name, with which its errors begin."""

    @property
    def absent(self) -> frozenset[str]:
        """The servicing tables that this system does not have at all: "no data", as opposed to unreadable."""

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows as record batches of `table.arrow_schema`; nothing for an absent table.

        Args:
            table: A servicing table.
            since: Only rows whose watermark is at or after it. Giving more rows is harmless.
            months: Only rows whose watermark lies in one of these months, as `month_totals` names them.

        Raises:
            SourceError: The table cannot be read; the message names the adapter and the table.
        """

    def month_totals(self, table: Table) -> pa.Table | None:
        """What the source's rows add up to, per month of the watermark: see totals.py for the columns.

        None when this source cannot add up: the sync then reads the table whole and compares every row.
        """

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """What a reader of the synced table should know, by name: rows left out and why, say."""


class Source(Protocol):
    """One servicing system.

    The package of an adapter has it as `Adapter`, a class that takes the source's URL. Making it connects to nothing.
    """

    name: str
    """The adapter's name: that of its folder."""

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Open the source at the present moment; everything is closed after the block, also after an error.

        Raises:
            SourceError: The source cannot be opened.
        """
