"""What every format writes: a title, typed columns and their rows in batches."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.exports.keys import named_keys
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable

SLICE_ROWS = 16_384
"""The rows that text formats process at once: few enough for the processor's cache and for constant memory use."""

_STILL_ONE = 1e-9
"""The difference up to which shares count as adding up to their total."""


@dataclass(frozen=True)
class Sheet:
    """One table to be written to a file. `batches` can be read once; they have the names and order of `columns`.

    Attributes:
        totals: Rows of values by column name.
        no_data: The reason that is written if there are no rows.
        banner: Lines above the header of a worksheet: the title, as-of and units. Without them the header is first.
        widths: The width in letters of the largest value of a column, by column name, if known.
        sums: Per total, the columns whose total is the sum of the rows of its currency.
        marked, heatmap: As in ReportTable.
        folded: Columns that a worksheet hides in a collapsed group, because other columns or the title say the same.
    """

    title: str
    columns: tuple[ReportColumn, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    totals: tuple[Mapping[str, Any], ...] = ()
    no_data: str | None = None
    banner: tuple[str, ...] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    sums: tuple[frozenset[str], ...] = ()
    marked: tuple[str, str] | None = None
    heatmap: bool = False
    folded: frozenset[str] = frozenset()

    @property
    def folded_first(self) -> int:
        """The number of folded columns at the left. The banner and labels of totals are to the right of them."""
        return next((n for n, column in enumerate(self.columns) if column.name not in self.folded), 0)

    @property
    def header_row(self) -> int:
        """The row of a worksheet that has the labels. A blank row separates it from the banner."""
        return len(self.banner) + 2 if self.banner else 1

    def slices(self, rows: int = SLICE_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in slices of `rows` rows, the last one shorter. The slices do not depend on the batches."""
        kept: list[pa.RecordBatch] = []
        wanted = rows
        for batch in self.batches:
            while batch.num_rows:
                kept.append(batch.slice(0, wanted))
                batch = batch.slice(wanted)
                wanted -= kept[-1].num_rows
                if not wanted:
                    yield pa.concat_batches(kept)
                    kept, wanted = [], rows
        if kept:
            yield pa.concat_batches(kept)


class UnwrittenRows:
    """The rows that are not written yet. Slices are handed out before writing, and again if they did not fit."""

    def __init__(self, slices: Iterator[pa.RecordBatch]) -> None:
        self._unread = slices
        self._read: list[pa.RecordBatch] = []
        self._given = 0

    def first(self) -> pa.RecordBatch | None:
        """The first slice that is not written; None if all are written."""
        return self._at(0)

    def ahead(self, most: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """At most `most` unwritten rows, each slice with the number of rows before it."""
        before = self._given = 0
        while before < most and (rows := self._at(self._given)):
            if rows.num_rows > most - before:
                self._read[self._given : self._given + 1] = rows.slice(0, most - before), rows.slice(most - before)
                rows = self._read[self._given]
            self._given += 1
            yield before, rows
            before += rows.num_rows

    def written(self) -> None:
        """Record that the first unwritten slice was written."""
        del self._read[0]
        self._given -= 1

    def _at(self, number: int) -> pa.RecordBatch | None:
        """The unwritten slice with this number, read if necessary; None after the last."""
        if number == len(self._read) and (rows := next(self._unread, None)):
            self._read.append(rows)
        return self._read[number] if number < len(self._read) else None


def sheets_of(book: ReportBook) -> Iterator[Sheet]:
    """The tables of a book, in order."""
    for table in book.tables:
        rows = table.arrow()
        yield Sheet(
            table.title,
            table.columns,
            rows.schema,
            iter(rows.to_batches()),
            table.totals,
            table.no_data,
            (table.title, f"{book.title}, as of {book.as_of}", units(table, rows)),
            {column.name: width for column in table.columns if (width := _letters(column, rows, table.totals))},
            tuple(frozenset(_summed(table, rows, total)) for total in table.totals),
            table.marked,
            table.heatmap,
            # In print, the titles of sections replace these columns; a worksheet has no sections, so it shows them.
            named_keys(table, rows) | (frozenset() if table.sections else frozenset(table.unprinted)),
        )


def units(table: ReportTable, rows: pa.Table) -> str:
    """The units of a table's numbers: `Amounts in EUR, to the cent. Rates in per cent.`"""
    kinds = {column.kind for column in table.columns}
    found = []
    if "money" in kinds:
        last = table.title.rpartition(" ")[2]
        currencies = pc.unique(rows["currency"]).drop_null().to_pylist() if "currency" in rows.column_names else []
        if len(currencies) == 1 or (not currencies and re.fullmatch("[A-Z]{3}", last)):
            found.append(f"Amounts in {currencies[0] if currencies else last}, to the cent.")
        elif currencies:
            found.append("Amounts in the currency of the row, to the cent.")
        else:
            found.append("Amounts to the cent.")
    if kinds & {"rate", "percent"}:
        found.append("Rates in per cent.")
    if "ratio" in kinds:
        found.append("Ratios as decimal numbers.")
    if "count" in kinds:
        found.append("Counts in units.")
    return " ".join(found) or "Text and dates."


def _letters(column: ReportColumn, rows: pa.Table, totals: Sequence[Mapping[str, Any]]) -> int:
    """The width in letters of the column's longest amount or count with separators; 0 for other kinds."""
    if column.kind not in ("money", "count"):
        return 0
    pattern = "{:,.2f}" if column.kind == "money" else "{:,}"
    ends = [*pc.min_max(rows[column.name]).as_py().values(), *(total.get(column.name) for total in totals)]
    return 2 + max((len(pattern.format(end)) for end in ends if isinstance(end, int | Decimal)), default=6)


def _summed(table: ReportTable, rows: pa.Table, total: Mapping[str, Any]) -> Iterator[str]:
    """The columns of a total that are the sum of the rows of its currency, to the cent."""
    by_currency = "currency" in total and "currency" in rows.column_names
    chosen = rows.filter(pc.equal(rows["currency"], total["currency"])) if by_currency else rows
    for column in table.columns:
        value = total.get(column.name)
        if column.kind not in ("money", "count", "rate") or value is None:
            continue
        added = pc.sum(chosen[column.name]).as_py()
        if added is not None and (abs(added - value) < _STILL_ONE if column.kind == "rate" else added == value):
            yield column.name
