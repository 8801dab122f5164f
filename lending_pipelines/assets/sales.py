"""Portfolio sales. A sale is an op and not an asset, because it happens once.

metrics/ splits the price over the loans; register/ records the sale. This module checks the closed day and calls them.
"""

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import dagster as dg
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.assets.reports import require_checks
from lending_pipelines.bounds import day_from
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics.prices import split_price
from lending_pipelines.register import Investors, Portfolios, Sales
from lending_pipelines.resources import (
    ConventionsResource,
    LakeReportSource,
    LakeResource,
    RegisterResource,
    message_first,
)

POSITIONS, SNAPSHOTS = "loan_positions", "portfolio_snapshots"


class SaleError(LendingError):
    """A portfolio cannot be sold as requested."""


class SaleConfig(dg.Config):
    """The portfolio, the investor, the date and the price of a sale."""

    portfolio: str = Field("", description="Name of the portfolio to sell, with all its loans.")
    investor: str = Field("", description="Name of the investor who buys it.")
    date: str = Field(
        "",
        description="The business date at whose end it is sold, like 2025-03-31. It must be closed.",
    )
    price: str = Field(
        "",
        description="The total price in the loans' currency, like 98500.00. It is split over the loans in proportion to"
        " principal outstanding.",
    )


@dg.op(description="Sell a portfolio with its loans at the end of a closed day, in one transaction.")
@message_first
def sell(
    context: dg.OpExecutionContext,
    config: SaleConfig,
    lake: LakeResource,
    register: RegisterResource,
    conventions: ConventionsResource,
) -> None:
    """Sell the portfolio, or raise a LendingError and change nothing."""
    day, price = _day(config.date), sale_price(config.price)
    with register.register.session() as session:
        portfolio = Portfolios(session).by_name(config.portfolio)
        Portfolios.require_unsold(portfolio)
        investor = Investors(session).by_name(config.investor)
    source = LakeReportSource(lake.lake, conventions.get())
    for table in (POSITIONS, SNAPSHOTS):
        if day not in source.days(table):
            raise SaleError(source.absent(table, day))
    require_checks(source, (POSITIONS, SNAPSHOTS), [day], f"the sale of portfolio {portfolio.name!r}")
    snapshot = _snapshot(source, portfolio.portfolio_id, portfolio.name, day)
    with register.register.session() as session:
        sale = Sales(session).record(
            portfolio.portfolio_id,
            investor.investor_id,
            day,
            currency=snapshot["currency"],
            prices=split_price(price, _principal(source, portfolio.portfolio_id, day)),
            snapshot=snapshot,
            lake_version={table: source.versions()[table] for table in (POSITIONS, SNAPSHOTS)},
        )
    context.log.info(f"sale {sale.sale_id}: {portfolio.name} to {investor.name} on {day} for {price}")
    context.add_output_metadata({"sale_id": sale.sale_id, "currency": sale.currency, **sale.lake_version})


def _snapshot(source: LakeReportSource, portfolio_id: str, name: str, day: date) -> dict[str, Any]:
    """The portfolio's snapshot of the day as JSON values. Raises SaleError unless its loans have one currency."""
    rows = _of_day(source, SNAPSHOTS, day)
    rows = rows.filter(rows.scope == "portfolio", rows.scope_id == portfolio_id).order_by("currency")
    found = source.batches(rows).read_all().to_pylist()
    if not found:
        raise SaleError(f"portfolio {name!r} has no snapshot on {day}: nothing to sell")
    if len(found) > 1:
        currencies = ", ".join(row["currency"] for row in found)
        raise SaleError(f"portfolio {name!r} has loans in {currencies} on {day}: a sale has one currency")
    return {column: str(value) if isinstance(value, Decimal | date) else value for column, value in found[0].items()}


def _principal(source: LakeReportSource, portfolio_id: str, day: date) -> dict[str, Decimal]:
    rows = _of_day(source, POSITIONS, day)
    rows = rows.filter(rows.portfolio_id == portfolio_id).select("loan_id", "principal_outstanding")
    loans = source.batches(rows).read_all().to_pydict()
    return dict(zip(loans["loan_id"], loans["principal_outstanding"], strict=True))


def _of_day(source: LakeReportSource, table: str, day: date) -> ir.Table:
    rows = source.table(table)
    return rows.filter(rows.business_date == day)


def _day(text: str) -> date:
    try:
        return day_from(text)
    except ValueError:
        raise SaleError(f"date is {text!r}: write the business date of the sale like 2025-03-31") from None


def sale_price(text: str) -> Decimal:
    """Parse the price. Raises SaleError when it is not an amount."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or not 0 <= price < 10**16:
        raise SaleError(f"price is {text!r}: write an amount like 98500.00")
    return price
