"""What the lake asks of an engine. Delta's log is not an engine's business: it reads and writes plain Parquet files."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class EngineError(LendingError):
    """There is no such engine, or it cannot run here."""


class Engine(Protocol):
    """Computes Ibis expressions; reads and writes Parquet files."""

    @property
    def backend(self) -> BaseBackend:
        """The Ibis backend on which every expression of the lake runs."""

    def scratch(self) -> AbstractContextManager[str]:
        """A folder, gone after the block, for files that this engine is to read: where all its readers reach them."""

    def read_files(self, files: Sequence[str], table: Table, partition: str | None) -> ir.Table:
        """The rows of the table's files, lazily; `partition` is the column encoded in the folder names, if any."""

    def read_parquet(self, paths: Sequence[str]) -> ir.Table:
        """The rows of any Parquet files (staged ones, say), lazily."""

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows as they are computed, in order, a batch at a time."""

    def write_parquet(self, rows: ir.Table, folder: str, stem: str, partition: str | None) -> None:
        """Write rows as Parquet files under the folder, each file's name starting with the stem."""

    def close(self) -> None:
        """Let go of what the engine holds; it is not used afterwards."""
