"""Portfolios and their loans. A loan is in at most one portfolio on a day.

This module validates a portfolio's rule when it is saved and records the loans that the rule selects. metrics/ computes
which loans those are.
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
    """The portfolios, within one session."""

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
        """Add an open portfolio. Raises RegisterError when the name or id exists, CriteriaError for an invalid rule."""
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
            raise RegisterError(
                f"portfolio {other.name!r} ({other.portfolio_id}) already exists: choose another name and id"
            )
        self._session.add(portfolio)
        self._session.flush()
        return portfolio

    def get(self, portfolio_id: str) -> Portfolio:
        """The portfolio with that id. Raises RegisterError when there is none."""
        if portfolio := self._session.get(Portfolio, portfolio_id):
            return portfolio
        raise RegisterError(f"there is no portfolio with the id {portfolio_id!r}")

    def by_name(self, name: str) -> Portfolio:
        """The portfolio with that name. Raises RegisterError, with similar names, when there is none."""
        if portfolio := self._session.scalar(sa.select(Portfolio).where(Portfolio.name == name)):
            return portfolio
        names = self._session.scalars(sa.select(Portfolio.name))
        raise RegisterError(f"there is no portfolio {name!r}: {did_you_mean(name, names)}")

    def all(self) -> list[Portfolio]:
        """Every portfolio, by name."""
        return list(self._session.scalars(sa.select(Portfolio).order_by(Portfolio.name)))

    def open(self) -> list[Portfolio]:
        """The open portfolios, by name."""
        query = sa.select(Portfolio).where(Portfolio.status == "open").order_by(Portfolio.name)
        return list(self._session.scalars(query))

    def loan_ids(self, portfolio_id: str, day: date) -> list[str]:
        """The ids of the loans in a portfolio on a day, in order."""
        query = sa.select(PortfolioLoan.loan_id).where(
            PortfolioLoan.portfolio_id == portfolio_id,
            PortfolioLoan.assigned_on <= day,
            sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > day),
        )
        return list(self._session.scalars(query.order_by(PortfolioLoan.loan_id)))

    def ruled(self) -> list[RuledPortfolio]:
        """The portfolios with a rule that select loans on some day, in order of precedence.

        A lower priority comes first; then the earlier opened, then by name. Sold portfolios are left out for all days,
        because a loan that such a portfolio selected now would not be part of the sale. Raises CriteriaError that names
        the portfolio when a stored rule is not valid.
        """
        query = (
            sa.select(Portfolio)
            .where(Portfolio.criteria.is_not(None), Portfolio.status != "sold")
            .order_by(Portfolio.priority, Portfolio.opened_on, Portfolio.name)
        )
        return [_ruled(portfolio) for portfolio in self._session.scalars(query)]

    def set_criteria(self, portfolio_id: str, criteria: dict[str, Any] | None) -> None:
        """Replace or remove a portfolio's rule. Its loans stay in it.

        Raises:
            CriteriaError: The rule is not valid; names the path of the node.
        """
        if criteria is not None:
            parse_criteria(criteria)
        self.get(portfolio_id).criteria = criteria
        self._session.flush()

    def close(self, portfolio_id: str, closed_on: date) -> None:
        """Close a portfolio: it takes no loans from that day on, and keeps the loans that it has.

        Raises:
            RegisterError: It is not open, was opened on that day or later, or took a loan on that day or later.
        """
        portfolio = self.get(portfolio_id)
        self._require_open(portfolio, "cannot be closed")
        self.lock_assignments()
        later = sa.select(sa.func.max(PortfolioLoan.assigned_on)).where(PortfolioLoan.portfolio_id == portfolio_id)
        latest = max(portfolio.opened_on, self._session.scalar(later) or portfolio.opened_on)
        if closed_on <= latest:
            raise RegisterError(
                f"portfolio {portfolio.name!r} was opened or took a loan on {latest}: close it on a later day"
            )
        portfolio.status, portfolio.closed_on = "closed", closed_on
        self._session.flush()

    def assign(self, portfolio_id: str, loan_ids: Iterable[str], assigned_on: date) -> int:
        """Assign loans to an open portfolio from a day on. On an error nothing is assigned.

        Returns:
            The number of loans that were not in the portfolio yet.

        Raises:
            RegisterError: A loan is in another portfolio on that day or later, or joins this one later; names every
                such loan.
        """
        portfolio = self.get(portfolio_id)
        self._require_open(portfolio, "does not take loans")
        self.lock_assignments()
        added, faults = 0, []
        with self._session.begin_nested():
            for batch in batches(loan_ids):
                wanted = dict.fromkeys(batch)
                for interval in self._intervals_from(assigned_on, list(wanted)):
                    if _goes_on(interval, portfolio_id, assigned_on):
                        wanted.pop(interval.loan_id, None)
                    else:
                        faults.append(self._refusal(interval, portfolio, assigned_on))
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
        """Record the loans that rules selected, as (portfolio_id, loan_id, assigned_on) with each loan once.

        A loan assigned to a portfolio in the meantime stays there. A portfolio sold in the meantime takes no loans.
        Returns how many were recorded.
        """
        self.lock_assignments()
        taking = {portfolio.portfolio_id for portfolio in self.ruled()}
        added = 0
        for batch in batches(chosen):
            earliest = min(assigned_on for _, _, assigned_on in batch)
            free_on = {
                row.loan_id: row.removed_on or date.max
                for row in self._intervals_from(earliest, [loan_id for _, loan_id, _ in batch])
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
        """Remove loans from a portfolio; their last day in it is the day before. On an error nothing is removed.

        A loan removed on the day of its assignment was never in the portfolio at the end of a day: its row is deleted.

        Returns:
            The number of loans removed.

        Raises:
            RegisterError: A loan is not in the portfolio on that day, or already has a removal date; names every such
                loan.
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
                    "or already has a removal date"
                    for loan_id in sorted(missing)
                ]
                self._session.execute(sa.delete(PortfolioLoan).where(here, PortfolioLoan.assigned_on == removed_on))
                self._session.execute(sa.update(PortfolioLoan).where(here).values(removed_on=removed_on))
                removed += len(wanted)
            if faults:
                raise RegisterError(named(faults))
        return removed

    def lock_assignments(self) -> None:
        """Lock the assignments until the transaction ends, so that concurrent ones see each other's loans."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(sa.text("LOCK TABLE portfolio_loans IN SHARE ROW EXCLUSIVE MODE"))

    @staticmethod
    def require_unsold(portfolio: Portfolio) -> None:
        """Raise RegisterError when the portfolio is sold."""
        if portfolio.status == "sold":
            raise RegisterError(f"portfolio {portfolio.name!r} is already sold: undo that sale first")

    @staticmethod
    def _require_open(portfolio: Portfolio, refusal: str) -> None:
        if portfolio.status != "open":
            raise RegisterError(f"portfolio {portfolio.name!r} is {portfolio.status} and {refusal}")

    def _intervals_from(self, day: date, loan_ids: list[str]) -> Sequence[sa.Row]:
        """The intervals of these loans that include that day or a later one."""
        reaches = sa.or_(PortfolioLoan.removed_on.is_(None), PortfolioLoan.removed_on > day)
        query = sa.select(
            PortfolioLoan.portfolio_id, PortfolioLoan.loan_id, PortfolioLoan.assigned_on, PortfolioLoan.removed_on
        ).where(PortfolioLoan.loan_id.in_(loan_ids), reaches)
        return self._session.execute(query.order_by(PortfolioLoan.loan_id, PortfolioLoan.assigned_on)).all()

    def _insert(self, rows: list[dict[str, Any]], method: AssignmentMethod) -> None:
        if rows:
            # Inserting a list of rows by the connection is several times faster than by the session.
            self._session.connection().execute(sa.insert(PortfolioLoan).values(method=method), rows)

    def _refusal(self, interval: sa.Row, portfolio: Portfolio, assigned_on: date) -> str:
        until = f"until {interval.removed_on}" if interval.removed_on else "without an end date"
        holder = self.get(interval.portfolio_id)
        return (
            f"loan {interval.loan_id} is in portfolio {holder.name!r} from {interval.assigned_on} {until}: "
            f"it cannot be in {portfolio.name!r} from {assigned_on}; remove it there first"
        )


def _goes_on(interval: sa.Row, portfolio_id: str, day: date) -> bool:
    """Whether the interval belongs to this portfolio and covers that day and all later ones."""
    return interval.portfolio_id == portfolio_id and interval.assigned_on <= day and interval.removed_on is None


def _ruled(portfolio: Portfolio) -> RuledPortfolio:
    try:
        rule = parse_criteria(portfolio.criteria)
    except CriteriaError as error:
        raise CriteriaError(f"portfolio {portfolio.name!r}: {error}") from None
    return RuledPortfolio(portfolio.portfolio_id, rule, portfolio.opened_on, portfolio.closed_on, portfolio.program_id)
