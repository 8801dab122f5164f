"""The selection of a report on a period: its loans, and the periods for which daily tables exist.

metrics/ computes a report's numbers, the report's own module makes the tables, and periods.py defines the days of a
period.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from lending_pipelines.metrics.money import ZERO
from lending_pipelines.reports import columns, days, scopes
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.parameters import InPeriod, ScopeFilters
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables.schema import MONEY

READS = ("loan_positions", "portfolio_snapshots", "loans", "products")
"""The tables that every report on a period reads."""

PRINTED_LOANS = 30
"""The number of printed rows of a long list of loans. A landscape page holds them with their totals."""

CURRENCY = ReportColumn("currency", "Currency", "text")
PRODUCT = (*columns.lake_columns("loan_positions", "product_id"), ReportColumn("product_name", "Product", "text"))
SHARE = ReportColumn("share", "Share", "rate")

_PERIODS = pa.schema(
    {name: pa.int64() for name in ("number", "length", "days", "closed_days")}
    | {name: pa.date32() for name in ("opening", "first", "last")}
    | {"month": pa.string(), "full_month": pa.bool_(), "known": pa.bool_()}
)


class LoansInPeriod(ScopeFilters, InPeriod):
    """A report on a period and the loans in the scopes on its last day."""


@dataclass(frozen=True)
class PeriodSelection:
    """The selected period, and the loans in the selected scopes on its last day.

    `loans` are their rows of loan_positions on that day, with product_name. Earlier periods use the same loans.
    """

    period: Period
    loans: ir.Table
    scope: str
    closed: tuple[date, ...]
    thinned: frozenset[date]
    positions: ir.Table

    @cached_property
    def first_disbursed_on(self) -> date | None:
        """The date of the first disbursement; None without loans."""
        return self.loans.disbursed_on.min().to_pyarrow().as_py()

    @cached_property
    def currencies(self) -> list[str]:
        """The loans' currencies, in order."""
        rows = self.loans.select("currency").distinct().order_by("currency").to_pyarrow()
        return rows["currency"].to_pylist()

    @property
    def title(self) -> str:
        """The scopes and the period as a title."""
        return f"{self.scope}, {self.period.display}"

    def no_rows_reason(self, what: str) -> str:
        """The reason for a table without rows: there are no loans, or no `what`."""
        if self.first_disbursed_on is None:
            return f"no loan was disbursed by {self.period.last}"
        return f"no {what} from {self.period.first} to {self.period.last}"

    def begins_in_time(self, period: Period) -> bool:
        """Whether any of the loans was disbursed by the period's end."""
        return self.first_disbursed_on is not None and self.first_disbursed_on <= period.last

    def changes_known(self, period: Period) -> bool:
        """Whether changes can be computed: the last day, and the day before the period if it had loans, are closed."""
        opened = period.opening in self.closed or (
            self.first_disbursed_on is not None and self.first_disbursed_on > period.opening
        )
        return self.begins_in_time(period) and period.last in self.closed and opened

    def missing_days(self, changes: str) -> list[str]:
        """Notes on days of the period without positions, and on the `changes` that are unknown because of them."""
        if self.first_disbursed_on is None:
            return []
        notes = []
        if not self.changes_known(self.period):
            why = "was thinned" if self.period.opening in self.thinned else "is not closed"
            notes.append(f"{self.period.opening} {why}: the amounts {changes} since then are unknown.")
        begins, closed_days = self._start_and_closed_days(self.period)
        thinned = sum(begins <= day <= self.period.last for day in self.thinned)
        never_closed = (self.period.last - begins).days + 1 - closed_days - thinned
        for missing, why in ((never_closed, "are not closed"), (thinned, "were thinned")):
            if missing:
                notes.append(f"{missing} days of the period {why}: averages use the other days.")
        return notes

    def periods(self, periods: Sequence[Period], known: Callable[[Period], bool]) -> ir.Table:
        """The periods as the input of metrics/revenue.py, numbered in order.

        Further columns: `known`, whether the values of the period are known; `month` (2025-01); `length` in days; and
        `full_month`, whether the period is one complete month.
        """
        rows = [self._row(number, period, known(period)) for number, period in enumerate(periods)]
        return ibis.memtable(pa.Table.from_pylist(rows, schema=_PERIODS))

    def completed(self, values: ir.Table, periods: ir.Table, added: Iterable[str]) -> ir.Table:
        """`values` (number, currency, …) completed to one row for each of the `periods` and each currency of the loans.

        Without events the amounts and counts in `added` are 0; in a period that is not known all values are null.
        """
        currencies = ibis.memtable(pa.table({"currency": pa.array(self.currencies, pa.string())}))
        grid = periods.select("number", "month", "full_month", "known", "length").cross_join(currencies)
        rows = left_join(grid, values, "number", "currency")
        return rows.mutate(
            **{
                name: rows.known.ifelse(ibis.coalesce(rows[name], _zero(rows[name])), ibis.null(rows[name].type()))
                for name in added
            }
        )

    def _row(self, number: int, period: Period, known: bool) -> dict[str, Any]:
        """The row of a period in `periods`."""
        begins, closed_days = self._start_and_closed_days(period)
        return {
            "number": number,
            "month": f"{period.first:%Y-%m}",
            "full_month": period.is_whole_month,
            "known": known,
            "opening": period.opening,
            "first": period.first,
            "last": period.last,
            "length": period.days,
            "days": (period.last - begins).days + 1,
            "closed_days": closed_days,
        }

    def _start_and_closed_days(self, period: Period) -> tuple[date, int]:
        """The period's first day with loans, and the number of closed days from then on."""
        begins = max(period.first, self.first_disbursed_on) if self.first_disbursed_on else period.first
        return begins, sum(begins <= day <= period.last for day in self.closed)


def select(parameters: LoansInPeriod, source: ReportSource) -> PeriodSelection:
    """Select the period and loans. Raises LendingError if the period's last day is not closed or a scope is unknown."""
    period = period_of(parameters, source)
    names = source.table("products").select("product_id", "name")
    loans = scopes.chosen_loans(parameters, source, period.last).left_join(names, "product_id")
    loans = loans.mutate(product_name=ibis.coalesce(loans.name, loans.product_id)).drop("name", "product_id_right")
    return PeriodSelection(
        period,
        loans,
        scopes.chosen_title(parameters, source, period.last),
        tuple(source.days("loan_positions")),
        frozenset(source.thinned("loan_positions")),
        source.table("loan_positions"),
    )


def period_of(parameters: InPeriod, source: ReportSource, reads: Sequence[str] = READS[:2]) -> Period:
    """The selected period.

    Raises LendingError if its last day is missing in a daily table of `reads` and a loan was disbursed by then.
    """
    period = days.period(parameters, source)
    begun = source.table("loans").disbursed_on.min().to_pyarrow().as_py()
    if begun is not None and begun <= period.last:
        days.business_date(source, reads, period.last.isoformat())
    return period


def left_join(rows: ir.Table, others: ir.Table, *keys: str) -> ir.Table:
    """Add the columns of `others` to the rows; null where it has no row with the same keys."""
    return rows.left_join(others, keys, rname="{name}_of_others").drop(*(f"{key}_of_others" for key in keys))


def closed_between(source: ReportSource, first: date, last: date) -> list[date]:
    """The closed days from the first to the last, in order."""
    return [day for day in source.days("loan_positions") if first <= day <= last]


def table(
    title: str,
    printed: Sequence[ReportColumn],
    rows: ir.Table,
    none: str,
    totals: Sequence[Mapping[str, Any]] = (),
) -> ReportTable:
    """A table of the printed columns; the rows must be in order. The sum of the shares is added to `totals`."""
    frame = columns.frame(rows.select(*(column.name for column in printed)))
    if totals and SHARE in printed:
        shares = {} if frame.empty else frame.groupby("currency")[SHARE.name].sum(min_count=1).to_dict()
        totals = [{**total, SHARE.name: _number(shares.get(total["currency"]))} for total in totals]
    return ReportTable(title, tuple(printed), frame, tuple(totals), no_data=none)


def top_table(
    title: str,
    printed: Sequence[ReportColumn],
    rows: ir.Table,
    order: Sequence[ir.Value],
    top: int,
    none: str,
    totals: Sequence[Mapping[str, Any]] = (),
) -> ReportTable:
    """The first `top` rows of each currency in that order; if there are more, `cut` says how many."""
    ranked = rows.mutate(rank=ibis.row_number().over(group_by="currency", order_by=list(order)))
    listed = ranked.filter(ranked["rank"] < top).order_by("currency", "rank")
    return replace(table(title, printed, listed, none, totals), cut=cut(rows, top))


def first_table(
    title: str, printed: Sequence[ReportColumn], rows: ir.Table, order: Sequence[ir.Value], most: int, none: str
) -> ReportTable:
    """The first `most` rows in that order, over all currencies; if there are more, `cut` says how many."""
    total = int(rows.count().to_pyarrow().as_py())
    listed = table(title, printed, rows.order_by(list(order)).limit(most), none)
    return replace(listed, cut=first_of(most, total) if total > most else "")


def cut(rows: ir.Table, top: int) -> str:
    """The note on a list limited to `top` rows per currency; empty if nothing is cut."""
    counted = rows.group_by("currency").agg(rows=rows.count()).order_by("currency").to_pyarrow().to_pylist()
    return "; ".join(first_of(top, row["rows"], row["currency"]) for row in counted if row["rows"] > top)


def first_of(most: int, total: int, currency: str = "") -> str:
    """The note on a limited list: `first 20 of 133 in USD`."""
    return f"first {most:,} of {total:,}{f' in {currency}' if currency else ''}"


def headlines(summary: ReportTable) -> dict[str, dict[str, Any]]:
    """The rows of the summary by currency, as JSON values."""
    names = [column.name for column in summary.columns if column.name != "currency"]
    return {row["currency"]: columns.headline(row, names) for row in summary.arrow().to_pylist()}


def totals_from(summary: ReportTable, *names: str) -> list[dict[str, Any]]:
    """The values of the summary by currency, as totals of a breakdown."""
    return [{name: row[name] for name in ("currency", *names)} for row in summary.arrow().to_pylist()]


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _zero(column: ir.Column) -> ir.Value:
    return ZERO if column.type() == ibis.dtype(MONEY) else ibis.literal(0, column.type())
