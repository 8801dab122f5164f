"""The Parquet files of a Delta table: the files of a version, the commit actions for new files, and their columns."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import fsspec
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import Table


class LakeError(LendingError):
    """The lake cannot perform the operation."""


@dataclass(frozen=True)
class DataFile:
    """A file of a table version: its path under the table, its size, and the values of the partition columns."""

    path: str
    size: int
    partition: dict[str, str | None]

    def remove(self) -> RemoveAction:
        """The action that removes the file from the table."""
        return RemoveAction(self.path, True, _now_ms(), self.size, self.partition)


def conform(table: Table, rows: ir.Table) -> ir.Table:
    """The rows with the columns and types of the table. Raises LakeError when a column is missing."""
    missing = [name for name in table.names if name not in rows.columns]
    if missing:
        raise LakeError(f"table {table.name}: the rows lack the columns {', '.join(missing)}")
    return table.shape(rows)


def stored_schema(table: Table) -> pa.Schema:
    """The columns of the table's files, including the partition column."""
    schema = table.arrow_schema
    if table.partition == "business_month":
        return schema.append(ibis.schema({"business_month": "string"}).to_pyarrow().field(0))
    return schema


def add_action(table: Table, filesystem: fsspec.AbstractFileSystem, root: str, path: str) -> AddAction | None:
    """The action that adds a written file; None for a file without rows. Raises LakeError for a wrong type."""
    with filesystem.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        rows = parquet.metadata.num_rows
        # An engine may widen a type without Ibis noticing. Detect it before the commit, not at the next read.
        if wrong := [field for field in parquet.schema_arrow if field.type != _stored_type(table, field.name)]:
            raise LakeError(f"table {table.name}: the engine wrote wrong types: {', '.join(map(str, wrong))}")
    if rows == 0:
        return None
    relative = path.removeprefix(root).lstrip("/")
    partition = dict(part.split("=", 1) for part in relative.split("/")[:-1])
    return AddAction(relative, filesystem.size(path), partition, _now_ms(), True, json.dumps({"numRecords": rows}))


def _stored_type(table: Table, column: str) -> pa.DataType:
    return table.arrow_schema.field(column).type


def live(snapshot: DeltaTable) -> list[DataFile]:
    """The files of a table version."""
    actions = snapshot.get_add_actions(flatten=False)
    partitioned = "partition" in actions.schema.names
    return [
        DataFile(
            row["path"],
            row["size_bytes"],
            {key: str(value) for key, value in row["partition"].items()} if partitioned else {},
        )
        for row in actions.to_struct_array().to_pylist()
    ]


class OpenedTable:
    """A version of a Delta table that is never changed, so that threads can share it.

    `entry` identifies the version's entry in the Delta log.
    """

    def __init__(self, table: DeltaTable, entry: str):
        self.table, self.entry = table, entry

    @cached_property
    def files(self) -> list[DataFile]:
        """The version's files, listed once."""
        return live(self.table)


def may_hold(table: Table, file: DataFile, first: date | None, last: date | None) -> bool:
    """Whether a file can contain rows of the days first..last, judged by its folder."""
    if table.partition is None:
        return True
    key = str(file.partition[table.partition])
    form = "%Y-%m" if table.partition == "business_month" else "%Y-%m-%d"
    return (first is None or key >= first.strftime(form)) and (last is None or key <= last.strftime(form))


def _now_ms() -> int:
    return int(datetime.now().timestamp() * 1000)
