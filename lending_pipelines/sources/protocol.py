"""The interface of a source adapter. The sync validates and commits the rows."""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class SourceError(LendingError):
    """A source cannot be opened or read, or has invalid data."""


class Reader(Protocol):
    """A read-only snapshot of a servicing system: all tables show the same state."""

    name: str
    """The adapter's name; its error messages start with it."""

    @property
    def absent(self) -> frozenset[str]:
        """The servicing tables that this system does not have. They have no data, unlike tables that cannot be read."""

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the table's rows as record batches of `table.arrow_schema`. An absent table has none.

        Args:
            table: A servicing table.
            since: Read only rows whose watermark is at or after it. Additional rows do no harm.
            months: Read only rows whose watermark is in one of these months, named as in `month_totals`.

        Raises:
            SourceError: The table cannot be read. The message names the adapter and the table.
        """

    def month_totals(self, table: Table) -> pa.Table | None:
        """The totals of the source's rows per month of the watermark; totals.py defines the columns.

        None if this source cannot compute totals. The sync then reads the complete table and compares every row.
        """

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """Remarks for readers of the synced table, by name, such as rows left out and the reason."""


@runtime_checkable
class ComputesTotalsAhead(Protocol):
    """A reader that computes month totals while the sync compares and commits other tables."""

    def compute_totals_ahead(self, tables: Iterable[Table]) -> None:
        """Start to compute the totals that `month_totals` returns later, in the order of the tables."""


@runtime_checkable
class FindsContradictions(Protocol):
    """A reader of a system that stores some numbers in two places, and can compare them."""

    def find_contradictions(self, table: Table, loans: Sequence[str] | None = None) -> Sequence[str]:
        """A sentence for each contradiction in the system about the table. The rows are read as they are.

        Args:
            table: A servicing table.
            loans: The loans that are compared; all loans if None.
        """


@dataclass(frozen=True)
class Parts:
    """Some of a table's rows: those of loans, and those without a loan by their day."""

    loans: tuple[str, ...] = ()
    days: tuple[date, ...] = ()

    def __len__(self) -> int:
        return len(self.loans) + len(self.days)

    def split(self, number: int) -> Iterator["Parts"]:
        """The same loans and days in several Parts, each with at most this number of loans, or of days."""
        for begin in range(0, len(self.loans), number):
            yield Parts(loans=self.loans[begin : begin + number])
        for begin in range(0, len(self.days), number):
            yield Parts(days=self.days[begin : begin + number])


@runtime_checkable
class TotalsByLoan(Protocol):
    """A reader that computes the totals of each loan. The sync then reads only the loans whose totals changed."""

    def loan_totals(self, table: Table) -> Iterator[pa.RecordBatch] | None:
        """The totals of the source's rows; by_loan.py defines the columns. None for a table that is read completely.

        Raises:
            SourceError: The totals cannot be computed. The message names the adapter and the table.
        """

    def read_parts(self, table: Table, parts: Parts) -> Generator[pa.RecordBatch, None, None]:
        """Stream the rows of the parts like `Reader.read`. Additional rows do no harm.

        Raises:
            SourceError: The table cannot be read. The message names the adapter and the table.
        """


@dataclass(frozen=True)
class Rights:
    """What a user may do in a servicing database, and the clock of its server."""

    writable: list[str]
    """The tables of the source that the user may write to."""
    now: datetime
    """The server's time in UTC."""


@runtime_checkable
class ReadsDatabase(Protocol):
    """A reader of a database with users."""

    def rights(self) -> Rights | None:
        """What the user may do in the database, and the clock of its server; None if the database has no users."""


class Source(Protocol):
    """One servicing system.

    The package of an adapter exports it as `Adapter`, a class that takes the source's URL. The constructor does not
    connect.
    """

    name: str
    """The adapter's name, which is also its folder."""

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Open the source in its current state. Everything is closed after the block, also after an error.

        Raises:
            SourceError: The source cannot be opened.
        """
