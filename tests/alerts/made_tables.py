"""Tables of a few rows, as detectors read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa

from lending_pipelines.alerts.rule_files import parse_rules
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.tables import TABLES

DAY = date(2025, 3, 10)

_BY_TYPE = {"string": "x", "int64": 0, "float64": 0.0, "boolean": False, "date": date(2025, 1, 1)}


@dataclass
class MadeTables:
    """A source whose tables have the given rows; other columns have a value of their type. `made` are daily days."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    made: Mapping[str, Sequence[date]] = field(default_factory=dict)
    conventions: Conventions = field(default_factory=Conventions)

    def table(self, name: str) -> Any:
        if name not in self.rows:
            raise LendingError(f"table {name} was never written")
        table, rows = TABLES[name], self.rows[name]
        given = {column for row in rows for column in row}
        arrays = []
        for column, stored in zip(table.columns, table.arrow_schema, strict=True):
            value = _value(column.type)
            if column.name in given:
                arrays.append(pa.array([row.get(column.name, value) for row in rows], stored.type))
            else:
                arrays.append(pa.repeat(pa.scalar(value, stored.type), len(rows)))
        return ibis.memtable(pa.Table.from_arrays(arrays, schema=table.arrow_schema))

    def days(self, name: str) -> list[date]:
        found = {row["business_date"] for row in self.rows.get(name, ())}
        return sorted(found.union(self.made.get(name, ())))


def _value(kind: str) -> Any:
    return Decimal(0) if kind.startswith("decimal") else _BY_TYPE.get(kind)


def rule(**values: Any) -> AlertRule:
    """A valid rule."""
    return parse_rules([{"name": "r", **values}], "test")[0]


def later(days: int) -> date:
    return DAY + timedelta(days=days)
