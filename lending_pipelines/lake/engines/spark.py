"""Spark, the engine for books too large for one machine: executors compute and write, locally or on a cluster.

This module is imported only when Spark is chosen: it needs pyspark (extra `spark`) and Java 17. All engines of a
process share one Spark session. The adjustments between Ibis and Spark are here; the computations are in metrics/.
"""

import atexit
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any
from uuid import uuid4

import fsspec
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyspark.sql.functions as F
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.pyspark.datatypes import PySparkType
from ibis.backends.sql.dialects import PySpark
from ibis.expr.operations.udf import InputType
from ibis.util import gen_name
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StringType

from lending_pipelines.lake.engines import fast_ibis
from lending_pipelines.lake.engines.protocol import EngineError
from lending_pipelines.lake.engines.spark_shared import share
from lending_pipelines.processes import temporary_folder
from lending_pipelines.tables import Table

BATCH_ROWS = 65_536

# Settings that results depend on: timestamps without a zone are UTC, a number that does not fit its type is an error,
# and JSON includes fields that are null.
_MEANING: dict[str, Any] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
}
_ALWAYS: dict[str, Any] = _MEANING | {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class SparkEngine:
    """Spark on one master. `memory_limit` is the driver's memory, which is all memory on a local master."""

    def __init__(self, lake_url: str, master: str = "local[*]", memory_limit: str = "6GB"):
        self._lake_url = lake_url
        self._master = master
        self._memory_limit = memory_limit
        self._views: list[str] = []

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder that the executors reach, deleted after the block: local, or in the lake for a cluster."""
        if self._master.startswith("local"):
            with temporary_folder("spark") as folder:
                yield folder
            return
        folder = f"{self._lake_url}/_scratch/{uuid4().hex}"
        filesystem, root = fsspec.url_to_fs(folder)
        filesystem.makedirs(root)
        try:
            yield folder
        finally:
            filesystem.rm(root, recursive=True)

    @cached_property
    def backend(self) -> "_Backend":
        """The Ibis backend. Raises EngineError when Spark cannot be started."""
        fast_ibis.install()
        backend = _Backend()
        backend.scratch = self.scratch
        backend.register_options()
        backend.do_connect(_session(self._master, self._memory_limit))
        return backend

    def read_files(self, files: Sequence[str], table: Table, partition: str | None) -> ir.Table:
        """The rows of the table's files; filters on the partition column skip folders."""
        schema = from_arrow_schema(table.arrow_schema, prefer_timestamp_ntz=True)
        reader = self._reader
        if partition:
            if partition not in table.names:
                schema = schema.add(partition, StringType())
            reader = reader.option("basePath", _for_hadoop(files[0]).rsplit("/", 2)[0])
        rows = reader.schema(schema).parquet(*map(_for_hadoop, files))
        return self._view(rows.select(*table.names))

    def read_parquet(self, paths: Sequence[str]) -> ir.Table:
        """The rows of any Parquet files."""
        return self._view(self._reader.parquet(*map(_for_hadoop, paths)))

    def batches(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The rows in order, one Spark partition at a time."""
        schema = rows.schema().to_pyarrow()

        def computed() -> Iterator[pa.RecordBatch]:
            with self.backend.frame(rows) as frame:
                for row in frame.mapInArrow(_packed, "batch binary").toLocalIterator(prefetchPartitions=True):
                    yield from (batch.cast(schema) for batch in pa.ipc.open_stream(row.batch))

        return pa.RecordBatchReader.from_batches(schema, computed())

    def write_parquet(self, rows: ir.Table, folder: str, stem: str, partition: str | None) -> None:
        """Write rows under the folder from the executors, split by the partition column, or by size without one."""
        # Concurrent runs that write the same table must not delete each other's temporary files.
        attempt = uuid4().int % 2**31
        options = {
            "mapreduce.output.basename": stem,
            "mapreduce.job.application.attempt.id": str(attempt),
            "mapreduce.fileoutputcommitter.cleanup.skipped": "true",
            "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        }
        by = [partition] if partition else []
        try:
            with self.backend.frame(rows) as frame:
                # Put a day's rows in one task, or in several if there are many: few files, and work for all cores.
                evened = frame.hint("rebalance", *by)
                evened.write.mode("append").options(**options).partitionBy(*by).parquet(_for_hadoop(folder))
        finally:
            filesystem, root = fsspec.url_to_fs(folder)
            if filesystem.exists(temporary := f"{root}/_temporary/{attempt}"):
                filesystem.rm(temporary, recursive=True)

    def close(self) -> None:
        """Drop the views of the files that were read. The session stays open for the next engine of the process."""
        for view in self._views:
            self.backend._session.catalog.dropTempView(view)
        self._views.clear()

    @property
    def _reader(self) -> Any:
        return self.backend._session.read

    def _view(self, frame: DataFrame) -> ir.Table:
        name = gen_name("lake")
        frame.createOrReplaceTempView(name)
        self._views.append(name)
        return self.backend.table(name)


class _Dialect(PySpark):
    """Ibis's SQL for Spark, but a cast is `x::type`.

    At `CAST(`, Spark's parser reads on to the end of the cast to choose a rule, again for each cast within another,
    and keeps what it learns: a query with many casts took it seconds and hundreds of megabytes.
    """

    class Generator(PySpark.Generator):
        """Generates this SQL."""

        def cast_sql(self, expression: sge.Cast, safe_prefix: str | None = None) -> str:
            """The cast; an operand of several terms is in parentheses."""
            written = super().cast_sql(expression, safe_prefix)
            type_ = self.sql(expression, "to")
            if not (written.startswith("CAST(") and written.endswith(f" AS {type_})")):
                return written
            operand = written.removeprefix("CAST(").removesuffix(f" AS {type_})")
            single = isinstance(expression.this, sge.Column | sge.Literal | sge.Paren | sge.Func)
            if not single or isinstance(expression.this, sge.Binary | sge.Predicate) or operand.startswith("-"):
                operand = f"({operand})"
            return f"{operand}::{type_}"


class _Backend(Backend):
    """Ibis on Spark with Arrow results and in-memory tables, and UDFs that get whole Arrow columns."""

    scratch: Callable[[], AbstractContextManager[str]]

    @contextmanager
    def frame(self, rows: ir.Table, limit: int | None = None, params: Any = None) -> Iterator[DataFrame]:
        """The expression as a Spark data frame, to be computed within the block."""
        self._run_pre_execute_hooks(rows)
        query = self.compiler.to_sqlglot(rows, limit=limit, params=params)
        with self.scratch() as folder, share(self._session, query, _for_hadoop(folder), _Dialect) as sql:
            yield self._session.sql(sql)

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        rows = expr.as_table()
        with self.frame(rows, limit, params) as frame:
            result = frame.toArrow()
        return expr.__pyarrow_result__(result.cast(rows.schema().to_pyarrow()))

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        self._session.createDataFrame(op.data.to_pyarrow(op.schema)).createOrReplaceTempView(op.name)

    def _register_udfs(self, expr: ir.Expr) -> None:
        for udf in expr.op().find(ops.ScalarUDF):
            if udf.__input_type__ == InputType.BUILTIN:
                continue
            if udf.__input_type__ != InputType.PYARROW:
                raise EngineError(f"{udf.__func_name__} is not a pyarrow UDF: Spark would call it once per row")
            types = tuple(arg.dtype.to_pyarrow() for arg in udf.args)
            function = _on_series(udf.__func__, types)
            registered = F.pandas_udf(function, PySparkType.from_ibis(udf.dtype))  # type: ignore[call-overload]
            self._session.udf.register(self.compiler.__sql_name__(udf), registered)


def _session(master: str, memory_limit: str) -> SparkSession:
    """The session of this process; started if there is none."""
    running = SparkSession.getActiveSession()
    if running is not None:
        if running.sparkContext.master != master:
            raise EngineError(
                f"this process already runs Spark on {running.sparkContext.master} and cannot use {master}: "
                "set one LENDING_SPARK_MASTER"
            )
        return running
    _require_java()
    # Otherwise executors run the first python3 on the path, not the one with this package.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("lending_pipelines").config(map=_ALWAYS)
    if master.startswith("local"):
        builder = builder.config(map=_on_one_machine(master, memory_limit))
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise EngineError(f"Spark cannot be started on LENDING_SPARK_MASTER {master}: {_first_line(error)}") from error
    atexit.register(session.stop)
    return session


def _on_one_machine(master: str, memory_limit: str) -> dict[str, Any]:
    """Settings for this machine's cores and memory, where Spark's defaults assume a cluster."""
    amount = re.fullmatch(r"(\d+)\s*([KMGT])i?B?", memory_limit, re.IGNORECASE)
    if amount is None:
        raise EngineError(f"the lake's memory_limit is {memory_limit!r}: write it like 6GB")
    cores = re.match(r"local\[(\d+)", master)
    return {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "".join(amount.groups()).lower(),
        "spark.sql.shuffle.partitions": str(2 * (int(cores[1]) if cores else os.cpu_count() or 1)),
    }


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(f"{home}/bin/java" if home else "java"):
        place = f"JAVA_HOME {home} has no bin/java" if home else "java is not on the PATH"
        raise EngineError(f"LENDING_ENGINE spark needs Java 17 or later, but {place}: install it, or set JAVA_HOME")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _for_hadoop(url: str) -> str:
    """The URL with the scheme that Spark's file systems use: s3a for S3."""
    return re.sub(r"^s3://", "s3a://", url)


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pack each batch into one row: the bytes of an Arrow stream."""
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.RecordBatch.from_pydict({"batch": [sink.getvalue().to_pybytes()]}, pa.schema({"batch": pa.binary()}))


def _on_series(function: Callable[..., pa.Array], types: Sequence[pa.DataType]) -> Callable[..., pd.Series]:
    """Wrap a function of Arrow columns for Spark, which calls it with pandas columns."""

    def on_series(*columns: pd.Series) -> pd.Series:
        arrays = (pa.array(column, type=type_) for column, type_ in zip(columns, types, strict=True))
        return function(*arrays).to_pandas()

    return on_series
