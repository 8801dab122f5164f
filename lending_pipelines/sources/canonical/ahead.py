"""Computes month totals in a thread of their own, while other tables are read, compared with the lake and committed.

A database adds up a large table in seconds. The thread has its own connection, which shows the same snapshot.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.tables import Table

Compute = Callable[[sa.Connection, Table], pa.Table | None]


class TotalsAhead:
    """The month totals of tables, computed by `compute` in the order in which they are expected."""

    def __init__(self, connection: sa.Connection, compute: Compute):
        self._connection, self._compute = connection, compute
        self._pool = ThreadPoolExecutor(1, "month-totals")
        self._totals: dict[str, Future[pa.Table | None]] = {}

    def expect(self, tables: Iterable[Table]) -> None:
        """Start to compute the totals of these tables."""
        for table in tables:
            self._totals[table.name] = self._pool.submit(self._compute, self._connection, table)

    def __contains__(self, table: Table) -> bool:
        return table.name in self._totals

    def __getitem__(self, table: Table) -> pa.Table | None:
        return self._totals[table.name].result()

    def close(self) -> None:
        """Wait for the totals that are being computed, compute no more, and close the connection."""
        self._pool.shutdown(cancel_futures=True)
        # If the server is gone, the caller has its rows or its error.
        with suppress(sa.exc.SQLAlchemyError):
            self._connection.close()
