"""The content of a report: titled tables with typed columns, charts, and the origin of the numbers.

exports/ decides how a book looks in each file format. The report types compute the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from lending_pipelines import __version__

Kind = Literal["text", "money", "rate", "ratio", "percent", "number", "count", "date", "instant", "flag"]
"""The kind of a column's values. money: Decimal in the row's currency. rate: a fraction shown as a percentage (0.125 is
12.5 %). ratio: a multiple (MOIC). percent: a number already times 100. number: a number with one decimal, such as an
average of months. count: a whole number. instant: UTC.
"""

ChartKind = Literal["line", "bar", "stacked", "waterfall"]
"""The kind of a chart. waterfall: one amount per row; the amounts of `Chart.deductions` are subtracted."""

_ARROW_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "money": pa.decimal128(38, 2),
    "count": pa.int64(),
    "date": pa.date32(),
    "instant": pa.timestamp("us"),
    "flag": pa.bool_(),
}


@dataclass(frozen=True)
class ReportColumn:
    """One column: its name, its printed label, the kind of its values, and whether they are personal data."""

    name: str
    label: str
    kind: Kind
    personal: bool = False


@dataclass(frozen=True)
class Section:
    """Consecutive rows of a table with their own heading in print.

    `before` and `after` are rows printed above and below them, by column name, such as opening and closing balances. An
    empty `before` prints no row.
    """

    title: str
    rows: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class ReportTable:
    """One titled table.

    Attributes:
        totals: Rows of values by column name, one per currency if there is money. A rate with a total is a share: its
            printed values add up to the printed total.
        no_data: The reason if there are no rows, printed in their place. It is None if the table has rows, even if a
            reason is passed.
        cut: The part of the rows that is listed, such as `first 20 of 133 in USD`; empty if all are listed.
        printed_rows: The number of rows in print; None for as many as the format allows, 0 for none. Other formats have
            all rows.
        heatmap: Whether PDF and workbooks shade the rates of the table by their size.
        marked: A column and a value; rows with this value are highlighted.
        sections: Consecutive parts of all rows, in order; empty for none.
        unprinted: Columns that print leaves out because titles or other columns contain the same. Other formats have
            them.
        mailed: The columns of the table that the report's email shows; empty: the email does not show the table.
        for_readers: Whether only PDF and workbooks have the table, because it summarises rows of another table.
    """

    title: str
    columns: tuple[ReportColumn, ...]
    frame: pd.DataFrame
    totals: tuple[Mapping[str, Any], ...] = ()
    no_data: str | None = None
    cut: str = ""
    printed_rows: int | None = None
    heatmap: bool = False
    marked: tuple[str, str] | None = None
    sections: tuple[Section, ...] = ()
    unprinted: tuple[str, ...] = ()
    mailed: tuple[str, ...] = ()
    for_readers: bool = False

    def __post_init__(self) -> None:
        if self.sections and sum(section.rows for section in self.sections) != len(self.frame):
            raise ValueError(f"table {self.title!r}: its sections do not cover its rows")
        if missing := [name for name in self.names if name not in self.frame.columns]:
            raise ValueError(f"table {self.title!r}: the frame lacks {', '.join(missing)}")
        if self.frame.empty and not self.no_data:
            raise ValueError(f"table {self.title!r} is empty: say why in no_data")
        if not self.frame.empty:
            object.__setattr__(self, "no_data", None)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def personal(self) -> tuple[ReportColumn, ...]:
        """The columns with personal data."""
        return tuple(column for column in self.columns if column.personal)

    def arrow(self, *names: str) -> pa.Table:
        """The rows as Arrow, each column in the type of its kind: the named columns, or all if none is named.

        Raises ValueError if the frame has other values.
        """
        wanted = [column for column in self.columns if column.name in (names or self.names)]
        return pa.table({column.name: self._array(column) for column in wanted})

    def _array(self, column: ReportColumn) -> pa.ChunkedArray:
        """The values of a column in the Arrow type of its kind."""
        values = pa.table({column.name: pa.array(self.frame[column.name], from_pandas=True)})[column.name]
        wanted = _ARROW_TYPES.get(column.kind, values.type if pa.types.is_decimal(values.type) else pa.float64())
        if column.kind == "money" and pa.types.is_floating(values.type):
            raise ValueError(f"table {self.title!r}: {column.name} is money and must hold Decimal, not float")
        try:
            return values.cast(wanted)
        except pa.ArrowInvalid as error:
            raise ValueError(f"table {self.title!r}: {column.name} does not hold {column.kind}: {error}") from error


@dataclass(frozen=True)
class Chart:
    """A chart of one table, with the columns `y` over the column `x`.

    Attributes:
        deductions: The values of `x` whose amounts a waterfall subtracts.
        currency: Draw only the rows in this currency, which are consecutive; empty for all rows.
    """

    title: str
    table: str
    kind: ChartKind
    x: str
    y: tuple[str, ...]
    deductions: tuple[str, ...] = ()
    currency: str = ""


@dataclass(frozen=True)
class Cover:
    """The cover page: titled sections of names and values."""

    title: str
    sections: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Comparison:
    """The headline numbers of the previous period. `rows` has the form of `ReportBook.headlines`; `name` is printed."""

    name: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ReportBook:
    """A finished report.

    Attributes:
        parameters: The parameters as given.
        as_of: The resulting business date.
        data_versions: The Delta versions of the tables that were read.
        charts: The first chart with rows is printed on the first page.
        summary: The headline numbers, ready for JSON, with money as decimal text.
        blocks: Further parts of the report's JSON by name, ready for JSON.
        headlines: The numbers of the first page: a row per currency, or one row without the column `currency`.
        previous: The headline numbers of the previous period; None if it has none.
        alerts: Lines at the top of the first page, such as the sale of the portfolio.
        letter: The subject of a letter to a customer by name, such as the loan and the period; empty for a report. A
            letter is printed without table of contents, comparison and parameters.
    """

    report_type: str
    title: str
    parameters: Mapping[str, str]
    conventions: Mapping[str, str]
    as_of: date
    data_versions: Mapping[str, int]
    tables: Sequence[ReportTable]
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    blocks: Mapping[str, Any] = field(default_factory=dict)
    headlines: ReportTable | None = None
    previous: Comparison | None = None
    alerts: Sequence[str] = ()
    letter: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {table.title: set(table.names) for table in self.tables}
        if len(names) < len(self.tables):
            raise ValueError(f"report {self.report_type}: two tables have the same title")
        for chart in self.charts:
            if not {chart.x, *chart.y} <= names.get(chart.table, set()):
                raise ValueError(f"report {self.report_type}: chart {chart.title!r} names what no table has")

    def charted(self, chart: Chart) -> ReportTable:
        """The table of a chart, with only the rows that the chart draws."""
        table = next(table for table in self.tables if table.title == chart.table)
        if not chart.currency:
            return table
        drawn = table.frame[table.frame["currency"] == chart.currency]
        return replace(table, frame=drawn, sections=(), no_data=f"no rows in {chart.currency}")

    def for_programs(self) -> "ReportBook":
        """The book without the tables for readers and their charts."""
        tables = [table for table in self.tables if not table.for_readers]
        titles = {table.title for table in tables}
        return replace(self, tables=tables, charts=[chart for chart in self.charts if chart.table in titles])

    @property
    def no_data(self) -> str | None:
        """The reason if the report has no rows: that of its first table. None if any table has rows."""
        if any(not table.frame.empty for table in self.tables):
            return None
        return next((table.no_data for table in self.tables), None)

    @property
    def cover(self) -> Cover:
        """The origin of the numbers. It depends only on the book, so equal books give equal files."""
        return Cover(
            self.title,
            {
                "Report": {
                    "Report type": self.report_type,
                    "As of": self.as_of.isoformat(),
                    "Generated by": f"lending_pipelines {__version__}",
                },
                "Tables": {
                    table.title: f"no data: {table.no_data}" if table.frame.empty else _rows(table)
                    for table in self.tables
                },
                "Notes": {str(number): note for number, note in enumerate(self.notes, start=1)},
                "Parameters": self.parameters,
                "Conventions": self.conventions,
                "Data versions": {name: str(number) for name, number in sorted(self.data_versions.items())},
            },
        )


def _rows(table: ReportTable) -> str:
    """The number of rows as printed: `1 row`, `1,234 rows`."""
    return f"{len(table.frame):,} row{'' if len(table.frame) == 1 else 's'}"
