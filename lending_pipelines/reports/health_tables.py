"""Tables on health that several reports print: ranking, parts of the score, trend, and changes over a period.

The numbers are defined in metrics/health.py and metrics/clients.py. Each report decides which managers or branches it
lists.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import clients
from lending_pipelines.reports import columns, in_period
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable
from lending_pipelines.reports.days import closed
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables.derived import HEALTH_RATES, HEALTH_SCORES

RANK = ReportColumn("rank", "Rank", "count")
HEALTH = columns.lake_columns("manager_snapshots", "health_score", "health_category")
RATES = columns.lake_columns("manager_snapshots", *HEALTH_RATES)
CRITICAL = ("health_category", "Critical")
"""The column and value of the rows that a ranking highlights."""

BLANK = (
    "A rate is blank if its divisor is 0: the amount due (collection), the loans active or charged off (default), the"
    " principal outstanding now (PAR) or before (growth), the active clients now (acquisition) or before (churn)."
    " A value of a day or period without loans is blank too."
)
"""The note on empty cells."""

_PARTS = (
    *columns.lake_columns("manager_snapshots", "due_in_window", "collected_in_window"),
    *RATES,
    *columns.lake_columns("manager_snapshots", *HEALTH_SCORES, "health_score", "missing"),
)
_COMPARED = columns.lake_columns("manager_snapshots", "health_score", "par_30", "collection_rate")
_CHANGES = (*(ReportColumn(rate, rate.removesuffix("_rate").capitalize(), "percent") for rate in clients.RATES),)
_TREND = (
    *columns.lake_columns("manager_snapshots", "business_date", "active_loans", "total_outstanding", "par_30"),
    *columns.lake_columns("manager_snapshots", *HEALTH_SCORES, "health_score"),
)


@dataclass(frozen=True)
class ComparedRows:
    """Values to print beside the rows of a table.

    Attributes:
        prefix: The text added before the name of a column: `branch_`.
        label: The text added after the label of a column: `, branch`.
        rows: Rows with `key`, currency and the values; None if they are not known.
        key: The column of `rows` that identifies a row.
        own_key: The column of the table that has this key.
    """

    prefix: str
    label: str
    rows: ir.Table | None
    key: str
    own_key: str


@dataclass(frozen=True)
class SubjectRows:
    """The managers or branches of a report on its last day.

    Attributes:
        rows: A row per manager or branch and currency.
        subject: The columns that name a row.
        order: The columns that give the order.
        none: Why there are no rows.
    """

    rows: ir.Table
    subject: Sequence[ReportColumn]
    order: Sequence[str]
    none: str

    def table(self, title: str, values: Sequence[ReportColumn], rows: ir.Table | None = None) -> ReportTable:
        """A table of the rows, or of rows made from them, in order."""
        found = (self.rows if rows is None else rows).order_by(list(self.order))
        return in_period.table(title, (*self.subject, *values), found, self.none)


def ranked(rows: ir.Table, *within: str) -> ir.Table:
    """The rows with `rank` by health_score within the currency and `within`. 1 is the healthiest."""
    order = ibis.window(group_by=["currency", *within], order_by=ibis.desc("health_score"))
    # Ibis counts ranks from 0.
    return rows.mutate(rank=ibis.rank().over(order) + 1)


def parts(subjects: SubjectRows) -> ReportTable:
    """The table of the rates and points that make up each score."""
    return subjects.table("Parts of the health score", _PARTS)


def health_compared(subjects: SubjectRows, compared: Iterable[ComparedRows]) -> ReportTable:
    """Health, PAR and collection of the rows, beside those of the compared rows."""
    return _compared("Health compared", subjects, _COMPARED, compared)


def changes_compared(subjects: SubjectRows, compared: Iterable[ComparedRows]) -> ReportTable:
    """Growth, acquisition and churn of the rows, beside those of the compared rows."""
    return _compared("Growth, acquisition and churn", subjects, _CHANGES, compared)


def changes(source: ReportSource, loans: ir.Table, period: Period, by: str) -> ir.Table | None:
    """The changes over the period by manager or branch; None if its last day or the day before it is not closed."""
    if len(closed(source, period.opening, period.last)) < 2:
        return None
    return clients.changes(loans, period.opening, period.last, by)


def compared_days(source: ReportSource, period: Period) -> list[date]:
    """The closed days from which the changes over the period and the previous one are computed."""
    return closed(source, *(day for each in (period, period.previous) for day in (each.opening, each.last)))


def not_closed(source: ReportSource, period: Period) -> list[str]:
    """A note on the changes that are unknown, because a day that they need is not closed."""
    known = compared_days(source, period)
    missing = {day for each in (period, period.previous) for day in (each.opening, each.last)} - set(known)
    if not missing:
        return []
    days = f"{', '.join(map(str, sorted(missing)))} {'are' if len(missing) > 1 else 'is'}"
    return [f"{days} not closed: growth, acquisition, churn and health that need these days are unknown."]


def trends(rows: ir.Table, currencies: Iterable[str], none: str) -> list[ReportTable]:
    """The values of one manager or scope day by day: a table for each currency."""
    return [
        in_period.table(
            f"Trend {currency}", _TREND, rows.filter(rows.currency == currency).order_by("business_date"), none
        )
        for currency in currencies
    ]


def trend_charts(tables: Iterable[ReportTable]) -> list[Chart]:
    """A chart of each trend: the score and its parts."""
    return [
        Chart(table.title.replace("Trend", "Health score and its parts,"), table.title, "line", "business_date", names)
        for table in tables
        for names in [("health_score", *HEALTH_SCORES)]
    ]


def _compared(
    title: str, subjects: SubjectRows, values: Sequence[ReportColumn], compared: Iterable[ComparedRows]
) -> ReportTable:
    """A table of the values of all compared rows, joined by their keys."""
    rows, printed = subjects.rows, list[ReportColumn]()
    for other in compared:
        named = {f"{other.prefix}{column.name}": column for column in values}
        printed += [ReportColumn(name, f"{column.label}{other.label}", column.kind) for name, column in named.items()]
        rows = _joined(rows, other, {name: column.name for name, column in named.items()})
    # Each number is followed by the same number of the other rows.
    grouped = [column for first in range(len(values)) for column in printed[first :: len(values)]]
    return subjects.table(title, grouped, rows)


def _joined(rows: ir.Table, other: ComparedRows, names: Mapping[str, str]) -> ir.Table:
    """The rows with the columns of the compared rows, by their new names."""
    rows = rows.drop(*(name for name in names if name in rows.columns))
    if other.rows is None:
        return rows.mutate(**{name: ibis.null("float64") for name in names})
    others = other.rows.select(
        other_key=other.rows[other.key],
        other_currency=other.rows.currency,
        **{name: other.rows[column] for name, column in names.items()},
    )
    joined = rows.left_join(others, [rows[other.own_key] == others.other_key, rows.currency == others.other_currency])
    return joined.drop("other_key", "other_currency")
