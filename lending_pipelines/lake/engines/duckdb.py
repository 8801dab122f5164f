"""DuckDB, the default engine: in this process, on all cores, spilling to disk above its memory limit."""

import re
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, cached_property
from pathlib import Path

import fsspec
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from duckdb import ColumnExpression, DuckDBPyRelation
from fsspec.utils import get_protocol
from ibis.backends.duckdb import Backend
from ibis.backends.sql.datatypes import DuckDBType
from ibis.util import gen_name

from lending_pipelines.lake.engines import fast_ibis
from lending_pipelines.lake.engines.compiled_sql import TEMPLATES
from lending_pipelines.processes import temporary_folder
from lending_pipelines.tables import Table

BATCH_ROWS = 65_536


class DuckDBEngine:
    """An in-memory DuckDB database, opened at first use and closed with `close`.

    The SQL of compiled expressions is kept in `sql_file`, if there is one, for the next process.
    """

    def __init__(self, memory_limit: str = "6GB", threads: int | None = None, sql_file: Path | None = None):
        self._memory_limit = memory_limit
        self._threads = threads
        self._sql_file = sql_file
        self._opened: dict[tuple[str, ...], ir.Table] = {}

    @cached_property
    def _spill(self) -> tempfile.TemporaryDirectory[str]:
        """The folder for data above the memory limit."""
        return temporary_folder("duckdb")

    @cached_property
    def backend(self) -> Backend:
        """The Ibis backend."""
        fast_ibis.install()
        if self._sql_file:
            TEMPLATES.read(self._sql_file)
        # Merging nested selects takes half of Ibis' compile time, and DuckDB's optimizer merges them anyway.
        ibis.options.sql.fuse_selects = False
        options: dict = {
            "memory_limit": self._memory_limit,
            "temp_directory": self._spill.name,
            # No table depends on row order, and keeping it costs memory.
            "preserve_insertion_order": False,
            "partitioned_write_max_open_files": 100,
        }
        if self._threads:
            options["threads"] = self._threads
        backend = ibis.duckdb.connect(**options)
        # DuckDB 2.0 turns a sum over a window into a join with a second scan. That scan ignores the filter on the
        # partition column and reads all folders of a partitioned table.
        backend.raw_sql("SET disabled_optimizers = 'window_self_join'")
        # If Python exits before `close`, DuckDB reports a leak for every open database with UDFs.
        weakref.finalize(backend, backend.con.close)
        return backend

    def scratch(self) -> AbstractContextManager[str]:
        """A folder on this machine's disk, deleted after the block."""
        return temporary_folder("scratch")

    def read_files(self, files: Sequence[str], table: Table, partition: str | None) -> ir.Table:
        """The rows of the table's files; filters on the partition column skip folders.

        Files never change, so the same files are opened once, as a view with the table's columns and types. Ibis then
        has no select of them to compile in each query.
        """
        if tuple(files) not in self._opened:
            stored = self.backend.con.read_parquet(self._reachable(files), hive_partitioning=bool(partition))
            if tuple(stored.columns) != table.names and set(table.names) <= set(stored.columns):
                stored = stored.select(*map(ColumnExpression, table.names))
            rows = self._view(stored)
            # Files of an earlier release lack columns that were added since.
            if added := {name: ibis.null(table.schema[name]) for name in table.names if name not in rows.columns}:
                rows = rows.mutate(**added)
            shaped = table.shape(rows)
            self._opened[tuple(files)] = (
                rows if shaped.equals(rows) else self.backend.create_view(gen_name("files"), shaped)
            )
        return self._opened[tuple(files)]

    def read_parquet(self, paths: Sequence[str]) -> ir.Table:
        """The rows of any Parquet files."""
        return self._view(self.backend.con.read_parquet(list(paths), hive_partitioning=False))

    def _view(self, stored: DuckDBPyRelation) -> ir.Table:
        """A view of the rows.

        Not that of Ibis' read_parquet: it is known to one connection only, while the portal has one per request, and
        Ibis parses the names of its columns' types each time.
        """
        schema = _schema(tuple(stored.columns), tuple(map(str, stored.types)))
        name = gen_name("parquet")
        stored.create_view(name)
        return ops.DatabaseTable(name, schema=schema, source=self.backend).to_expr()

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows in order, batch by batch. The engine can compute nothing else until all batches are read."""
        # Ibis 12's own reader calls a method that DuckDB 2 removed.
        self.backend._run_pre_execute_hooks(rows)
        return fast_ibis.read_batches(self.backend.con, self.backend.compile(rows), BATCH_ROWS)

    def write_parquet(self, rows: ir.Table, folder: str, stem: str, partition: str | None) -> None:
        """Write rows under the folder, split by the partition column, or by size without one."""
        (folder,) = self._reachable([folder])
        options: dict = {"compression": "zstd", "append": True, "filename_pattern": f"{stem}_{{uuid}}"}
        options |= {"partition_by": (partition,)} if partition else {"file_size_bytes": "512MB"}
        self.backend.to_parquet(rows, folder, **options)

    def close(self) -> None:
        """Close the database and delete its spill files."""
        self._opened.clear()
        if "backend" in self.__dict__:
            if self._sql_file:
                TEMPLATES.write(self._sql_file)
            self.backend.disconnect()
            del self.__dict__["backend"]
        if "_spill" in self.__dict__:
            self._spill.cleanup()
            del self.__dict__["_spill"]

    def _reachable(self, urls: Sequence[str]) -> list[str]:
        """The URLs, all of one store, in a form that DuckDB reads and writes through fsspec."""
        protocol = get_protocol(urls[0])
        if protocol != "file" and not self.backend.con.filesystem_is_registered(protocol):
            self.backend.con.register_filesystem(fsspec.filesystem(protocol))
        # For s3:// Ibis would make DuckDB download an extension. fsspec reads the same store as s3a://.
        return [re.sub("^s3://", "s3a://", url) for url in urls]


@cache
def _schema(columns: tuple[str, ...], types: tuple[str, ...]) -> ibis.Schema:
    """The Ibis schema of columns, from the names of their DuckDB types."""
    return ibis.schema(dict(zip(columns, map(DuckDBType.from_string, types), strict=True)))
