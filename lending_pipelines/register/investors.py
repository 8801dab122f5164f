"""Investors and the loans that they bought."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.loan_ids import batches
from lending_pipelines.register.models import Investor, InvestorType, LoanAssignment
from lending_pipelines.register.types import new_id


class Investors:
    """The investors as one session sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        name: str,
        investor_type: InvestorType,
        *,
        bank_account: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        address: str | None = None,
        investor_id: str | None = None,
    ) -> Investor:
        """A new investor; RegisterError when the id is taken."""
        investor = Investor(
            investor_id=investor_id or new_id(),
            name=name,
            investor_type=investor_type,
            bank_account=bank_account,
            phone=phone,
            email=email,
            address=address,
        )
        if self._session.get(Investor, investor.investor_id):
            raise RegisterError(f"there is an investor {investor.investor_id} already: choose another id")
        self._session.add(investor)
        self._session.flush()
        return investor

    def get(self, investor_id: str) -> Investor:
        """The investor of that id; RegisterError when there is none."""
        if investor := self._session.get(Investor, investor_id):
            return investor
        raise RegisterError(f"there is no investor with the id {investor_id!r}")

    def by_name(self, name: str) -> Investor:
        """The investor of that name; RegisterError when there is none (with near names) or more than one."""
        found = self._session.scalars(sa.select(Investor).where(Investor.name == name)).all()
        if len(found) > 1:
            raise RegisterError(f"{len(found)} investors are named {name!r}: say which by investor_id")
        if not found:
            names = self._session.scalars(sa.select(Investor.name))
            raise RegisterError(f"there is no investor {name!r}: {did_you_mean(name, names)}")
        return found[0]

    def all(self) -> list[Investor]:
        """Every investor, by name."""
        return list(self._session.scalars(sa.select(Investor).order_by(Investor.name, Investor.investor_id)))

    def assign(
        self,
        investor_id: str,
        loans: Iterable[tuple[str, Decimal | None]],
        assignment_date: date,
        sale_id: str | None = None,
    ) -> int:
        """Make loans, given with their purchase prices, the investor's from that day on; how many were new.

        `sale_id` is the sale of their portfolio by which they go, if they do so.

        An assignment that is there already, at the same price, is left as it is. RegisterError, and nothing assigned,
        when a loan has another assignment of the same day.
        """
        self.get(investor_id)
        added = 0
        with self._session.begin_nested():
            for batch in batches(loans):
                wanted = dict(batch)
                for there in self._assigned(list(wanted), assignment_date):
                    if (there.investor_id, there.purchase_price) != (investor_id, wanted.pop(there.loan_id)):
                        raise RegisterError(
                            f"loan {there.loan_id} is assigned on {assignment_date} to investor {there.investor_id} "
                            f"for {there.purchase_price}: it has one assignment a day"
                        )
                self._insert(wanted, investor_id=investor_id, assignment_date=assignment_date, sale_id=sale_id)
                added += len(wanted)
        return added

    def _assigned(self, loan_ids: list[str], assignment_date: date) -> Sequence[sa.Row]:
        query = sa.select(LoanAssignment.loan_id, LoanAssignment.investor_id, LoanAssignment.purchase_price).where(
            LoanAssignment.loan_id.in_(loan_ids), LoanAssignment.assignment_date == assignment_date
        )
        return self._session.execute(query.order_by(LoanAssignment.loan_id)).all()

    def _insert(self, prices: Mapping[str, Decimal | None], **same: Any) -> None:
        rows = [{"loan_id": loan_id, "purchase_price": price} for loan_id, price in prices.items()]
        if rows:
            # The connection inserts a list of rows several times faster than the session does.
            self._session.connection().execute(sa.insert(LoanAssignment).values(**same), rows)
