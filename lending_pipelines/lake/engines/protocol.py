"""The interface of an engine. Engines read and write plain Parquet files; the Delta log is handled by the lake."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class EngineError(LendingError):
    """The engine cannot run with these settings or on this machine, or cannot compute an expression."""


class Engine(Protocol):
    """Computes Ibis expressions; reads and writes Parquet files."""

    @property
    def backend(self) -> BaseBackend:
        """The Ibis backend that computes all expressions of the lake."""

    def scratch(self) -> AbstractContextManager[str]:
        """A folder for files that this engine reads, reachable by all its workers; deleted after the block."""

    def read_files(self, files: Sequence[str], table: Table, partition: str | None) -> ir.Table:
        """The rows of the table's files, lazily. `partition` is the column in the folder names, if any."""

    def read_parquet(self, paths: Sequence[str]) -> ir.Table:
        """The rows of any Parquet files, lazily."""

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows in order, in batches."""

    def write_parquet(self, rows: ir.Table, folder: str, stem: str, partition: str | None) -> None:
        """Write rows as Parquet files under the folder; file names start with the stem."""

    def close(self) -> None:
        """Release the engine's resources. It cannot be used afterwards."""
