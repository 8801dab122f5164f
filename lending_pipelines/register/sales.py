"""Portfolio sales: the portfolio, its loans and the sale record change in one transaction.

The callers split the price over the loans and check the sale date.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.investors import Investors
from lending_pipelines.register.loan_ids import batches
from lending_pipelines.register.models import Investor, LoanAssignment, Portfolio, PortfolioLoan, PortfolioSale
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.types import utc_now

UNDO_WITHIN = timedelta(hours=24)
"""The time after its recording within which a sale can be undone."""


class Sales:
    """The sales, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(
        self,
        portfolio_id: str,
        investor_id: str,
        sale_date: date,
        *,
        currency: str,
        prices: Mapping[str, Decimal],
        snapshot: dict[str, Any],
        lake_version: dict[str, int],
    ) -> PortfolioSale:
        """Sell a portfolio at the end of a day. The investor owns its loans from the next day on.

        Args:
            portfolio_id: The portfolio to sell.
            investor_id: The buyer.
            sale_date: The business date at whose end the portfolio is sold.
            currency: The currency of the prices.
            prices: The portfolio's loans on that day, each with its part of the price.
            snapshot: The portfolio's row of portfolio_snapshots on that day.
            lake_version: The Delta version of each table that the sale is based on.

        Returns:
            The sale.

        Raises:
            RegisterError: The portfolio is already sold, its loans in the register differ from `prices`, a loan joined
                it after that day, or a loan already belongs to an investor. Nothing is sold then.
        """
        portfolio = self._unsold(portfolio_id)
        Investors(self._session).get(investor_id)
        self._require_loans(portfolio, prices, sale_date)
        sale = PortfolioSale(
            portfolio_id=portfolio_id,
            investor_id=investor_id,
            sale_date=sale_date,
            price=sum(prices.values(), Decimal(0)),
            currency=currency,
            snapshot=snapshot,
            lake_version=lake_version,
        )
        self._session.add(sale)
        portfolio.status = "sold"
        self._session.flush()
        Investors(self._session).assign(investor_id, prices.items(), sale_date + timedelta(days=1), sale.sale_id)
        return sale

    def undo(self, sale_id: str) -> PortfolioSale:
        """Undo a sale: the portfolio gets its earlier status back and the loans belong to the lender again.

        The record stays, with the time at which the sale was undone.

        Returns:
            The undone sale.

        Raises:
            RegisterError: There is no such sale, it is already undone, it was recorded more than 24 hours ago, or one
                of its loans was sold again. Nothing is undone then.
        """
        sale = self._session.get(PortfolioSale, sale_id, with_for_update=True, populate_existing=True)
        if sale is None:
            raise RegisterError(f"there is no sale {sale_id!r}: `lending portfolio sales` lists them")
        now = utc_now()
        if sale.undone_at is not None:
            raise RegisterError(f"sale {sale_id} was already undone at {sale.undone_at:%Y-%m-%d %H:%M} UTC")
        if now - sale.recorded_at > UNDO_WITHIN:
            raise RegisterError(
                f"sale {sale_id} was recorded at {sale.recorded_at:%Y-%m-%d %H:%M} UTC and cannot be undone: "
                f"the limit is {UNDO_WITHIN // timedelta(hours=1)} hours"
            )
        sold_loans = sa.select(LoanAssignment.loan_id).where(LoanAssignment.sale_id == sale_id)
        sold_on = sa.select(sa.func.min(LoanAssignment.loan_id)).where(
            LoanAssignment.loan_id.in_(sold_loans), LoanAssignment.sale_id.is_distinct_from(sale_id)
        )
        if loan_id := self._session.scalar(sold_on):
            raise RegisterError(
                f"sale {sale_id} cannot be undone: loan {loan_id} has another assignment to an investor; undo"
                " that first"
            )
        self._session.execute(sa.delete(LoanAssignment).where(LoanAssignment.sale_id == sale_id))
        portfolio = Portfolios(self._session).get(sale.portfolio_id)
        portfolio.status = "open" if portfolio.closed_on is None else "closed"
        sale.undone_at = now
        self._session.flush()
        return sale

    def in_force(self) -> list[tuple[str, str, str, date]]:
        """Portfolio id, portfolio name, investor name and date of every sale that is not undone, in order of date."""
        query = (
            sa.select(Portfolio.portfolio_id, Portfolio.name, Investor.name, PortfolioSale.sale_date)
            .join(PortfolioSale, PortfolioSale.portfolio_id == Portfolio.portfolio_id)
            .join(Investor, Investor.investor_id == PortfolioSale.investor_id)
            .where(PortfolioSale.undone_at.is_(None))
            .order_by(PortfolioSale.sale_date, Portfolio.name)
        )
        return [(*row,) for row in self._session.execute(query)]

    def of_portfolio(self, name: str) -> PortfolioSale:
        """The sale in force of the portfolio with that name. Raises RegisterError when there is none."""
        portfolio = Portfolios(self._session).by_name(name)
        in_force = sa.select(PortfolioSale).where(
            PortfolioSale.portfolio_id == portfolio.portfolio_id, PortfolioSale.undone_at.is_(None)
        )
        if sale := self._session.scalars(in_force).first():
            return sale
        raise RegisterError(f"portfolio {name!r} is not sold")

    def all(self) -> list[PortfolioSale]:
        """Every sale, including undone ones, latest first."""
        query = sa.select(PortfolioSale).order_by(PortfolioSale.recorded_at.desc(), PortfolioSale.sale_id)
        return list(self._session.scalars(query))

    def kept_versions(self) -> dict[str, list[int]]:
        """The Delta versions by table that sales in force are based on. A vacuum must keep them."""
        kept: dict[str, set[int]] = defaultdict(set)
        for sale in self.all():
            if sale.undone_at is None:
                for table, version in sale.lake_version.items():
                    kept[table].add(version)
        return {table: sorted(versions) for table, versions in sorted(kept.items())}

    def _unsold(self, portfolio_id: str) -> Portfolio:
        """The portfolio, locked until the session ends so that only one of two concurrent sales succeeds."""
        portfolios = Portfolios(self._session)
        portfolios.lock_assignments()
        portfolio = portfolios.get(portfolio_id)
        self._session.refresh(portfolio, with_for_update=True)
        portfolios.require_unsold(portfolio)
        return portfolio

    def _require_loans(self, portfolio: Portfolio, prices: Mapping[str, Decimal], sale_date: date) -> None:
        """Raise RegisterError unless `prices` has the portfolio's loans on the day, and none belongs to an investor."""
        query = sa.select(PortfolioLoan.loan_id, PortfolioLoan.assigned_on).where(
            PortfolioLoan.portfolio_id == portfolio.portfolio_id,
            sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > sale_date),
        )
        joined = {row.loan_id: row.assigned_on for row in self._session.execute(query)}
        if late := sorted(loan_id for loan_id, assigned_on in joined.items() if assigned_on > sale_date):
            raise RegisterError(
                f"loan {late[0]} joined portfolio {portfolio.name!r} on {joined[late[0]]}, after {sale_date}: choose a "
                "later sale date, or remove the loan first"
            )
        if not prices or joined.keys() != prices.keys():
            which = min(joined.keys() ^ prices.keys(), default=None)
            where = "in the register but not in the lake" if which in joined else "in the lake but not in the register"
            raise RegisterError(
                f"portfolio {portfolio.name!r} on {sale_date}: "
                + (f"loan {which} is in it {where}" if which else "it has no loans")
                + "; close the day again, and remove loans that are not disbursed"
            )
        for batch in batches(sorted(prices)):
            owned = sa.select(LoanAssignment).where(LoanAssignment.loan_id.in_(batch)).order_by(LoanAssignment.loan_id)
            if taken := self._session.scalars(owned.limit(1)).first():
                raise RegisterError(
                    f"loan {taken.loan_id} of portfolio {portfolio.name!r} was assigned to investor "
                    f"{taken.investor_id} on {taken.assignment_date}: it already belongs to an investor and cannot be "
                    "sold"
                )
