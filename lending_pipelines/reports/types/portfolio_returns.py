"""portfolio_returns: what portfolios, programs and vintages earned on the money lent, and investors on prices paid."""

from dataclasses import replace
from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import investors, returns
from lending_pipelines.reports import columns, days, headlines, return_columns, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import ALL, AsOf, History, KnownAt, OneScope, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_LENT = ("portfolio", "program", "vintage")
_MEASURES = (
    *columns.lake_columns("portfolio_snapshots", "loan_count", "total_disbursed", "total_collected"),
    *return_columns.EARNED,
    *columns.lake_columns("portfolio_snapshots", "moic"),
    return_columns.TOTAL_RETURN,
    *columns.lake_columns("portfolio_snapshots", *return_columns.IRRS, "irr_reason", "charged_off", "recovered"),
)
_CURRENCY = columns.lake_columns("portfolio_snapshots", "currency")
_DAY = columns.lake_columns("portfolio_snapshots", "business_date")
_INVESTOR = columns.lake_columns("loan_ownership", "investor_id", "investor_name")
_PRICED = (
    *columns.lake_columns("portfolio_snapshots", "loan_count"),
    *columns.lake_columns("loan_ownership", "purchase_price"),
    ReportColumn("collected", "Collected", "money"),
    ReportColumn("resold_for", "Resold for", "money"),
    *return_columns.EARNED,
    *columns.lake_columns("portfolio_snapshots", "moic", *return_columns.IRRS, "irr_reason"),
)
_NOTE_ON_PRICES = (
    "An investor's returns use the prices paid. Profit: collected while the loan was owned + resold for + residual of"
    " loans still owned - purchase price. MOIC: (collected + resold for) ÷ purchase price. If a price is not recorded,"
    " profit, rate and multiple are blank, and so are their totals."
)


class PortfolioReturnsParameters(UnderConventions, KnownAt, History, OneScope, AsOf):
    """The form of portfolio_returns."""

    by: Literal["ALL", "portfolio", "program", "vintage", "investor"] = Field(
        "ALL",
        description="Breakdown of all loans: portfolio, program or vintage, from the money lent; investor, from the"
        " prices paid; ALL: each of them. A single portfolio, program, … has no breakdown.",
    )


class PortfolioReturns:
    """Prints the returns of portfolio_snapshots, and computes those of investors."""

    report_type = "portfolio_returns"
    title = "Portfolio returns"
    description = "IRR, MOIC and total return of all loans, portfolios, programs, vintages and investors."
    reads = ("portfolio_snapshots", "loan_positions", *investors.SOURCES)
    parameters = PortfolioReturnsParameters

    def covers(self, parameters: PortfolioReturnsParameters, source: ReportSource) -> list[date]:
        """The business date and the days of the history."""
        last = days.business_date(source, self.reads, parameters.as_of)
        return days.history_days(source, self.reads[0], last, parameters.history, parameters.history_step)

    def generate(self, parameters: PortfolioReturnsParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or the scope is unknown."""
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
        levels = [by for by in _LENT if scope == scopes.EVERYTHING and parameters.by in (ALL, by)]
        priced = None
        if scope[0] in ("all", "investor") and parameters.by in (ALL, "investor"):
            priced = _priced(source, day, scope)
        breakdown, history = [], []
        for currency in summary.frame["currency"]:
            breakdown += [_breakdown(today.filter(today.currency == currency), by, currency) for by in levels]
            if priced is not None:
                breakdown.append(_by_investor(priced.filter(priced.currency == currency), currency))
            past = scopes.rows_of(rows.filter(rows.currency == currency), scope).order_by("business_date")
            history.append(_table(f"History {currency}", _DAY, past, none))
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            [summary, *breakdown, *history],
            [chart for table in (*history, *breakdown) for chart in _charts(table)],
            notes=[*return_columns.NOTES, *([] if priced is None else [_NOTE_ON_PRICES])],
            headlines=headlines.of_table(
                summary,
                "total_disbursed",
                "total_collected",
                "residual",
                "profit",
                "moic",
                "total_return",
                return_columns.IRRS[0],
                "charged_off",
            ),
            summary={
                row["currency"]: columns.headline(row, (*return_columns.IRRS, "moic", "total_return", "profit"))
                for row in summary.arrow().to_pylist()
            },
        )


def _breakdown(today: ir.Table, by: str, currency: str) -> ReportTable:
    """The rows of one level in one currency. The totals have sums but no rates: rates cannot be added."""
    rows = today.filter(today.scope == by)
    word = by.capitalize()
    # The id of a vintage is also its name.
    labels = (word, "Name") if by == "vintage" else (f"{word} ID", word)
    names = zip(("scope_id", "name"), labels, strict=True)
    table = _table(
        f"By {by} {currency}",
        tuple(columns.lake_column("portfolio_snapshots", name, label) for name, label in names),
        rows.order_by("scope_id"),
        f"no loan in {currency} has its {by} recorded",
        columns.totals_by_currency(rows, _MEASURES),
    )
    return replace(table, unprinted=("name",)) if by == "vintage" else table


def _priced(source: ReportSource, day: date, scope: tuple[str, str]) -> ir.Table:
    """The returns up to the day of the chosen investor, or of all investors; computed once."""
    positions = source.table("loan_positions")
    rows = investors.investor_returns(positions.filter(positions.business_date == day), source.table, day, day)
    if scope != scopes.EVERYTHING:
        rows = rows.filter(rows.investor_id == scope[1])
    return ibis.memtable(rows.rename(investor_name="name").to_pyarrow())


def _by_investor(rows: ir.Table, currency: str) -> ReportTable:
    """Investors in one currency. A column in which an investor has no amount has no total."""
    printed = (*_INVESTOR, *_PRICED)
    frame = columns.frame(rows.order_by("investor_id").select(*(column.name for column in printed)))
    known = [
        column.name for column in _PRICED if column.kind in ("money", "count") and frame[column.name].notna().all()
    ]
    none = f"no loan in {currency} was sold to an investor"
    return ReportTable(
        f"By investor {currency}", printed, frame, columns.totals_by_currency(rows, _PRICED, known), none
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
        return [Chart(f"Return by vintage, {currency}", table.title, "bar", "scope_id", return_columns.IRRS[:1])]
    if name == "History":
        return [
            Chart(f"IRR with residual, {currency}", table.title, "line", "business_date", return_columns.IRRS[:1]),
            Chart(f"MOIC, {currency}", table.title, "line", "business_date", ("moic",)),
        ]
    return []


generator = PortfolioReturns()
