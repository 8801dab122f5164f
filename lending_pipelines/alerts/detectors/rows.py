"""The rows of a metric, as the detectors of thresholds, changes and anomalies read them, and exact comparison."""

import operator as operators
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any

import ibis.expr.types as ir

from lending_pipelines.alerts.catalogue import Metric
from lending_pipelines.alerts.findings import Finding, Source
from lending_pipelines.alerts.rules import AlertRule, Operator
from lending_pipelines.errors import LendingError

_DECIMALS = 9
_OPERATORS: dict[Operator, Callable[[Any, Any], bool]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


@dataclass(frozen=True)
class Row:
    """The number of one subject on one day; `size` is its principal outstanding, where the table has it."""

    day: date
    kind: str
    subject: str
    currency: str
    value: Decimal | None
    size: Decimal | None
    name: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """The subject and currency."""
        return (self.kind, self.subject, self.currency)

    def finding(self, rule: AlertRule, value: Decimal | None, text: str = "", **details: Any) -> Finding:
        """The rule's finding about this row; without a value it is not known whether the rule holds."""
        return Finding(
            rule=rule.name,
            business_date=self.day,
            kind=self.kind,
            subject=self.subject,
            topic=rule.topic,
            severity=None if value is None else rule.severity,
            value=None if value is None else float(value),
            threshold=float(rule.limit),
            currency=self.currency,
            text=text,
            details=details,
        )


def holds(value: Decimal, operator: Operator | None, limit: Decimal) -> bool:
    """Whether the comparison holds. Ratios and limits have nine decimals, so 0.1 + 0.2 equals 0.3."""
    return _OPERATORS[operator or ">"](value, round(limit, _DECIMALS))


class MetricRows:
    """The rows of all metrics of one table on some days, read once. `days` are those on which it was made."""

    def __init__(self, source: Source, table: str, rules: Sequence[AlertRule], days: Iterable[date]) -> None:
        """Raises LendingError when the table was never written."""
        self.days = sorted(set(source.days(table)).intersection(days))
        metrics = [rule.measured for rule in rules]
        rows = source.table(table)
        wanted = {"business_date", "currency", "scope", "scope_id", "manager_id", "name"}
        wanted |= {metric.column for metric in metrics} | {metric.size for metric in metrics if metric.size}
        wanted |= {key for metric in metrics for key in metric.keys}
        rows = rows.select([name for name in rows.columns if name in wanted])
        if self.days:
            rows = rows.filter(rows.business_date.isin(self.days))
            scopes = sorted({rule.scope for rule in rules})
            if "scope" in rows.columns:
                rows = rows.filter(rows.scope.isin(scopes))
            alternatives = [_where(rows, rule) for rule in rules if rule.where]
            if alternatives and len(alternatives) == len(rules):
                rows = rows.filter(reduce(operators.or_, alternatives))
            read = rows.to_pyarrow().to_pylist()
        else:
            read = []
        self._by_scope: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
        for row in read:
            self._by_scope[row.get("scope")].append(row)

    def of(self, rule: AlertRule) -> Iterator[Row]:
        """The rows that a rule watches. Subjects smaller than its minimum are left out."""
        metric = rule.measured
        where, subjects = list(rule.where.items()), set(rule.subjects)
        for row in self._by_scope.get(rule.scope, []) or self._by_scope.get(None, []):
            if where and any(row[name] != value for name, value in where):
                continue
            kind, subject = _subject(metric, row)
            if subjects and subject not in subjects:
                continue
            value, size = row[metric.column], row[metric.size] if metric.size else None
            if rule.minimum is not None and (size is None or size < rule.minimum):
                continue
            yield Row(row["business_date"], kind, subject, row["currency"], exact(value), size, row.get("name"))


def _where(rows: Any, rule: AlertRule) -> Any:
    return reduce(operators.and_, (rows[name] == value for name, value in rule.where.items()))


def _subject(metric: Metric, row: dict[str, Any]) -> tuple[str, str]:
    if metric.per_manager:
        return "manager", row["manager_id"]
    return (row["scope"], row["scope_id"]) if "scope" in row else ("all", "*")


def exact(value: Any) -> Decimal | None:
    """A number as a Decimal. A double is rounded to nine decimals; null and NaN give None."""
    if value is None or value != value:
        return None
    return value if isinstance(value, Decimal) else round(Decimal(value), _DECIMALS)


def by_table(rules: Sequence[AlertRule]) -> dict[str, list[AlertRule]]:
    """The rules by the table that they read."""
    tables: dict[str, list[AlertRule]] = {}
    for rule in rules:
        tables.setdefault(rule.measured.table, []).append(rule)
    return tables


def staff_of(source: Source) -> ir.Table | None:
    """The servicing table staff; None when the source does not have it."""
    try:
        return source.table("staff")
    except LendingError:
        return None
