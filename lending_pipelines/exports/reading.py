"""Reads rows back from a file that was written here, a row at a time, so that two files can be compared.

Values are text as the format has it, or what the format's own reader makes of them; nothing and empty text are None.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any
from xml.etree import ElementTree
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from lending_pipelines.exports.error import ExportError

Row = dict[str, Any]


def read_rows(path: str, output_format: str, names: Sequence[str]) -> Iterator[Row]:
    """The rows of a local file that `export_rows` wrote with columns of these names, in order.

    ExportError when the format is unknown or the file cannot be read.
    """
    if output_format not in _READERS:
        raise ExportError(f"{path}: rows cannot be read from {output_format!r}")
    try:
        for values in _READERS[output_format](path, names):
            yield {name: None if value == "" else value for name, value in zip(names, values, strict=True)}
    except (OSError, ValueError, BadZipFile, ElementTree.ParseError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error


def _csv(path: str, names: Sequence[str]) -> Iterator[tuple]:
    reader = csv.open_csv(
        path,
        csv.ReadOptions(column_names=list(names), skip_rows=1),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    for batch in reader:
        yield from _tuples(batch)


def _parquet(path: str, names: Sequence[str]) -> Iterator[tuple]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(names)):
            yield from _tuples(batch)


def _xlsx(path: str, names: Sequence[str]) -> Iterator[tuple]:
    import openpyxl

    workbook = openpyxl.load_workbook(path, read_only=True)
    try:
        # The first worksheet is the cover, the first row of the others the header.
        for worksheet in workbook.worksheets[1:]:
            yield from islice(worksheet.iter_rows(values_only=True, max_col=len(names)), 1, None)
    finally:
        workbook.close()


def _xml(path: str, names: Sequence[str]) -> Iterator[tuple]:
    root = None
    depth = 0
    for event, element in ElementTree.iterparse(path, events=("start", "end")):
        root = element if root is None else root
        depth += 1 if event == "start" else -1
        if event == "end" and depth == 1:
            values = {child.tag.rpartition("}")[2]: child.text for child in element}
            yield tuple(values.get(name) for name in names)
            root.clear()


def _tuples(batch: pa.RecordBatch) -> Iterator[tuple]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


_READERS: dict[str, Callable[[str, Sequence[str]], Iterator[tuple]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "xlsx": _xlsx,
    "xml": _xml,
}
