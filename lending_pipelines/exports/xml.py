"""XML: rows as elements in a namespace, a child element per column, in the columns' order; no element for null.

The caller chooses the standard's elements and formats its values: every column is text. Rows are formatted a column at
a time in Arrow and written batch by batch, so memory use is constant. Equal rows make equal bytes.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.parallel import in_order
from lending_pipelines.exports.sheet import Sheet

# Characters that XML 1.0 cannot represent.
_ILLEGAL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]"
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


@dataclass(frozen=True)
class XmlShape:
    """The root element with its namespace, and the element of each row."""

    namespace: str
    root: str
    row: str


def write_sheet(sheet: Sheet, shape: XmlShape, sink: Any) -> int:
    """Write one table. Returns the number of rows written. ExportError if a column is not text."""
    if wrong := [field.name for field in sheet.schema if not pa.types.is_string(field.type)]:
        raise ExportError(f"{sheet.title}: column {wrong[0]} is not text; XML files have text columns only")
    sink.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<{shape.root} xmlns="{shape.namespace}">\n'.encode())
    rows = 0
    for count, lines in in_order(lambda batch: (batch.num_rows, _elements(batch, shape.row)), sheet.slices()):
        sink.write(lines)
        rows += count
    sink.write(f"</{shape.root}>\n".encode())
    return rows


def _elements(batch: pa.RecordBatch, row: str) -> pa.Buffer:
    children = [
        pc.binary_join_element_wise(f"<{name}>", _escaped(values), f"</{name}>", "")
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
    ]
    rows = pc.binary_join_element_wise(f"<{row}>", *children, f"</{row}>\n", "", null_handling="skip")
    return pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "")[0].as_buffer()


def _escaped(values: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(values, f"[&<>\r]|{_ILLEGAL}")).as_py():
        return values
    for character, escape in _ESCAPES.items():
        values = pc.replace_substring(values, character, escape)
    return pc.replace_substring_regex(values, _ILLEGAL, "\ufffd")
