"""Portfolios and the loans in them: a loan is in at most one portfolio on a day.

Which loans a rule chooses is worked out elsewhere; here it is checked when it is saved, and what it chose is recorded.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.criteria import CriteriaError, RuledPortfolio, parse_criteria
from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.loan_ids import batches, named
from lending_pipelines.register.models import AssignmentMethod, Portfolio, PortfolioLoan
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
        criteria: dict[str, Any] | None = None,
        portfolio_id: str | None = None,
    ) -> Portfolio:
        """A new open portfolio; RegisterError when the name or id is taken, CriteriaError when the rule is none."""
        if criteria is not None:
            parse_criteria(criteria)
        portfolio = Portfolio(
            portfolio_id=portfolio_id or new_id(),
            name=name,
            description=description,
            program_id=program_id,
            priority=priority,
            criteria=criteria,
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

    def loan_ids(self, portfolio_id: str, day: date) -> list[str]:
        """The loans in a portfolio on a day, by id."""
        query = sa.select(PortfolioLoan.loan_id).where(
            PortfolioLoan.portfolio_id == portfolio_id,
            PortfolioLoan.assigned_on <= day,
            sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > day),
        )
        return list(self._session.scalars(query.order_by(PortfolioLoan.loan_id)))

    def ruled(self) -> list[RuledPortfolio]:
        """The portfolios that take loans by rule on some day, the one that chooses first first.

        A lower priority chooses before a higher one; among equals the one opened first, then by name. Sold portfolios
        take none, not even on days before their sale: those loans were not sold. CriteriaError names a portfolio whose
        rule, saved past this class, is none.
        """
        query = (
            sa.select(Portfolio)
            .where(Portfolio.criteria.is_not(None), Portfolio.status != "sold")
            .order_by(Portfolio.priority, Portfolio.opened_on, Portfolio.name)
        )
        return [_ruled(portfolio) for portfolio in self._session.scalars(query)]

    def set_criteria(self, portfolio_id: str, criteria: dict[str, Any] | None) -> None:
        """Give a portfolio another rule, or none. The loans in it stay.

        CriteriaError, with the path of the node, when the rule is none.
        """
        if criteria is not None:
            parse_criteria(criteria)
        self.get(portfolio_id).criteria = criteria
        self._session.flush()

    def close(self, portfolio_id: str, closed_on: date) -> None:
        """Take no more loans from that day on; those in it stay and are still tracked.

        RegisterError when it is not open, was not opened by then, or took a loan on that day or later.
        """
        portfolio = self.get(portfolio_id)
        self._require_open(portfolio, "can be closed")
        self.lock_assignments()
        later = sa.select(sa.func.max(PortfolioLoan.assigned_on)).where(PortfolioLoan.portfolio_id == portfolio_id)
        latest = max(portfolio.opened_on, self._session.scalar(later) or portfolio.opened_on)
        if closed_on <= latest:
            raise RegisterError(
                f"portfolio {portfolio.name!r} was opened or took a loan on {latest}: close it after that"
            )
        portfolio.status, portfolio.closed_on = "closed", closed_on
        self._session.flush()

    def assign(self, portfolio_id: str, loan_ids: Iterable[str], assigned_on: date) -> int:
        """Put loans in an open portfolio from that day on; how many were not in it already.

        RegisterError that names every such loan, and nothing assigned, when a loan is in another portfolio on that day
        or a later one, or joins this one later.
        """
        portfolio = self.get(portfolio_id)
        self._require_open(portfolio, "takes loans")
        self.lock_assignments()
        added, faults = 0, []
        with self._session.begin_nested():
            for batch in batches(loan_ids):
                wanted = dict.fromkeys(batch)
                for held in self._held_from(assigned_on, list(wanted)):
                    if _goes_on(held, portfolio_id, assigned_on):
                        wanted.pop(held.loan_id, None)
                    else:
                        faults.append(self._refusal(held, portfolio, assigned_on))
                if not faults:
                    rows = [
                        {"portfolio_id": portfolio_id, "loan_id": loan, "assigned_on": assigned_on} for loan in wanted
                    ]
                    self._insert(rows, "static")
                    added += len(wanted)
            if faults:
                raise RegisterError(named(faults))
        return added

    def assign_by_rule(self, chosen: Iterable[tuple[str, str, date]]) -> int:
        """Record what rules chose: (portfolio_id, loan_id, assigned_on), a loan once. How many were recorded.

        A loan that was put in a portfolio since it was chosen stays there, and a portfolio that was sold since takes
        none.
        """
        self.lock_assignments()
        taking = {portfolio.portfolio_id for portfolio in self.ruled()}
        added = 0
        for batch in batches(chosen):
            earliest = min(assigned_on for _, _, assigned_on in batch)
            free_on = {
                row.loan_id: row.removed_on or date.max
                for row in self._held_from(earliest, [loan_id for _, loan_id, _ in batch])
            }
            rows = [
                {"portfolio_id": portfolio_id, "loan_id": loan_id, "assigned_on": assigned_on}
                for portfolio_id, loan_id, assigned_on in batch
                if portfolio_id in taking and free_on.get(loan_id, assigned_on) <= assigned_on
            ]
            self._insert(rows, "dynamic")
            added += len(rows)
        return added

    def remove(self, portfolio_id: str, loan_ids: Iterable[str], removed_on: date) -> int:
        """Take loans out of a portfolio: the day before is their last in it. How many were taken out.

        A loan removed on the day of its assignment was in the portfolio at the end of no day: its row goes.
        RegisterError that names every such loan, and nothing removed, when a loan is not in the portfolio on that day.
        """
        portfolio = self.get(portfolio_id)
        removed, faults = 0, []
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
                faults += [
                    f"loan {loan_id} is not in portfolio {portfolio.name!r} on {removed_on}, "
                    "or leaves it at a date set before"
                    for loan_id in sorted(missing)
                ]
                self._session.execute(sa.delete(PortfolioLoan).where(here, PortfolioLoan.assigned_on == removed_on))
                self._session.execute(sa.update(PortfolioLoan).where(here).values(removed_on=removed_on))
                removed += len(wanted)
            if faults:
                raise RegisterError(named(faults))
        return removed

    def lock_assignments(self) -> None:
        """One assignment at a time, so that two cannot each miss the other's loans; in SQLite every session is so."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(sa.text("LOCK TABLE portfolio_loans IN SHARE ROW EXCLUSIVE MODE"))

    @staticmethod
    def require_unsold(portfolio: Portfolio) -> None:
        """RegisterError when the portfolio is sold."""
        if portfolio.status == "sold":
            raise RegisterError(f"portfolio {portfolio.name!r} is sold already: a portfolio is sold once")

    @staticmethod
    def _require_open(portfolio: Portfolio, what: str) -> None:
        if portfolio.status != "open":
            raise RegisterError(f"portfolio {portfolio.name!r} is {portfolio.status}: only an open one {what}")

    def _held_from(self, day: date, loan_ids: list[str]) -> Sequence[sa.Row]:
        """The intervals of these loans that reach to that day or beyond it."""
        reaches = sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > day)
        query = sa.select(
            PortfolioLoan.portfolio_id, PortfolioLoan.loan_id, PortfolioLoan.assigned_on, PortfolioLoan.removed_on
        ).where(PortfolioLoan.loan_id.in_(loan_ids), reaches)
        return self._session.execute(query.order_by(PortfolioLoan.loan_id, PortfolioLoan.assigned_on)).all()

    def _insert(self, rows: list[dict[str, Any]], method: AssignmentMethod) -> None:
        if rows:
            # The connection inserts a list of rows several times faster than the session does.
            self._session.connection().execute(sa.insert(PortfolioLoan).values(method=method), rows)

    def _refusal(self, held: sa.Row, portfolio: Portfolio, assigned_on: date) -> str:
        until = f"until {held.removed_on}" if held.removed_on else "with no end"
        holder = self.get(held.portfolio_id)
        return (
            f"loan {held.loan_id} is in portfolio {holder.name!r} from {held.assigned_on} {until}: "
            f"it cannot be in {portfolio.name!r} from {assigned_on}; remove it there first"
        )


def _goes_on(held: sa.Row, portfolio_id: str, day: date) -> bool:
    """Whether the interval is this portfolio's, and covers that day and all later ones."""
    return held.portfolio_id == portfolio_id and held.assigned_on <= day and held.removed_on is None


def _ruled(portfolio: Portfolio) -> RuledPortfolio:
    try:
        rule = parse_criteria(portfolio.criteria)
    except CriteriaError as error:
        raise CriteriaError(f"portfolio {portfolio.name!r}: {error}") from None
    return RuledPortfolio(portfolio.portfolio_id, rule, portfolio.opened_on, portfolio.closed_on, portfolio.program_id)
