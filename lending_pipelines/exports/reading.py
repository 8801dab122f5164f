"""Reads rows back from a file of this package, a batch at a time, so that two files can be compared.

Every value is text: as in the file, or as the format's reader returns it. A missing value and an empty text are null.
In CSV, the quote before text that a spreadsheet would run as a formula is removed.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any
from xml.etree import ElementTree
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.injection import unquoted_column

Reader = Callable[[str, Sequence[str]], Iterator[list[pa.Array]]]
"""Yields the columns of a file's rows, the given number of rows at a time."""

_BATCH_ROWS = 10_000


def read_batches(path: str, output_format: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a local file that `export_rows` wrote with columns of these names, in order.

    ExportError if the format is unknown or the file cannot be read.
    """
    if output_format not in _READERS:
        raise ExportError(f"{path}: rows cannot be read from {output_format!r}")
    try:
        for columns in _READERS[output_format](path, names):
            yield pa.RecordBatch.from_arrays([_text(column) for column in columns], list(names))
    except (OSError, ValueError, BadZipFile, ElementTree.ParseError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error


def _text(values: pa.Array) -> pa.Array:
    text = values.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), None, text)


def _csv(path: str, names: Sequence[str]) -> Iterator[list[pa.Array]]:
    reader = csv.open_csv(
        path,
        csv.ReadOptions(column_names=list(names), skip_rows=1),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    for batch in reader:
        yield [unquoted_column(column) for column in batch.columns]


def _parquet(path: str, names: Sequence[str]) -> Iterator[list[pa.Array]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(names)):
            yield batch.columns


def _in_columns(read: Callable[[str, Sequence[str]], Iterator[Sequence[Any]]]) -> Reader:
    """Convert a reader of rows of Python values to a reader of columns."""

    def columns(path: str, names: Sequence[str]) -> Iterator[list[pa.Array]]:
        rows = read(path, names)
        while some := list(islice(rows, _BATCH_ROWS)):
            values = zip(*some, strict=True)
            yield [pa.array([None if v is None else str(v) for v in column], pa.string()) for column in values]

    return columns


def _xlsx(path: str, names: Sequence[str]) -> Iterator[tuple]:
    import openpyxl

    # Open the file here: openpyxl refuses a path without the suffix .xlsx, whatever its content.
    with open(path, "rb") as file:
        workbook = openpyxl.load_workbook(file, read_only=True)
        # The first worksheet is the cover, the first row of the others the header.
        for worksheet in workbook.worksheets[1:]:
            yield from islice(worksheet.iter_rows(values_only=True, max_col=len(names)), 1, None)


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


_READERS: dict[str, Reader] = {
    "csv": _csv,
    "parquet": _parquet,
    "xlsx": _in_columns(_xlsx),
    "xml": _in_columns(_xml),
}
