"""Columns, rows and totals of reports, from the definitions of the lake's tables."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.reports.book import Kind, ReportColumn
from lending_pipelines.tables import TABLES, Column
from lending_pipelines.tables.schema import RATE

_KINDS: dict[str, Kind] = {
    "string": "text",
    "decimal(18, 2)": "money",
    RATE: "rate",
    "float64": "rate",
    "int64": "count",
    "date": "date",
    "timestamp(6)": "instant",
    "boolean": "flag",
}
_ACRONYMS = {"id", "irr", "moic", "par"}


def lake_columns(table: str, *names: str) -> tuple[ReportColumn, ...]:
    """Report columns from a lake table's columns. The type decides the kind, the name decides the label."""
    return tuple(report_column(TABLES[table].column(name)) for name in names)


def report_column(column: Column) -> ReportColumn:
    """The report column of a table's column. The type decides the kind, the name decides the label."""
    return ReportColumn(column.name, label(column.name), _kind(column), column.personal)


def lake_column(table: str, name: str, label: str) -> ReportColumn:
    """The report column of a lake table's column, with another label."""
    return replace(report_column(TABLES[table].column(name)), label=label)


def label(name: str) -> str:
    """The label of a column name: `par_30` becomes PAR 30, `principal_outstanding` Principal outstanding."""
    words = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    return " ".join([words[0] if words[0].isupper() else words[0].capitalize(), *words[1:]])


def _kind(column: Column) -> Kind:
    if column.name == "moic":
        return "ratio"
    if column.percent:
        return "percent"
    return "number" if column.most == 100 else _KINDS[column.type]


def frame(rows: ir.Table) -> pd.DataFrame:
    """The rows as a pandas frame with Arrow types: money stays Decimal, and a count with nulls stays a count."""
    return rows.to_pyarrow().to_pandas(types_mapper=pd.ArrowDtype)


def totals_by_currency(
    rows: ir.Table, columns: Iterable[ReportColumn], only: Iterable[str] | None = None
) -> tuple[dict[str, Any], ...]:
    """One row per currency with the sums of the money and count columns, or of the columns `only`, by currency."""
    wanted = [column.name for column in columns if column.kind in ("money", "count")] if only is None else list(only)
    if not wanted:
        return ()
    sums = rows.group_by("currency").agg(**{name: rows[name].sum() for name in wanted}).order_by("currency")
    return tuple(sums.to_pyarrow().to_pylist())


def headline(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some values of a row, ready for JSON: money and rates as decimal text."""
    return {name: str(row[name]) if isinstance(row[name], Decimal) else row[name] for name in names}
