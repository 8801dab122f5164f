"""Sales of portfolios: a portfolio, its loans and the record of the sale change together, or not at all.

How the price is split over the loans, and that the day of the sale is right, is settled before a sale comes here.
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
from lending_pipelines.register.models import LoanAssignment, Portfolio, PortfolioLoan, PortfolioSale
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.types import utc_now

UNDO_WITHIN = timedelta(hours=24)
"""How long after it was recorded a sale can be undone."""


class Sales:
    """The sales as one session sees them."""

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
        """Sell a portfolio at the end of a day: it is sold, and its loans are the investor's from the next day on.

        `prices` are the portfolio's loans of the closed day with each one's share of the price. RegisterError, and
        nothing sold, when the portfolio is sold already, when its loans in the register are not these, when one joined
        it after that day, or is an investor's already.
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
        """Take a sale back: the portfolio is open or closed as it was, and its loans are the lender's again.

        The record stays and says when it was undone. RegisterError, and nothing undone, when there is no such sale,
        when it is undone already, was recorded more than 24 hours ago, or one of its loans was sold on.
        """
        sale = self._session.get(PortfolioSale, sale_id, with_for_update=True, populate_existing=True)
        if sale is None:
            raise RegisterError(f"there is no sale {sale_id!r}: `lending portfolio sales` lists them")
        now = utc_now()
        if sale.undone_at is not None:
            raise RegisterError(f"sale {sale_id} was undone at {sale.undone_at:%Y-%m-%d %H:%M} UTC")
        if now - sale.recorded_at > UNDO_WITHIN:
            raise RegisterError(
                f"sale {sale_id} was recorded at {sale.recorded_at:%Y-%m-%d %H:%M} UTC: a sale can be undone within "
                f"{UNDO_WITHIN // timedelta(hours=1)} hours"
            )
        theirs = sa.select(LoanAssignment.loan_id).where(LoanAssignment.sale_id == sale_id)
        sold_on = sa.select(sa.func.min(LoanAssignment.loan_id)).where(
            LoanAssignment.loan_id.in_(theirs), LoanAssignment.sale_id.is_distinct_from(sale_id)
        )
        if loan_id := self._session.scalar(sold_on):
            raise RegisterError(f"sale {sale_id}: loan {loan_id} was assigned to an investor since; undo that first")
        self._session.execute(sa.delete(LoanAssignment).where(LoanAssignment.sale_id == sale_id))
        portfolio = Portfolios(self._session).get(sale.portfolio_id)
        portfolio.status = "open" if portfolio.closed_on is None else "closed"
        sale.undone_at = now
        self._session.flush()
        return sale

    def of_portfolio(self, name: str) -> PortfolioSale:
        """The sale in force of the portfolio of that name; RegisterError when there is none."""
        portfolio = Portfolios(self._session).by_name(name)
        in_force = sa.select(PortfolioSale).where(
            PortfolioSale.portfolio_id == portfolio.portfolio_id, PortfolioSale.undone_at.is_(None)
        )
        if sale := self._session.scalars(in_force).first():
            return sale
        raise RegisterError(f"portfolio {name!r} is not sold")

    def all(self) -> list[PortfolioSale]:
        """Every sale, undone ones included, the latest recorded first."""
        query = sa.select(PortfolioSale).order_by(PortfolioSale.recorded_at.desc(), PortfolioSale.sale_id)
        return list(self._session.scalars(query))

    def kept_versions(self) -> dict[str, list[int]]:
        """The Delta versions that sales in force were made on, by table: whatever frees space must leave them."""
        kept: dict[str, set[int]] = defaultdict(set)
        for sale in self.all():
            if sale.undone_at is None:
                for table, version in sale.lake_version.items():
                    kept[table].add(version)
        return {table: sorted(versions) for table, versions in sorted(kept.items())}

    def _unsold(self, portfolio_id: str) -> Portfolio:
        """The portfolio, held for this session until its end, so that of two sales at once one is refused."""
        portfolios = Portfolios(self._session)
        portfolios.lock_assignments()
        portfolio = portfolios.get(portfolio_id)
        self._session.refresh(portfolio, with_for_update=True)
        portfolios.require_unsold(portfolio)
        return portfolio

    def _require_loans(self, portfolio: Portfolio, prices: Mapping[str, Decimal], sale_date: date) -> None:
        query = sa.select(PortfolioLoan.loan_id, PortfolioLoan.assigned_on).where(
            PortfolioLoan.portfolio_id == portfolio.portfolio_id,
            sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > sale_date),
        )
        held = {row.loan_id: row.assigned_on for row in self._session.execute(query)}
        if late := sorted(loan_id for loan_id, assigned_on in held.items() if assigned_on > sale_date):
            raise RegisterError(
                f"loan {late[0]} joined portfolio {portfolio.name!r} on {held[late[0]]}, after {sale_date}: sell it on "
                "a later day, or remove the loan first"
            )
        if not prices or held.keys() != prices.keys():
            which = min(held.keys() ^ prices.keys(), default=None)
            where = "the register only" if which in held else "the lake only"
            raise RegisterError(
                f"portfolio {portfolio.name!r} on {sale_date}: "
                + (f"loan {which} is in it in {where}" if which else "there are no loans in it")
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
