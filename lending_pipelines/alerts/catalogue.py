"""The numbers that a rule can watch: numeric columns of daily tables with a row per subject, and of close_summary."""

from dataclasses import dataclass
from typing import Literal

from lending_pipelines.tables import DERIVED, Column, Table
from lending_pipelines.tables.close_numbers import CLOSE_SUMMARY
from lending_pipelines.tables.derived import SCOPES
from lending_pipelines.tables.schema import MONEY, RATE

Kind = Literal["money", "count", "fraction", "percent", "score"]

_SUBJECT_KEYS = ("business_date", "scope", "scope_id", "manager_id", "currency")
_SIZES = ("total_balance", "total_outstanding", "principal_outstanding", "opening_principal")
"""Columns with a subject's principal outstanding. The first one that a table has is used."""


@dataclass(frozen=True)
class Metric:
    """A numeric column of a daily table, or a number of close_summary.

    `keys` are the table's other keys, for which a rule gives a value. `scopes` are the subjects for which the table has
    rows. `size` is the column with the subject's principal outstanding. 15 % is 0.15 as a fraction and 15 as a percent;
    a score has no unit. With `most`, the number is between 0 and `most`.
    """

    table: str
    column: str
    type: str
    kind: Kind
    keys: tuple[str, ...]
    scopes: tuple[str, ...]
    size: str | None
    most: int | None = None
    description: str = ""

    @property
    def per_manager(self) -> bool:
        """Whether the table has a row per manager instead of a row per scope."""
        return self.scopes == ("manager",)


def _metrics(table: Table) -> list[Metric]:
    if not table.daily or "currency" not in table.key:
        return []
    if "scope" in table.names:
        scopes = table.column("scope").values or SCOPES
    elif "manager_id" in table.names:
        scopes = ("manager",)
    else:
        scopes = ("all",)
    keys = tuple(name for name in table.key if name not in _SUBJECT_KEYS)
    size = next((name for name in _SIZES if name in table.names), None)
    return [
        Metric(table.name, column.name, column.type, kind, keys, tuple(scopes), size, _most(column), column.description)
        for column in table.columns
        if (kind := _kind(column)) is not None
    ]


def _most(column: Column) -> int | None:
    """The largest value that the column can have; None if there is no limit."""
    return 1 if column.name.startswith("par_") else column.most


def _kind(column: Column) -> Kind | None:
    if column.type == MONEY:
        return "money"
    if column.type == "int64":
        return "count"
    if column.type == RATE:
        return "fraction"
    if column.type == "float64":
        if column.most == 100:
            return "score"
        return "percent" if column.percent else "fraction"
    return None


_OF_THE_CLOSE = [
    Metric(CLOSE_SUMMARY.name, column.name, column.type, "count", (), ("all",), None, description=column.description)
    for column in CLOSE_SUMMARY.columns
]
"""The numbers of the close summary."""

METRICS: dict[str, Metric] = {
    f"{metric.table}.{metric.column}": metric
    for metric in [*(metric for table in DERIVED.values() for metric in _metrics(table)), *_OF_THE_CLOSE]
}
"""Every number that a rule can watch, by its table.column."""
