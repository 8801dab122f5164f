"""What a report is: titled tables with typed columns, charts over them, and where the numbers come from.

How a book looks in a file format belongs in exports/; how its numbers are found belongs in the generators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

Kind = Literal["text", "money", "rate", "ratio", "percent", "count", "date", "instant", "flag"]
"""What a column holds. money: Decimal in the row's currency. rate: a fraction shown as a percentage (0.125 is 12.5 %).
ratio: a plain multiple (MOIC). percent: a number that is already times 100. count: a whole number. instant: UTC."""

ChartKind = Literal["line", "bar", "stacked", "waterfall"]
"""How a chart is drawn. waterfall: an amount per row; the amounts of `Chart.deductions` go down from the one before."""

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
    """One column: its name for programs, its label for people, what it holds, and whether that is personal data."""

    name: str
    label: str
    kind: Kind
    personal: bool = False


@dataclass(frozen=True)
class Section:
    """A run of consecutive rows of a table that paper shows under a heading of its own.

    `before` and `after` are rows printed above and below them, by column name: an opening and a closing balance.
    """

    title: str
    rows: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class ReportTable:
    """One titled table.

    Attributes:
        totals: Rows of values by column name, one per currency where there is money. A rate that has a total is a
            share: its printed values add up to the printed total.
        no_data: Why there are no rows, printed in their place; None where there are rows, also when given.
        cut: Which of the rows are listed, as `first 20 of 133 in USD`; empty where all are.
        printed_rows: How many rows are printed on paper; None for all that fit the format, 0 for none. Other formats
            have all rows.
        heatmap: Whether paper and workbooks shade the rates of the table by their size.
        marked: A column and a value; the rows that have it there stand out.
        sections: Consecutive parts of the rows, in order and covering all of them; empty for none.
        unprinted: Columns that paper leaves out because titles or other columns say the same. Other formats have them.
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
        """The columns that hold personal data."""
        return tuple(column for column in self.columns if column.personal)

    def arrow(self) -> pa.Table:
        """The rows in Arrow, each column in the type of its kind. ValueError when the frame holds something else."""
        return pa.table({column.name: self._array(column) for column in self.columns})

    def _array(self, column: ReportColumn) -> pa.ChunkedArray:
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
    """A chart of one table's columns `y` over its column `x`.

    `deductions` are the values of `x` whose amount a waterfall takes away.
    """

    title: str
    table: str
    kind: ChartKind
    x: str
    y: tuple[str, ...]
    deductions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cover:
    """What a reader must know before the numbers: titled sections of names and values."""

    title: str
    sections: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Comparison:
    """The headline numbers of the previous period: `rows` like those of `ReportBook.headlines`, `name` for people."""

    name: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ReportBook:
    """A finished report.

    Attributes:
        parameters: As they were asked for.
        as_of: The business date that they came to.
        data_versions: The Delta versions of the tables read.
        charts: The first of them that has rows to draw is the chart of the first page.
        summary: The headline numbers, ready for JSON: money as decimal text.
        blocks: The report's own parts of its JSON, by name, ready for JSON.
        headlines: The numbers of the first page: a row per currency, or one row without a column `currency`.
        previous: The same numbers one period before; None where that period has none.
        alerts: What a reader must know before the numbers, such as that the portfolio is sold.
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

    def __post_init__(self) -> None:
        names = {table.title: set(table.names) for table in self.tables}
        if len(names) < len(self.tables):
            raise ValueError(f"report {self.report_type}: two tables have the same title")
        for chart in self.charts:
            if not {chart.x, *chart.y} <= names.get(chart.table, set()):
                raise ValueError(f"report {self.report_type}: chart {chart.title!r} names what no table has")

    @property
    def no_data(self) -> str | None:
        """Why the report has no rows at all: the reason of its first table. None where any table has rows."""
        if any(not table.frame.empty for table in self.tables):
            return None
        return next((table.no_data for table in self.tables), None)

    @property
    def cover(self) -> Cover:
        """Where the numbers come from; the same for the same book, so that equal books make equal files."""
        return Cover(
            self.title,
            {
                "Report": {
                    "Report type": self.report_type,
                    "As of": self.as_of.isoformat(),
                    "Generated by": f"lending_pipelines {version('lending_pipelines')}",
                },
                "Tables": {
                    table.title: f"no data: {table.no_data}" if table.frame.empty else f"{len(table.frame)} rows"
                    for table in self.tables
                },
                "Notes": {str(number): note for number, note in enumerate(self.notes, start=1)},
                "Parameters": self.parameters,
                "Conventions": self.conventions,
                "Data versions": {name: str(number) for name, number in sorted(self.data_versions.items())},
            },
        )
