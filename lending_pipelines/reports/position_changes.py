"""Changes in loan_positions over periods, summed once per day and read by period, group and loan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import revenue
from lending_pipelines.reports.in_period import PeriodSelection
from lending_pipelines.reports.periods import Period


@dataclass(frozen=True)
class Measured:
    """A function of metrics/revenue.py, with the columns of loan_positions that it needs.

    `sums` are its amounts. `changes` are the columns that need the day before the period.
    """

    function: Callable[[ir.Table, ir.Table, Sequence[str]], ir.Table]
    positions: tuple[str, ...]
    sums: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class PositionChanges:
    """The measured amounts of the selected loans, from the day `since` to the period's end.

    `loans` are the selected loans with every column of `keys` to group by.
    """

    selection: PeriodSelection
    loans: ir.Table
    measured: Measured
    since: date
    keys: tuple[str, ...]

    def over(self, periods: Sequence[Period]) -> ir.Table:
        """A row per period and currency; null in periods whose changes are unknown."""
        spans = self.selection.periods(periods, self.selection.changes_known)
        values = self.measured.function(self._by_day, spans.filter(spans.known), ("currency",))
        return self.selection.completed(values, spans, self.measured.sums)

    def by(self, *keys: str) -> ir.Table:
        """The amounts of the period: a row per currency and keys."""
        return self._of_period(self._by_day, ("currency", *keys))

    def by_loan(self, *keys: str) -> ir.Table:
        """The amounts of the period: a row per loan, with its currency and the columns `keys`."""
        every = ("currency", "loan_id", *keys)
        days = self.days(self.selection.period.opening)
        return self._of_period(revenue.loan_days(days, self.loans, every, self.measured.positions), every)

    def days(self, first: date) -> ir.Table:
        """loan_positions from that day to the period's end."""
        positions = self.selection.positions
        return positions.filter(positions.business_date.between(first, self.selection.period.last))

    @cached_property
    def _by_day(self) -> ir.Table:
        # Fetch the rows once, because all results except those by loan use them.
        keys = ("currency", *self.keys)
        loan_days = revenue.loan_days(self.days(self.since), self.loans, keys, self.measured.positions)
        return ibis.memtable(revenue.by_day(loan_days, keys, self.measured.positions).to_pyarrow())

    def _of_period(self, days: ir.Table, keys: Sequence[str]) -> ir.Table:
        spans = self.selection.periods([self.selection.period], lambda period: True)
        rows = self.measured.function(days, spans, keys)
        if self.selection.changes_known(self.selection.period):
            return rows
        return rows.mutate(**{name: ibis.null(rows[name].type()) for name in self.measured.changes})
