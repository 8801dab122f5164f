"""The results of a sync and of its preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import ibis.expr.types as ir

from lending_pipelines.errors import LendingError
from lending_pipelines.sources.finding import Finding
from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables import Table


class SyncError(LendingError):
    """The rows of a table break a rule. Nothing was committed."""

    def __init__(self, message: str, faults: Sequence[str] = ()):
        super().__init__(message)
        self.faults = tuple(faults)
        """Each broken rule, with its rows."""


@dataclass(frozen=True)
class SyncResult:
    """The result of syncing one table."""

    rows_read: int = 0
    """Rows read from the source."""
    rows_added: int = 0
    """Rows whose key was not in the lake."""
    rows_updated: int = 0
    """Rows whose key was in the lake with different values."""
    rows_removed: int = 0
    """Rows of the lake that the source no longer has."""
    watermark: datetime | None = None
    """The latest posted_at or updated_at in the lake that is not in the future; None without one, or without rows."""
    version: int = 0
    """The table's Delta version. It is new only if rows changed."""
    seconds: float = 0.0
    months_read_again: tuple[str, ...] = ()
    """The months whose totals in source and lake differed."""
    loans_read: int | None = None
    """The number of loans whose totals in source and lake differed; None if the rows were read otherwise."""
    absent: bool = False
    """Whether the source does not have the table. The lake's table is then empty."""
    warnings: tuple[str, ...] = ()
    """Warnings about rows that disappeared or changed, and about timestamps in the future, with keys."""
    rejected_rows: tuple[Finding, ...] = ()
    """The rows that were rejected because their owner does not exist, by reference."""
    notes: Mapping[str, int | str] = field(default_factory=dict)
    """The source's remarks about the table."""


@dataclass(frozen=True)
class Preview:
    """What a reload of one table would do."""

    table: Table
    rows: ir.Table | None = None
    """The source's rows without those whose owner does not exist; None if the table cannot be read or is absent."""
    changes: tuple[str, ...] = ()
    """One line each for added, changed and gone rows, with the first keys."""
    rejected_rows: tuple[Finding, ...] = ()
    """The rows that would be rejected because their owner does not exist, by reference."""
    error: SourceError | SyncError | None = None
    """Why the table would be rejected."""
