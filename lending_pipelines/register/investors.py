"""Investors and the loans that they own."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.loan_ids import batches, named
from lending_pipelines.register.models import Investor, InvestorType, LoanAssignment
from lending_pipelines.register.types import ENCRYPTED, new_id

PERSONAL = ("bank_account", "phone", "email", "address")
"""The columns of an investor that are encrypted when there is a key."""


class Investors:
    """The investors, within one session."""

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
        """Add an investor. Raises RegisterError when the id exists."""
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
            raise RegisterError(f"investor id {investor.investor_id!r} already exists: choose another id")
        self._session.add(investor)
        self._session.flush()
        return investor

    def get(self, investor_id: str) -> Investor:
        """The investor with that id. Raises RegisterError when there is none."""
        if investor := self._session.get(Investor, investor_id):
            return investor
        raise RegisterError(f"there is no investor with the id {investor_id!r}")

    def by_name(self, name: str) -> Investor:
        """The investor with that name. Raises RegisterError when none (with similar names) or several have it."""
        investors = self._session.scalars(sa.select(Investor).where(Investor.name == name)).all()
        if len(investors) > 1:
            raise RegisterError(f"{len(investors)} investors have the name {name!r}: use investor_id instead")
        if not investors:
            names = self._session.scalars(sa.select(Investor.name))
            raise RegisterError(f"there is no investor {name!r}: {did_you_mean(name, names)}")
        return investors[0]

    def all(self) -> list[Investor]:
        """Every investor, by name."""
        return list(self._session.scalars(sa.select(Investor).order_by(Investor.name, Investor.investor_id)))

    def encrypt(self) -> int:
        """Encrypt the personal data of every investor again, with the first key. Returns the number of investors."""
        investors = self.all()
        for investor in investors:
            for name in PERSONAL:
                flag_modified(investor, name)
        self._session.flush()
        return len(investors)

    def in_clear(self) -> int:
        """The number of investors with personal data that is stored unencrypted."""
        columns = [sa.type_coerce(getattr(Investor, name), sa.Text()) for name in PERSONAL]
        stored = sa.or_(*(sa.and_(each.is_not(None), each != "", ~each.startswith(ENCRYPTED)) for each in columns))
        return self._session.scalar(sa.select(sa.func.count()).select_from(Investor).where(stored)) or 0

    def assign(
        self,
        investor_id: str,
        loans: Iterable[tuple[str, Decimal | None]],
        assignment_date: date,
        sale_id: str | None = None,
    ) -> int:
        """Assign loans to an investor from a date on.

        An identical assignment that exists already is kept. On an error nothing is assigned.

        Args:
            investor_id: The investor.
            loans: Loan ids with their purchase prices.
            assignment_date: The first day of ownership.
            sale_id: The portfolio sale that transfers the loans, if there is one.

        Returns:
            The number of loans newly assigned.

        Raises:
            RegisterError: A loan has two prices or another assignment on the same date; names every such loan.
        """
        self.get(investor_id)
        wanted = _once(loans)
        existing = self._assigned(wanted, assignment_date)
        faults = [
            f"loan {row.loan_id} is already assigned on {assignment_date} to investor {row.investor_id} for "
            f"{row.purchase_price}: a loan has at most one assignment a day"
            for row in existing
            if (row.investor_id, row.purchase_price) != (investor_id, wanted[row.loan_id])
        ]
        if faults:
            raise RegisterError(named(faults))
        new = {loan_id: wanted[loan_id] for loan_id in wanted.keys() - {row.loan_id for row in existing}}
        self._insert(new, investor_id=investor_id, assignment_date=assignment_date, sale_id=sale_id)
        return len(new)

    def _assigned(self, loan_ids: Iterable[str], assignment_date: date) -> list[sa.Row]:
        """The assignments of these loans on the day."""
        query = sa.select(LoanAssignment.loan_id, LoanAssignment.investor_id, LoanAssignment.purchase_price)
        on_the_day = LoanAssignment.assignment_date == assignment_date
        return [
            row
            for batch in batches(sorted(loan_ids))
            for row in self._session.execute(
                query.where(LoanAssignment.loan_id.in_(batch), on_the_day).order_by(LoanAssignment.loan_id)
            )
        ]

    def _insert(self, prices: Mapping[str, Decimal | None], **same: Any) -> None:
        rows = [{"loan_id": loan_id, "purchase_price": price} for loan_id, price in prices.items()]
        if rows:
            # Inserting a list of rows by the connection is several times faster than by the session.
            self._session.connection().execute(sa.insert(LoanAssignment).values(**same), rows)


def _once(loans: Iterable[tuple[str, Decimal | None]]) -> dict[str, Decimal | None]:
    """The prices by loan id. Raises RegisterError that names every loan with two prices."""
    prices: dict[str, Decimal | None] = {}
    faults = [
        f"loan {loan_id} has two purchase prices, {prices[loan_id]} and {price}: keep one"
        for loan_id, price in loans
        if prices.setdefault(loan_id, price) != price
    ]
    if faults:
        raise RegisterError(named(faults))
    return prices
