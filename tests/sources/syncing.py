"""One table's sync from an adapter that gives the rows it was made with, and what a sync says that refuses them."""

from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal

import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.sources import SyncError, sync_tables
from lending_pipelines.sources.batches import record_batches
from lending_pipelines.tables import SERVICING


class Rows:
    """An adapter that gives the rows, or batches, that it was made with."""

    name = "rows"
    absent: frozenset[str] = frozenset()

    def __init__(self, *rows: dict, batches=(), fails: Exception | None = None, absent=()):
        self._rows, self._batches, self._fails, self.absent = rows, batches, fails, frozenset(absent)

    @contextmanager
    def snapshot(self):
        yield self

    def month_totals(self, table):
        return None

    def read(self, table, since=None, months=None):
        if self._rows:
            columns = [[row.get(name) for row in self._rows] for name in table.names]
            yield from record_batches(self.name, table, [columns])
        yield from self._batches
        if self._fails:
            raise self._fails

    def notes(self, table):
        return {"of": table.name}


def sync_table(source, table, lake, full: bool = False, conventions: Conventions | None = None):
    """What the sync did with one table; the error for which it refused it is raised."""
    [(_, outcome)] = sync_tables(source, [table], lake, conventions or Conventions(), full)
    if isinstance(outcome, LendingError):
        raise outcome
    return outcome


def refused(source, table: str, lake) -> str:
    """The message with which a sync is refused, which must leave the lake as it was."""
    before = lake.version(table) if lake.has(table) else None
    with pytest.raises(SyncError) as error:
        sync_table(source, SERVICING[table], lake)
    assert (lake.version(table) if lake.has(table) else None) == before
    kept = "" if before is None else " and keeps its earlier rows"
    prefix = f"{source.name}: table {table} is rejected{kept}: "
    assert str(error.value).startswith(prefix)
    return str(error.value).removeprefix(prefix)


def journal_line(number: int, **changes) -> dict:
    row = {"entry_id": "E1", "line_no": number, "account_code": "1000", "entry_date": date(2025, 1, 1)}
    row |= {"posted_at": datetime(2025, 1, 2), "debit": Decimal(10), "credit": Decimal(0), "currency": "EUR"}
    return row | changes
