"""Marks sold portfolios in a finished report.

Which portfolios are sold is recorded in the register.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from lending_pipelines.reports.book import ReportBook, ReportTable

_IDS = ("portfolio_id", "scope_id")


@dataclass(frozen=True)
class SoldPortfolio:
    """A portfolio that was sold to an investor at the end of a business date."""

    portfolio_id: str
    name: str
    investor: str
    sale_date: date


def marked(book: ReportBook, sold: Iterable[SoldPortfolio]) -> ReportBook:
    """Add a note and an alert for each sold portfolio of the book, and the sale date to the portfolio's name.

    A sale after the report's business date is not mentioned.
    """
    mentioned = [sale for sale in sold if sale.sale_date <= book.as_of and _is_about(book, sale)]
    if not mentioned:
        return book
    lines = [f"Portfolio {sale.name} was sold to {sale.investor} on {sale.sale_date}." for sale in mentioned]
    tables = [_with_sales(table, mentioned) for table in book.tables]
    return replace(book, tables=tables, notes=[*book.notes, *lines], alerts=[*book.alerts, *lines])


def _is_about(book: ReportBook, sale: SoldPortfolio) -> bool:
    """Whether the portfolio was requested, or is in a table."""
    portfolio = book.parameters.get("portfolio", "").strip().casefold()
    if portfolio in (sale.portfolio_id.casefold(), sale.name.casefold()):
        return True
    return any((table.frame[column] == sale.portfolio_id).any() for table in book.tables for column in _ids(table))


def _ids(table: ReportTable) -> list[str]:
    return [name for name in _IDS if name in table.names]


def _with_sales(table: ReportTable, sold: Iterable[SoldPortfolio]) -> ReportTable:
    """The table with the sale date after the names of sold portfolios."""
    ids = _ids(table)
    if not ids or "name" not in table.names:
        return table
    frame = table.frame.copy()
    for sale in sold:
        frame.loc[frame[ids[0]] == sale.portfolio_id, "name"] = f"{sale.name} (sold {sale.sale_date})"
    return replace(table, frame=frame)
