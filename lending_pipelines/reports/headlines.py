"""The numbers of a report's first page, and the same numbers of the previous period.

Each report chooses its numbers. exports/ draws them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from lending_pipelines.errors import LendingError
from lending_pipelines.reports import days, scopes
from lending_pipelines.reports.book import Comparison, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.columns import lake_columns
from lending_pipelines.reports.parameters import CALENDAR, UNSET, AsOf, History, InPeriod, InWeek, ReportParameters
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportGeneratorProtocol, ReportSource

MOST_HEADLINES = 8
"""The maximum number of headline numbers per currency."""


_SMALLEST = {
    "history": 1,
    "history_months": 0,
    "max_failures": 1,
    "max_listed": 1,
    "pools": 1,
    "top_groups": 1,
    "top_loans": 1,
    "trend_months": 2,
}
"""The parameters of lists and histories with their smallest value. No headline number depends on them, so the previous
period is generated with these."""


@runtime_checkable
class SpanParameters(Protocol):
    """Parameters of a report from one date to another."""

    def span(self, last: date) -> tuple[date, date]:
        """The first and last day, if `last` is the last day that the report covers."""


@runtime_checkable
class RecordedDataReport(Protocol):
    """A report on data that is recorded only from some day on. Zeros of an earlier period only mean: not recorded."""

    def is_recorded(self, parameters: Any, source: ReportSource) -> bool:
        """Whether the whole period of the parameters is recorded."""


@dataclass(frozen=True)
class Previous:
    """The previous period of a report: its printed name, its parameters, and its business dates."""

    name: str
    parameters: ReportParameters
    covered: Sequence[date]


def of_rows(
    columns: Iterable[ReportColumn], rows: Iterable[Mapping[str, Any]], names: Sequence[str] = ()
) -> ReportTable | None:
    """Headline numbers from rows of values by column name, one row per currency.

    Args:
        columns: Columns of the rows. Only `currency` and the columns of `names` are used.
        rows: Values by column name.
        names: The numbers, in order of printing. Without names, all columns except text.

    Returns:
        A table of at most MOST_HEADLINES numbers; None without rows.
    """
    by_name = {column.name: column for column in columns}
    names = names or [name for name, column in by_name.items() if column.kind != "text"]
    chosen = [by_name[name] for name in names][:MOST_HEADLINES]
    if "currency" in by_name:
        chosen.insert(0, by_name["currency"])
    wanted = [{column.name: row.get(column.name) for column in chosen} for row in rows]
    if not wanted:
        return None
    frame = pd.DataFrame(wanted, columns=[column.name for column in chosen], dtype=object)
    return ReportTable("Headline numbers", tuple(chosen), frame)


def of_table(table: ReportTable, *names: str) -> ReportTable | None:
    """Headline numbers from the rows of a summary; `names` as in `of_rows`."""
    return of_rows(table.columns, table.arrow().to_pylist(), names)


def of_totals(table: ReportTable, *names: str) -> ReportTable | None:
    """Headline numbers from the totals of a table; `names` as in `of_rows`."""
    return of_rows(table.columns, table.totals, names)


DELINQUENCY = ("total_balance", "loan_count", "delinquent_amount", "past_due_amount", "par_30", "par_60", "par_90")
"""The headline columns of portfolio_snapshots for reports on delinquency."""


def of_snapshots(source: ReportSource, day: date, scope: tuple[str, str], *names: str) -> ReportTable | None:
    """Headline numbers from portfolio_snapshots of a scope on a day."""
    snapshots = source.table("portfolio_snapshots")
    rows = scopes.rows_of(snapshots.filter(snapshots.business_date == day), scope).order_by("currency")
    columns = lake_columns("portfolio_snapshots", "currency", *names)
    return of_rows(columns, rows.select("currency", *names).to_pyarrow().to_pylist(), names)


def previous(
    generator: ReportGeneratorProtocol[Any], parameters: ReportParameters, source: ReportSource
) -> Previous | None:
    """The period to compare a report's headline numbers with; None if there is none, or it is not closed or recorded.

    For a report on a period or week, this is the previous one. For a report on a day, it is the last closed day of an
    earlier month, or the closed day before it if the report's history has days.
    """
    try:
        previous = _previous(generator, parameters, source)
        if previous is None:
            return None
        name, values = previous
        earlier = type(parameters)(**{**parameters.model_dump(), **_smallest(parameters), **values})
        if isinstance(generator, RecordedDataReport) and not generator.is_recorded(earlier, source):
            return None
        return Previous(name, earlier, generator.covers(earlier, source))
    except LendingError:
        return None


def compared(
    book: ReportBook, generator: ReportGeneratorProtocol[Any], before: Previous, source: ReportSource
) -> ReportBook:
    """Add the headline numbers of the previous period to the book."""
    if book.headlines is None:
        return book
    earlier = generator.generate(before.parameters, source).headlines
    rows = tuple(earlier.arrow().to_pylist()) if earlier else ()
    return replace(book, previous=Comparison(before.name, rows)) if rows else book


def _smallest(parameters: ReportParameters) -> dict[str, int]:
    """The parameters of the report's lists and histories, with their smallest values."""
    return {name: value for name, value in _SMALLEST.items() if name in type(parameters).model_fields}


def _previous(
    generator: ReportGeneratorProtocol[Any], parameters: ReportParameters, source: ReportSource
) -> tuple[str, dict[str, Any]] | None:
    """The name of the previous period and its changed parameters."""
    if isinstance(parameters, InPeriod):
        period = days.period(parameters, source).previous
        span = {"from_date": period.first.isoformat(), "to_date": period.last.isoformat()}
        return period.display, {**dict.fromkeys(CALENDAR, UNSET), "period": "custom", **span}
    if isinstance(parameters, InWeek):
        week = days.week(parameters, source, generator.reads).previous
        return week.display, {"as_of": week.last.isoformat()}
    if isinstance(parameters, AsOf):
        day = _day_before(parameters, source, generator.covers(parameters, source)[-1:])
        return None if day is None else (day.isoformat(), {"as_of": day.isoformat()})
    if isinstance(parameters, SpanParameters):
        first, last = parameters.span(generator.covers(parameters, source)[-1])
        period = Period("current_month" if first == last.replace(day=1) else "custom", first, last).previous
        return period.display, {"from_date": period.first.isoformat(), "to_date": period.last.isoformat()}
    return None


def _day_before(parameters: AsOf, source: ReportSource, covered: Sequence[date]) -> date | None:
    """The closed day to compare a report on a day with."""
    by_day = isinstance(parameters, History) and parameters.history_step == "day"
    return next(
        (
            day
            for last in covered
            for day in reversed(source.days("loan_positions"))
            if day < last and (by_day or (day.year, day.month) < (last.year, last.month))
        ),
        None,
    )
