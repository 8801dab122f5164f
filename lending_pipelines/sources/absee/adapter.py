"""Provides a tape as servicing tables. Each table is built from tape.py's loans and months when it is read."""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from itertools import islice

import pyarrow as pa

from lending_pipelines.sources.absee import events, terms
from lending_pipelines.sources.absee.compare import differences
from lending_pipelines.sources.absee.tape import Tape, TapeError, read_tape
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.sources.totals import MONTH_FORMAT
from lending_pipelines.tables import SERVICING, Table

BATCH_ROWS = 10_000


class AbsEeTape:
    """The tape in one folder: a path or an fsspec URL. The files are read once, so all tables show the same state."""

    name = "absee"
    absent = frozenset(SERVICING) - {
        "branches",
        "borrowers",
        "programs",
        "products",
        "loans",
        "installments",
        "transactions",
    }

    def __init__(self, url: str):
        self._url = url

    @contextmanager
    def snapshot(self) -> Iterator["AbsEeTape"]:
        """The tape. Its files are read with the first table."""
        yield AbsEeTape(self._url)

    def read(
        self, table: Table, since: datetime | None = None, months: Collection[str | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The table's rows. SourceError if the tape cannot be read or is inconsistent."""
        if table.name in self.absent:
            return
        with self._naming(table):
            rows = self._rows(table)
            if watermark := table.watermark:
                rows = (row for row in rows if _selected(row[watermark], since, months))
            yield from record_batches(self.name, table, _columns(table, rows))

    def month_totals(self, table: Table) -> None:
        """None: a tape is small, and every sync compares it completely."""

    def notes(self, table: Table) -> Mapping[str, int | str]:
        """Remarks for readers of the table.

        For loans: the number of skipped loans. For transactions: costs in dollars that no transaction contains, and
        differences between the tape's charge-offs and days past due and those computed from the transactions.
        """
        with self._naming(table):
            if table.name == "loans":
                return {"skipped_loans_without_balance_at_cut_off": self._tape.skipped}
            if table.name == "transactions":
                costs = events.costs_above_recoveries(self._tape)
                return {"repossession_costs_above_recoveries": str(costs), **differences(self._tape)}
            return {}

    @cached_property
    def _tape(self) -> Tape:
        return read_tape(self._url)

    @contextmanager
    def _naming(self, table: Table) -> Iterator[None]:
        """Raise SourceError, which names the table, for a TapeError in the block."""
        try:
            yield
        except TapeError as error:
            raise SourceError(f"{self.name}: table {table.name} cannot be read: {error}") from error

    def _rows(self, table: Table) -> Iterator[dict]:
        loans = self._tape.loans
        match table.name:
            case "branches":
                return terms.branches(loans)
            case "borrowers":
                return terms.borrowers(loans)
            case "programs":
                return terms.programs(loans)
            case "products":
                return terms.products(loans)
            case "loans":
                return terms.loan_rows(loans)
            case "installments":
                return terms.installments(loans)
            case "transactions":
                return events.transactions(self._tape)
            case _:
                raise KeyError(table.name)


def _columns(table: Table, rows: Iterator[dict]) -> Iterator[list[list]]:
    """The table's columns, in batches of rows."""
    while batch := list(islice(rows, BATCH_ROWS)):
        yield [[row.get(name) for row in batch] for name in table.names]


def _selected(watermark: datetime, since: datetime | None, months: Collection[str | None] | None) -> bool:
    """Whether `since` and `months` select a row with that watermark."""
    return (since is None or watermark >= since) and (months is None or watermark.strftime(MONTH_FORMAT) in months)
