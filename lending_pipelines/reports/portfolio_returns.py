"""portfolio_returns: what portfolios, programs and vintages have earned on the money lent, with its history."""

from datetime import date

import ibis.expr.types as ir

from lending_pipelines.metrics import returns
from lending_pipelines.reports import columns, days, return_columns, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, History, KnownAt, OneScope, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_LEVELS = ("portfolio", "program", "vintage")
_RATES = ("irr", "irr_with_residual")
_MEASURES = (
    *columns.lake_columns("portfolio_snapshots", "loan_count", "total_disbursed", "total_collected"),
    *return_columns.EARNED,
    *columns.lake_columns("portfolio_snapshots", "moic"),
    return_columns.TOTAL_RETURN,
    *columns.lake_columns("portfolio_snapshots", *_RATES, "irr_reason", "charged_off", "recovered"),
)
_SCOPE = columns.lake_columns("portfolio_snapshots", "scope_id", "name")
_CURRENCY = columns.lake_columns("portfolio_snapshots", "currency")
_DAY = columns.lake_columns("portfolio_snapshots", "business_date")


class PortfolioReturnsParameters(UnderConventions, KnownAt, History, OneScope, AsOf):
    """The form of portfolio_returns."""


class PortfolioReturns:
    """Prints the returns of portfolio_snapshots."""

    report_type = "portfolio_returns"
    title = "Portfolio returns"
    description = "IRR, MOIC and total return of all loans, portfolios, programs and vintages, with their history."
    reads = ("portfolio_snapshots",)
    parameters = PortfolioReturnsParameters

    def covers(self, parameters: PortfolioReturnsParameters, source: ReportSource) -> list[date]:
        """The business date and the days of the history."""
        last = days.business_date(source, self.reads, parameters.as_of)
        return days.history_days(source, self.reads[0], last, parameters.history, parameters.history_step)

    def generate(self, parameters: PortfolioReturnsParameters, source: ReportSource) -> ReportBook:
        """The report; LendingError when the day or the scope is not there."""
        covered = self.covers(parameters, source)
        day = covered[-1]
        scope = scopes.scope_of(parameters, source, day)
        snapshots = source.table("portfolio_snapshots")
        rows = returns.total_returns(
            snapshots.filter(snapshots.business_date.isin(covered)), "total_balance", "total_disbursed"
        )
        today = rows.filter(rows.business_date == day)
        none = f"there are no loans on {day}"
        summary = _table("Returns", _CURRENCY, scopes.rows_of(today, scope).order_by("currency"), none)
        breakdown, history = [], []
        for currency in summary.frame["currency"]:
            if scope == scopes.EVERYTHING:
                breakdown += [_breakdown(today.filter(today.currency == currency), by, currency) for by in _LEVELS]
            past = scopes.rows_of(rows.filter(rows.currency == currency), scope).order_by("business_date")
            history.append(_table(f"History {currency}", _DAY, past, none))
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            [summary, *breakdown, *history],
            [chart for table in (*breakdown, *history) for chart in _charts(table)],
            notes=return_columns.NOTES,
            summary={
                row["currency"]: columns.headline(row, (*_RATES, "moic", "total_return", "profit"))
                for row in summary.arrow().to_pylist()
            },
        )


def _breakdown(today: ir.Table, by: str, currency: str) -> ReportTable:
    """One level in one currency; the sums of the loans that are in it, and no rate of them together."""
    rows = today.filter(today.scope == by)
    return _table(
        f"By {by} {currency}",
        _SCOPE,
        rows.order_by("scope_id"),
        f"no loan in {currency} has its {by} recorded",
        columns.totals_by_currency(rows, _MEASURES),
    )


def _table(title: str, leading: tuple[ReportColumn, ...], rows: ir.Table, no_data: str, totals=()) -> ReportTable:
    printed = (*leading, *_MEASURES)
    return ReportTable(
        title, printed, columns.frame(rows.select(*(column.name for column in printed))), totals, no_data
    )


def _charts(table: ReportTable) -> list[Chart]:
    name, _, currency = table.title.rpartition(" ")
    if table.frame.empty:
        return []
    if name == "By vintage":
        return [Chart(f"Return by vintage, {currency}", table.title, "bar", "scope_id", _RATES)]
    if name == "History":
        return [
            Chart(f"IRR, {currency}", table.title, "line", "business_date", _RATES),
            Chart(f"MOIC, {currency}", table.title, "line", "business_date", ("moic",)),
        ]
    return []


generator = PortfolioReturns()
