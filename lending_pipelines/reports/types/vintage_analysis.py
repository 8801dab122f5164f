"""vintage_analysis: static pools by when their loans were disbursed: cumulative net loss and lateness by age."""

from datetime import date
from typing import Literal

import ibis
import pandas as pd
import pyarrow as pa
from pydantic import Field

from lending_pipelines.metrics import vintages
from lending_pipelines.reports import columns, days, headlines, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, KnownAt, ScopeFilters, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_POOL = (ReportColumn("currency", "Currency", "text"), ReportColumn("pool", "Pool", "text"))
_AGE = ReportColumn("months_on_book", "Months on book", "count")
_ORIGINAL = ReportColumn("original_principal", "Original principal", "money")
_LOSSES = (
    ReportColumn("charged_off", "Charged off", "money"),
    ReportColumn("recovered", "Recovered", "money"),
    ReportColumn("net_loss", "Net loss", "money"),
    ReportColumn("net_loss_rate", "Cumulative net loss", "rate"),
)
_OUTSTANDING = (
    *columns.lake_columns("loan_positions", "principal_outstanding"),
    ReportColumn("pool_factor", "Pool factor", "rate"),
)
_LATE = tuple(ReportColumn(name, f"{name.removeprefix('late_')}+ days past due", "money") for name in vintages.LATE)
_POOLS = (
    *_POOL,
    ReportColumn("first_disbursed_on", "First disbursed on", "date"),
    ReportColumn("last_disbursed_on", "Last disbursed on", "date"),
    _AGE,
    ReportColumn("loan_count", "Loans", "count"),
    ReportColumn("active_loans", "Active loans", "count"),
    ReportColumn("charged_off_loans", "Charged-off loans", "count"),
    _ORIGINAL,
    *_OUTSTANDING,
    *_LOSSES,
    *_LATE,
)
_SUMS = tuple(column.name for column in _POOLS if column.kind in ("money", "count") and column is not _AGE)
_NOTES = (
    "A pool has the loans disbursed in one month, quarter or year and never changes. Months on book are calendar months"
    " since the month of disbursement, which is 0. A pool is shown up to the age of its youngest loan.",
    "Cumulative net loss: (principal charged off - recoveries) to date ÷ original principal (all disbursed)."
    " Losses are counted to the end of the month of that age, or to the business date.",
    "Past due principal is that of the last closed day of each month; blank where that month is not closed for some"
    " loan of the pool.",
    "Balances of different currencies are never added.",
)


class VintageAnalysisParameters(UnderConventions, KnownAt, ScopeFilters, AsOf):
    """The form of vintage_analysis."""

    cohort: Literal["month", "quarter", "year"] = Field(
        "quarter", description="The period of disbursement that defines a pool."
    )
    months: int = Field(36, ge=1, le=360, description="Maximum months on book shown.")
    pools: int = Field(
        12, ge=1, le=60, description="Number of latest pools per currency shown by age; all pools are listed."
    )
    late_share_of: Literal["original", "outstanding"] = Field(
        "original",
        description="Whether past due principal by age is a share of the pool's original principal or of its principal"
        " outstanding at that age.",
    )


class VintageAnalysis:
    """Adds up loan_positions by pool, on the business date and on the last closed day of each month before it."""

    report_type = "vintage_analysis"
    title = "Vintage analysis"
    description = "Static pools: cumulative net loss and 30, 60 and 90 days past due by months on book."
    reads = ("loan_positions", "portfolio_snapshots", "transactions")
    parameters = VintageAnalysisParameters

    def covers(self, parameters: VintageAnalysisParameters, source: ReportSource) -> list[date]:
        """The last closed day of each month since the first loan of the pools that are shown by age."""
        day = days.business_date(source, self.reads, parameters.as_of)
        return _month_ends(source, day, _latest(_pools(parameters, source, day), parameters))

    def generate(self, parameters: VintageAnalysisParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        day = days.business_date(source, self.reads, parameters.as_of)
        where = scopes.chosen_title(parameters, source, day)
        pools = _pools(parameters, source, day)
        latest = _latest(pools, parameters)
        curves = _curves(parameters, source, day, pools)
        matrices = [
            _matrix(curves, currency, measure)
            for currency in dict.fromkeys(latest["currency"])
            for measure in (_LOSSES[-1], *_late_shares(parameters.late_share_of))
        ]
        return report_book(
            self,
            parameters,
            source,
            day,
            where,
            [pools, *matrices, curves],
            [
                Chart(table.title, table.title, "line", _AGE.name, tuple(table.names[1:]))
                for table in matrices
                if not table.frame.empty
            ],
            notes=_NOTES,
            headlines=headlines.of_totals(
                pools,
                "original_principal",
                "principal_outstanding",
                *(c.name for c in (*_LOSSES[:3], *_LATE)),
            ),
            summary={
                row["currency"]: columns.headline(row, ("original_principal", "net_loss")) for row in pools.totals
            },
        )


def _late_shares(late_share_of: str) -> list[ReportColumn]:
    return [ReportColumn(f"{c.name}_of_{late_share_of}", f"{c.label}, of {late_share_of}", "rate") for c in _LATE]


def _pools(parameters: VintageAnalysisParameters, source: ReportSource, day: date) -> ReportTable:
    """All pools on the day, the earliest first."""
    loans = vintages.pooled(scopes.chosen_loans(parameters, source, day), parameters.cohort)
    rows = vintages.pools(loans, day, source.conventions)
    totals = columns.totals_by_currency(rows, _POOLS, _SUMS)
    printed = rows.order_by("currency", "pool").select(*(column.name for column in _POOLS))
    return ReportTable(
        "Pools",
        _POOLS,
        columns.frame(printed),
        totals,
        no_data=f"no loan was disbursed by {day}",
        # The name of a pool says when its loans were disbursed.
        unprinted=("first_disbursed_on", "last_disbursed_on"),
    )


def _latest(pools: ReportTable, parameters: VintageAnalysisParameters) -> pd.DataFrame:
    """The latest pools of each currency, which are shown by age."""
    return pools.frame.groupby("currency").tail(parameters.pools)


def _month_ends(source: ReportSource, day: date, latest: pd.DataFrame) -> list[date]:
    """The last closed day of each month from the first loan of the latest pools up to the day."""
    since = min(latest["first_disbursed_on"], default=day)
    return [end for end in days.history_days(source, "loan_positions", day, 400, "month") if end >= since or end == day]


def _curves(parameters: VintageAnalysisParameters, source: ReportSource, day: date, pools: ReportTable) -> ReportTable:
    """The latest pools at every age."""
    printed = (
        *_POOL,
        _AGE,
        _ORIGINAL,
        *_LOSSES,
        *_OUTSTANDING,
        *_LATE,
        *_late_shares(parameters.late_share_of),
    )
    latest = _latest(pools, parameters)
    loans = vintages.pooled(scopes.chosen_loans(parameters, source, day), parameters.cohort)
    followed = ibis.memtable(pa.table({name: pa.array(latest[name], pa.string()) for name in ("currency", "pool")}))
    positions = source.table("loan_positions")
    rows = vintages.curves(
        loans.semi_join(followed, ["currency", "pool"]),
        vintages.losses(source.table("transactions"), day),
        positions.filter(positions.business_date.isin(_month_ends(source, day, latest))),
        ibis.literal(day),
        parameters.months,
        source.conventions,
    )
    rows = rows.order_by("currency", "pool", "months_on_book").select(*(column.name for column in printed))
    none = f"no loan was disbursed by {day}"
    cut = _cut(pools, parameters)
    return ReportTable("By months on book", printed, columns.frame(rows), no_data=none, cut=cut, printed_rows=0)


def _cut(pools: ReportTable, parameters: VintageAnalysisParameters) -> str:
    """Which pools are shown by age, and up to which age, if not all are."""
    parts = [
        f"the latest {parameters.pools} of {number} pools in {currency}"
        for currency, number in pools.frame.groupby("currency").size().items()
        if number > parameters.pools
    ]
    latest = _latest(pools, parameters)
    oldest = max(latest[_AGE.name], default=0)
    if oldest > parameters.months:
        parts.append(f"ages up to {parameters.months} of {oldest} months on book")
    return "; ".join(parts)


def _matrix(curves: ReportTable, currency: str, measure: ReportColumn) -> ReportTable:
    """One measure of a currency: a row per age, a column per pool; blank if the pool is not that old."""
    frame = curves.frame
    wide = frame[frame["currency"] == currency].pivot(index=_AGE.name, columns="pool", values=measure.name)
    wide = wide.rename_axis(columns=None).dropna(how="all")
    printed = (_AGE, *(ReportColumn(pool, pool, "rate") for pool in wide.columns))
    none = "no pool has an age at which the month is closed for all its loans"
    return ReportTable(f"{measure.label} {currency}", printed, wide.reset_index(), no_data=none, heatmap=True)


generator = VintageAnalysis()
