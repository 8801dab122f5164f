"""What a source adapter is. How rows are checked and committed is the sync's business."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class SourceError(LendingError):
    """A source cannot be opened or read, or holds what its tables may not hold."""


class Source(Protocol):
    """One servicing system, read only, offering every servicing table.

    The package of an adapter has it as `Adapter`, a class that takes the source's URL. Opening it connects to nothing.
    """

    name: str
    """The adapter's name: that of its folder."""

    absent: frozenset[str]
    """The tables that this system does not have at all: they are empty, as opposed to unreadable."""

    def read(self, table: Table, since: datetime | None) -> Iterator[pa.RecordBatch]:
        """The table's rows as record batches of `table.arrow_schema`, streamed; nothing for an absent table.

        `since` is given for tables with a watermark only: rows whose watermark is at or after it. SourceError names
        the adapter and the table when it cannot be read.
        """

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """What a reader of the synced table should know, by name: rows left out and why, say."""
