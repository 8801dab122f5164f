"""Rows as JSON, CSV and Arrow. The same numbers in each: amounts are exact, and never go through a float."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pydantic_core import to_json

from lending_pipelines.exports.injection import quoted, quoted_column

Format = Literal["json", "csv", "arrow"]

MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}

_EXPONENT_FROM = 6
"""The number of decimals from which Python and Arrow can print an exponent, such as 0E-8."""


def json_rows(rows: Sequence[Mapping[str, Any]], embedded: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The rows as JSON values: amounts as text, times in UTC with a Z.

    Args:
        rows: The rows.
        embedded: Columns with JSON text, which becomes a part of the answer.
    """
    return [
        {name: _embedded(value) if name in embedded else json_value(value) for name, value in row.items()}
        for row in rows
    ]


def json_value(value: Any) -> Any:
    """A value for JSON: a decimal as text, a time in UTC with a Z, other values unchanged."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return value


def json_bytes(content: Any) -> bytes:
    """JSON. Numbers that are not finite are null."""
    return to_json(content, inf_nan_mode="null")


def csv_header(schema: pa.Schema) -> bytes:
    """The line with the names of the columns."""
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.schema([(quoted(name), pa.string()) for name in schema.names]).empty_table(), sink)
    return sink.getvalue().to_pybytes()


def csv_lines(batch: pa.RecordBatch) -> bytes:
    """The rows as lines. Text that a spreadsheet would run as a formula gets a quote before it."""
    sink = pa.BufferOutputStream()
    cells = pa.RecordBatch.from_arrays([_csv_cells(column) for column in batch.columns], names=batch.schema.names)
    csv.write_csv(cells, sink, csv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()


def csv_chunks(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """A CSV file."""
    yield csv_header(schema)
    for batch in batches:
        yield csv_lines(batch)


def arrow_chunks(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """An Arrow stream."""
    sink = _Chunks()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


class _Chunks:
    """A file that keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def _embedded(text: str | None) -> Any:
    """JSON text as values; amounts, which are its numbers with decimals, as text."""
    return None if text is None else json.loads(text, parse_float=str)


def _csv_cells(values: pa.Array) -> pa.Array:
    type_ = values.type
    if pa.types.is_timestamp(type_):
        return pc.strftime(values.cast(pa.timestamp("s"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_decimal(type_) and type_.scale >= _EXPONENT_FROM:
        return pa.array([None if value is None else format(value, "f") for value in values.to_pylist()], pa.string())
    return quoted_column(values) if pa.types.is_string(type_) else values
