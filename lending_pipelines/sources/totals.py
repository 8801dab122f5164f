"""Month totals: the totals of a table with a watermark per month, in the source and in the lake.

If both sides have the same number of rows, the same sum of each numeric column and the same latest watermark in a
month, the month counts as equal. Other months are read again.
"""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.tables import Column, Table
from lending_pipelines.tables.schema import count, instant, text

MONTH_FORMAT = "%Y-%m"
"""The format of a month, for strftime."""


def totals_table(table: Table) -> Table:
    """The columns of a table's month totals: month, rows, latest, and the sum of each numeric column under its name.

    `month` is the UTC month of the watermark, such as 2025-03, or null for rows without a watermark. `latest` is the
    latest watermark.
    """
    columns = (text("month", nullable=True), count("rows"), instant("latest", nullable=True))
    return Table(table.name, f"Month totals of {table.name}.", ("month",), (*columns, *summed(table)))


def summed(table: Table) -> list[Column]:
    """The numeric columns of a table, with types that can hold their sums. The sum of no rows is 0."""
    return [
        Column(column.name, f"decimal(38, {_scale(column)})")
        for column in table.columns
        if dt.dtype(column.type).is_numeric()
    ]


def lake_totals(table: Table, rows: ir.Table) -> pa.Table:
    """The month totals of rows in the lake."""
    sums = {column.name: rows[column.name].sum().fill_null(0) for column in summed(table)}
    totals = rows.group_by(month=month_of(table, rows)).aggregate(
        rows=rows.count(), latest=rows[table.watermark].max(), **sums
    )
    return totals.cast(totals_table(table).schema).to_pyarrow()


def month_of(table: Table, rows: ir.Table) -> ir.StringColumn:
    """The month of each row's watermark, as in `totals_table`."""
    return rows[table.watermark].strftime(MONTH_FORMAT)


def differing_months(source: pa.Table, lake: pa.Table) -> list[str | None]:
    """The months whose totals differ, in order."""
    lake_totals, source_totals = ({row["month"]: row for row in totals.to_pylist()} for totals in (lake, source))
    differing = {
        month
        for month in lake_totals.keys() | source_totals.keys()
        if lake_totals.get(month) != source_totals.get(month)
    }
    return sorted(differing, key=lambda month: month or "")


def is_in_months(month: ir.StringColumn, months: list[str | None]) -> ir.BooleanValue:
    """Whether a month is in `months`. None in `months` stands for rows without a month."""
    named = month.isin([name for name in months if name is not None]).fill_null(False)
    return named | month.isnull() if None in months else named


def _scale(column: Column) -> int:
    kind = dt.dtype(column.type)
    return kind.scale if isinstance(kind, dt.Decimal) and kind.scale is not None else 0
