"""A table as printed: its rows and columns as text, and which of them are highlighted.

How the columns fit on a page belongs in pdf_layout.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from lending_pipelines.exports.keys import named_keys
from lending_pipelines.exports.pdf_layout import Grid, Line
from lending_pipelines.exports.printed import clean, printed, total_row
from lending_pipelines.reports.book import Kind, ReportColumn, ReportTable

PRINTED_ROWS = 2000
"""The maximum number of printed rows of a table. A line above them says how many are left out."""

_NUMBERS: tuple[Kind, ...] = ("money", "rate", "ratio", "percent", "number", "count")
_HUNDREDTH = Decimal("0.0001")
"""A hundredth of a per cent."""
_STILL_ONE = 1e-6
"""The difference up to which shares count as adding up to their total."""


def grid(table: ReportTable) -> tuple[Grid, list[str]]:
    """The printed rows and columns of a table as text, and the labels of the empty columns that are left out."""
    rows = replace(table, frame=table.frame.head(rows_printed(table)), sections=()).arrow()
    values = {column.name: rows[column.name].to_pylist() for column in table.columns}
    shares = {column.name: _shares(table, column, values) for column in table.columns}
    columns, empty = _columns(table, values, {*table.unprinted, *named_keys(table, rows)})
    totals = [total_row(table.columns, total) for total in table.totals]
    totals = [
        {**total, columns[0].name: total.get(columns[0].name) or total[table.columns[0].name]} for total in totals
    ]
    if table.heatmap:
        shares = {c.name: ["" if v is None else printed(v, c.kind) for v in values[c.name]] for c in columns}
    cells = [shares[c.name] or [printed(value, c.kind) for value in values[c.name]] for c in columns]
    lines = list(_lines(table, columns, [list(row) for row in zip(*cells, strict=True)]))
    return (
        Grid(
            labels=[clean(column.label) for column in columns],
            right=[column.kind in _NUMBERS for column in columns],
            whole=[column.kind != "text" for column in columns],
            rows=[cells for cells, _ in lines],
            totals=[[_cell(total, column) for column in columns] for total in totals],
            lines=[line for _, line in lines],
            fills=_fills(table, columns, values),
        ),
        empty,
    )


def rows_printed(table: ReportTable) -> int:
    """The number of rows of a table that are printed."""
    most = PRINTED_ROWS if table.printed_rows is None else table.printed_rows
    return min(len(table.frame), most)


def _columns(
    table: ReportTable, values: Mapping[str, list[Any]], unprinted: Collection[str]
) -> tuple[list[ReportColumn], list[str]]:
    """The columns that are printed, and the labels of the empty columns."""
    totals = {name for total in table.totals for name, value in total.items() if value is not None}
    kept: list[ReportColumn] = []
    empty: list[str] = []
    for column in table.columns:
        if column.name in unprinted:
            continue
        known = any(value is not None for value in values[column.name])
        if not known and column.name not in totals and values[column.name]:
            empty.append(clean(column.label))
        else:
            kept.append(column)
    return kept or [table.columns[0]], empty


def _shares(table: ReportTable, column: ReportColumn, values: Mapping[str, list[Any]]) -> list[str]:
    """The column's values rounded so that they add up to its printed totals; empty if it is not a share."""
    totals = [total for total in table.totals if total.get(column.name) is not None]
    found = values[column.name]
    if column.kind != "rate" or not totals or any(isinstance(value, Decimal) for value in found):
        return []
    currencies = values.get("currency", [None] * len(found))
    text = [printed(value, column.kind) for value in found]
    for total in totals:
        places = [n for n, value in enumerate(found) if value is not None and currencies[n] == total.get("currency")]
        if abs(sum(found[n] for n in places) - total[column.name]) < _STILL_ONE:
            for n, value in zip(places, _rounded([found[n] for n in places], total[column.name]), strict=True):
                text[n] = printed(float(value), "rate")
    return text


def _rounded(parts: Sequence[float], total: float) -> list[Decimal]:
    """The parts in hundredths of a per cent that add up to the total: the largest remainders are rounded up."""
    exact = [Decimal(part) / _HUNDREDTH for part in parts]
    floors = [part.to_integral_value(ROUND_FLOOR) for part in exact]
    missing = int((Decimal(total) / _HUNDREDTH).to_integral_value() - sum(floors))
    largest = sorted(range(len(parts)), key=lambda n: exact[n] - floors[n], reverse=True)[: max(missing, 0)]
    return [(floor + (n in largest)) * _HUNDREDTH for n, floor in enumerate(floors)]


def _lines(
    table: ReportTable, columns: Sequence[ReportColumn], rows: Sequence[list[str]]
) -> Iterator[tuple[list[str], Line]]:
    """The rows with the kind of each line. A section has its heading before its rows and its closing row after them."""
    kinds: list[Line] = ["row"] * len(rows)
    if table.marked:
        name, value = table.marked
        kinds = ["marked" if found == value else "row" for found in table.frame[name].head(len(rows)).tolist()]
    if not table.sections:
        yield from zip(rows, kinds, strict=True)
        return
    at = 0
    for section in table.sections:
        if at >= len(rows) and section.rows:
            return
        yield [clean(section.title), *[""] * (len(columns) - 1)], "heading"
        if section.before:
            yield [_cell(section.before, column) for column in columns], "bound"
        yield from zip(rows[at : at + section.rows], kinds[at : at + section.rows], strict=True)
        at += section.rows
        if at <= len(rows):
            yield [_cell(section.after, column) for column in columns], "bound"


def _cell(values: Mapping[str, Any], column: ReportColumn) -> str:
    """A cell of a total or of a section's opening or closing; empty when it has no value."""
    value = values.get(column.name)
    return "" if value is None else printed(value, column.kind)


def _fills(
    table: ReportTable, columns: Sequence[ReportColumn], values: Mapping[str, list[Any]]
) -> list[list[float | None]]:
    """How dark each cell of a heat map is, from 0 to 1; empty for other tables."""
    if not table.heatmap:
        return []
    shaded = [values[column.name] if column.kind == "rate" else [] for column in columns]
    largest = max((value for column in shaded for value in column if value is not None), default=0.0)
    if largest <= 0:
        return []
    return [
        [None if not column or column[n] is None else max(column[n], 0.0) / largest for column in shaded]
        for n in range(len(next(iter(values.values()))))
    ]


def left_out(table: ReportTable) -> str:
    """The note on rows that are not printed; empty if all are printed."""
    rows, shown = len(table.frame), rows_printed(table)
    if shown == rows:
        return ""
    return (
        f"The first {shown:,} of {rows:,} rows are printed and {rows - shown:,} left out"
        f"{'; totals are of all rows' if table.totals else ''}."
        " All rows are in the same report as CSV, XLSX, JSON or Parquet."
    )
