"""The lake as known at a past time, or under other conventions: daily tables are recomputed for a report.

metrics/ computes the tables, as for the close. Nothing is written to the lake.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import delinquency, ledger, managers, platform, portfolios, positions
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.resources.report_source import LakeReportSource
from lending_pipelines.tables import TABLES


@contextmanager
def recomputed(
    source: LakeReportSource, days: Sequence[date], conventions: Conventions, known_at: datetime | None
) -> Iterator["RecomputedSource"]:
    """A ReportSource like `source` with recomputed daily tables.

    Args:
        source: The lake.
        days: The days of the daily tables. A table is computed when it is first read.
        conventions: The conventions to compute under.
        known_at: Use only rows posted up to this time (UTC); None for all rows.
    """
    with ExitStack() as stage:
        yield RecomputedSource(source, days, conventions, known_at, stage)


class RecomputedSource:
    """The source of `recomputed`. Computed tables are kept until `stage` closes."""

    def __init__(
        self,
        source: LakeReportSource,
        days: Sequence[date],
        conventions: Conventions,
        known_at: datetime | None,
        stage: ExitStack,
    ):
        self._source = source
        self._days = sorted(days)
        self._conventions = conventions
        self._known_at = known_at
        self._stage = stage
        self._computed: dict[str, ir.Table] = {}

    @property
    def conventions(self) -> Conventions:
        """The conventions of the report."""
        return self._conventions

    def table(self, name: str) -> ir.Table:
        """A servicing table as known at that time, or a daily table computed from such tables."""
        if name in self._computed:
            return self._computed[name]
        rows = self._rows(name)
        if rows is None:
            if self._known_at is not None and "posted_at" in TABLES[name].names:
                return self._source.as_known(name, self._known_at)
            return self._source.table(name)
        self._computed[name] = self._stage.enter_context(self._source.staged(rows))
        return self._computed[name]

    def days(self, name: str) -> list[date]:
        """The business dates of a daily table of the lake, in order."""
        return self._source.days(name)

    def thinned(self, name: str) -> list[date]:
        """The business dates whose rows housekeeping removed from a daily table of the lake, in order."""
        return self._source.thinned(name)

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far."""
        return self._source.versions()

    def as_reported(self, days: Sequence[date]) -> ReportSource:
        """The lake with the days of daily tables as they were first closed."""
        return self._source.as_reported(days)

    def _rows(self, name: str) -> ir.Table | None:
        """The expression of a daily table; None for other tables."""
        days = self._days[0], self._days[-1]
        match name:
            case "loan_positions":
                return self._positions(self._days)
            case "aging_buckets":
                return delinquency.aging_buckets(self.table("loan_positions"))
            case "aging_transitions":
                openings = {delinquency.opening_day(day, self._conventions) for day in self._days}
                both = self._stage.enter_context(self._source.staged(self._positions({*openings, *self._days})))
                return self._requested_days(delinquency.aging_transitions(both, *days, self._conventions))
            case "portfolio_snapshots":
                loan_positions = self.table("loan_positions")
                return portfolios.portfolio_snapshots(loan_positions, self.table, *days, self._conventions)
            case "manager_snapshots":
                loan_positions = self.table("loan_positions")
                return managers.manager_snapshots(loan_positions, self.table, *days, self._conventions)
            case "trial_balance":
                lines, accounts = self.table("journal_lines"), self.table("gl_accounts")
                return self._requested_days(ledger.trial_balance(lines, accounts, *days))
            case "ledger_tieouts":
                loan_positions, balances = self.table("loan_positions"), self.table("trial_balance")
                lines, accounts = self.table("journal_lines"), self.table("gl_accounts")
                return self._requested_days(ledger.ledger_tieouts(loan_positions, balances, lines, accounts, *days))
            case "platform_activity":
                zone = self._conventions.timezone
                return self._requested_days(
                    platform.platform_activity(self.table("loan_positions"), self.table, *days, zone)
                )
            case _:
                return None

    def _positions(self, days: Sequence[date] | set[date]) -> ir.Table:
        # One expression covers all days, because compiling one per day takes longer than computing the days in between.
        rows = positions.loan_positions(self.table, min(days), max(days), self._conventions)
        return rows.filter(rows.business_date.isin(sorted(days)))

    def _requested_days(self, rows: ir.Table) -> ir.Table:
        return rows.filter(rows.business_date.isin(self._days))
