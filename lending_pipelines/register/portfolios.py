"""Portfolios and the loans in them: a loan is in at most one portfolio on a day."""

from collections.abc import Iterable, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.loan_ids import batches
from lending_pipelines.register.models import Portfolio, PortfolioLoan
from lending_pipelines.register.types import new_id


class Portfolios:
    """The portfolios as one session sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        name: str,
        opened_on: date,
        *,
        description: str = "",
        program_id: str | None = None,
        priority: int = 0,
        portfolio_id: str | None = None,
    ) -> Portfolio:
        """A new open portfolio; RegisterError when the name or id is taken."""
        portfolio = Portfolio(
            portfolio_id=portfolio_id or new_id(),
            name=name,
            description=description,
            program_id=program_id,
            priority=priority,
            opened_on=opened_on,
        )
        taken = sa.or_(Portfolio.name == name, Portfolio.portfolio_id == portfolio.portfolio_id)
        if other := self._session.scalar(sa.select(Portfolio).where(taken)):
            raise RegisterError(f"there is a portfolio {other.name!r} ({other.portfolio_id}) already: choose another")
        self._session.add(portfolio)
        self._session.flush()
        return portfolio

    def get(self, portfolio_id: str) -> Portfolio:
        """The portfolio of that id; RegisterError when there is none."""
        if portfolio := self._session.get(Portfolio, portfolio_id):
            return portfolio
        raise RegisterError(f"there is no portfolio with the id {portfolio_id!r}")

    def by_name(self, name: str) -> Portfolio:
        """The portfolio of that name; RegisterError, with near names, when there is none."""
        if portfolio := self._session.scalar(sa.select(Portfolio).where(Portfolio.name == name)):
            return portfolio
        names = self._session.scalars(sa.select(Portfolio.name))
        raise RegisterError(f"there is no portfolio {name!r}: {did_you_mean(name, names)}")

    def all(self) -> list[Portfolio]:
        """Every portfolio, by name."""
        return list(self._session.scalars(sa.select(Portfolio).order_by(Portfolio.name)))

    def open(self) -> list[Portfolio]:
        """The portfolios that take loans, by name."""
        query = sa.select(Portfolio).where(Portfolio.status == "open").order_by(Portfolio.name)
        return list(self._session.scalars(query))

    def assign(self, portfolio_id: str, loan_ids: Iterable[str], assigned_on: date) -> int:
        """Put loans in an open portfolio from that day on; how many were not in it already.

        RegisterError, and nothing assigned, when a loan is in another portfolio on that day or a later one, or joins
        this one later.
        """
        portfolio = self.get(portfolio_id)
        if portfolio.status != "open":
            raise RegisterError(f"portfolio {portfolio.name!r} is {portfolio.status}: only an open one takes loans")
        self._lock_assignments()
        added = 0
        with self._session.begin_nested():
            for batch in batches(loan_ids):
                wanted = dict.fromkeys(batch)
                for held in self._held_from(assigned_on, list(wanted)):
                    if _goes_on(held, portfolio_id, assigned_on):
                        del wanted[held.loan_id]
                    else:
                        raise self._refusal(held, portfolio, assigned_on)
                self._insert(portfolio_id, wanted, assigned_on)
                added += len(wanted)
        return added

    def remove(self, portfolio_id: str, loan_ids: Iterable[str], removed_on: date) -> int:
        """Take loans out of a portfolio: the day before is their last in it. How many were taken out.

        A loan removed on the day of its assignment was in the portfolio at the end of no day: its row goes.
        RegisterError, and nothing removed, when a loan is not in the portfolio on that day.
        """
        portfolio = self.get(portfolio_id)
        removed = 0
        with self._session.begin_nested():
            for batch in batches(loan_ids):
                wanted = dict.fromkeys(batch)
                here = sa.and_(
                    PortfolioLoan.portfolio_id == portfolio_id,
                    PortfolioLoan.loan_id.in_(wanted),
                    PortfolioLoan.assigned_on <= removed_on,
                    PortfolioLoan.removed_on.is_(None),
                )
                missing = wanted.keys() - set(self._session.scalars(sa.select(PortfolioLoan.loan_id).where(here)))
                if missing:
                    raise RegisterError(
                        f"loan {min(missing)} is not in portfolio {portfolio.name!r} on {removed_on}, "
                        "or leaves it at a date set before"
                    )
                self._session.execute(sa.delete(PortfolioLoan).where(here, PortfolioLoan.assigned_on == removed_on))
                self._session.execute(sa.update(PortfolioLoan).where(here).values(removed_on=removed_on))
                removed += len(wanted)
        return removed

    def _lock_assignments(self) -> None:
        """One assignment at a time, so that two cannot each miss the other's loans; in SQLite every session is so."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(sa.text("LOCK TABLE portfolio_loans IN SHARE ROW EXCLUSIVE MODE"))

    def _held_from(self, day: date, loan_ids: list[str]) -> Sequence[sa.Row]:
        """The intervals of these loans that reach to that day or beyond it."""
        reaches = sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > day)
        query = sa.select(
            PortfolioLoan.portfolio_id, PortfolioLoan.loan_id, PortfolioLoan.assigned_on, PortfolioLoan.removed_on
        ).where(PortfolioLoan.loan_id.in_(loan_ids), reaches)
        return self._session.execute(query.order_by(PortfolioLoan.loan_id, PortfolioLoan.assigned_on)).all()

    def _insert(self, portfolio_id: str, loan_ids: Iterable[str], assigned_on: date) -> None:
        rows = [{"loan_id": loan_id} for loan_id in loan_ids]
        if rows:
            same = sa.insert(PortfolioLoan).values(portfolio_id=portfolio_id, assigned_on=assigned_on, method="static")
            # The connection inserts a list of rows several times faster than the session does.
            self._session.connection().execute(same, rows)

    def _refusal(self, held: sa.Row, portfolio: Portfolio, assigned_on: date) -> RegisterError:
        until = f"until {held.removed_on}" if held.removed_on else "with no end"
        holder = self.get(held.portfolio_id)
        return RegisterError(
            f"loan {held.loan_id} is in portfolio {holder.name!r} from {held.assigned_on} {until}: "
            f"it cannot be in {portfolio.name!r} from {assigned_on}; remove it there first"
        )


def _goes_on(held: sa.Row, portfolio_id: str, day: date) -> bool:
    """Whether the interval is this portfolio's, and covers that day and all later ones."""
    return held.portfolio_id == portfolio_id and held.assigned_on <= day and held.removed_on is None
