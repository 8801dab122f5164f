"""Reads rows back from a file that was written here, a batch at a time, so that two files can be compared.

Every value is text: amounts as written, dates as ISO, flags true or false; nothing and empty text are null. XML files
and worksheets are read as they are laid out here, not as any program might: their rows are cut out and parsed many at
once. Reading a million rows of a workbook by openpyxl takes several times as long.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import count, islice
from typing import IO
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from openpyxl.utils import column_index_from_string
from pyarrow import csv

from lending_pipelines.exports.error import ExportError

Types = Mapping[str, str]
"""A file's columns in order, each with its Ibis type."""

_BATCH_ROWS = 10_000
_BLOCK = 1 << 20
_EXCELS_DAY_0 = date(1899, 12, 30)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def read_batches(path: str, output_format: str, types: Types) -> Iterator[pa.RecordBatch]:
    """The rows of a local file that `export_rows` wrote with columns of these names and types, in order.

    ExportError when the format is unknown or the file cannot be read.
    """
    if output_format not in _READERS:
        raise ExportError(f"{path}: rows cannot be read from {output_format!r}")
    try:
        for columns in _READERS[output_format](path, types):
            yield pa.RecordBatch.from_arrays([_text(column) for column in columns], list(types))
    except (OSError, ValueError, BadZipFile, zlib.error, ElementTree.ParseError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error


def _text(values: pa.Array) -> pa.Array:
    text = values.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), None, text)


def _csv(path: str, types: Types) -> Iterator[list[pa.Array]]:
    reader = csv.open_csv(
        path,
        csv.ReadOptions(column_names=list(types), skip_rows=1),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(column_types=dict.fromkeys(types, pa.string())),
    )
    for batch in reader:
        yield batch.columns


def _parquet(path: str, types: Types) -> Iterator[list[pa.Array]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(types)):
            yield batch.columns


def _xlsx(path: str, types: Types) -> Iterator[list[pa.Array]]:
    with ZipFile(path) as archive:
        # The first worksheet is the cover, the first row of the others the header.
        for number in count(2):
            name = f"xl/worksheets/sheet{number}.xml"
            if name not in archive.NameToInfo:
                return
            with archive.open(name) as sheet:
                rows = islice(_elements(sheet, b"row", b"</sheetData>"), 1, None)
                yield from _columns(_cells(row, list(types.values())) for row in rows)


def _xml(path: str, types: Types) -> Iterator[list[pa.Array]]:
    with open(path, "rb") as file:
        # A line each: the declaration, the root, and every row.
        file.readline()
        root = re.match(rb"<(\w+) ", file.readline())
        if not root:
            raise ValueError("it has no root element on its second line")
        row = re.match(rb"<(\w+)>", file.peek())
        elements = _elements(file, row[1] if row else b"row", b"</%s>" % root[1])
        values = ({child.tag: child.text for child in element} for element in elements)
        yield from _columns([value.get(name) for name in types] for value in values)


def _elements(file: IO[bytes], name: bytes, closing: bytes) -> Iterator[ElementTree.Element]:
    """The elements of that name, which have none of it within; ValueError when nothing closes them."""
    start, end = b"<" + name, b"</%s>" % name
    rest = b""
    while block := file.read(_BLOCK):
        rest += block
        whole, found, after = rest.rpartition(end)
        if found:
            yield from ElementTree.fromstring(b"<rows>%s%s</rows>" % (whole[whole.index(start) :], found))
            rest = after
    if closing not in rest:
        raise ValueError(f"it ends before {closing.decode()}")


def _cells(row: ElementTree.Element, types: Sequence[str]) -> list[str | None]:
    """The values of a worksheet's row, by the types that its columns had."""
    values: list[str | None] = [None] * len(types)
    for cell in row:
        if not len(cell):
            continue
        at = _place(cell.attrib["r"].rstrip("0123456789"))
        match cell.get("t"):
            case "inlineStr":
                values[at] = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell[0][0].text or "")
            case "b":
                values[at] = "true" if cell[0].text == "1" else "false"
            case _:
                values[at] = _day(cell[0].text or "") if types[at] == "date" else cell[0].text
    return values


@cache
def _place(letters: str) -> int:
    return column_index_from_string(letters) - 1


@cache
def _day(number: str) -> str:
    return (_EXCELS_DAY_0 + timedelta(days=int(number))).isoformat()


def _columns(rows: Iterable[Sequence[str | None]]) -> Iterator[list[pa.Array]]:
    rows = iter(rows)
    while some := list(islice(rows, _BATCH_ROWS)):
        yield [pa.array(column, pa.string()) for column in zip(*some, strict=True)]


_READERS: dict[str, Callable[[str, Types], Iterator[list[pa.Array]]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "xlsx": _xlsx,
    "xml": _xml,
}
