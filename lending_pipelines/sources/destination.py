"""The interface of the lake for the sync, which writes to it."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import ibis.expr.types as ir

from lending_pipelines.sources.reading import Staging


class _Written(Protocol):
    """The result of a commit."""

    @property
    def version(self) -> int: ...


class _Engine(Staging, Protocol):
    def scratch(self) -> AbstractContextManager[str]: ...


class Lake(Protocol):
    """The interface of the lake for the sync. Each write is one atomic commit."""

    @property
    def engine(self) -> _Engine:
        """Reads the staged files with the backend that also reads the lake's tables."""

    def has(self, name: str) -> bool:
        """Whether the table has ever been written."""

    def version(self, name: str) -> int:
        """The table's current version."""

    def note(self, name: str) -> str:
        """The note of the table's latest commit."""

    def written_at(self, name: str) -> tuple[datetime, datetime]:
        """When the table was first and last written (UTC)."""

    def table(self, name: str, *, version: int | None = None) -> ir.Table:
        """The table's rows, lazily: at a version, or the current ones."""

    def append(self, name: str, rows: ir.Table) -> _Written:
        """Add the rows whose key the table does not have."""

    def merge(self, name: str, rows: ir.Table) -> _Written:
        """Update the rows whose key exists, and add the others."""

    def replace(self, name: str, rows: ir.Table, note: str = "") -> _Written:
        """Replace all rows."""

    def correct(self, name: str, rows: ir.Table, gone: ir.Table) -> _Written:
        """Update or add `rows` by key, and delete the rows with a key in `gone`."""
