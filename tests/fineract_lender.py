"""A lender on Fineract for tests: its loans, and what happens to them. Fineract changes rows in place."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa
from fineract_tenant import Tenant

FIRST = date(2025, 6, 1)
LOANS = range(1, 7)


class Lender:
    """A tenant with loans of 1,200.00 in 12 installments, and what happens to them."""

    def __init__(self, tenant: Tenant, loans: Sequence[int] = LOANS):
        self.tenant = tenant
        self.loans = loans
        self.on = FIRST
        self.minute = 0
        self.next_id = 0
        self.insert("m_client", account_no="1", display_name="Client", office_id=1)
        for loan in loans:
            self._lend(loan, FIRST - timedelta(days=100 + loan))

    def at(self) -> datetime:
        """The next minute of the business date."""
        self.minute += 1
        return datetime.combine(self.on, datetime.min.time(), UTC) + timedelta(hours=9, minutes=self.minute)

    def insert(self, table: str, **values) -> int:
        self.next_id += 1
        columns = self.tenant.metadata.tables[table].columns
        audit = {name: self.at() for name in ("created_on_utc", "last_modified_on_utc") if name in columns}
        required = {
            column.name: False if isinstance(column.type, sa.Boolean) else 0
            for column in columns
            if isinstance(column.type, sa.Boolean | sa.Integer) and not column.primary_key
        }
        known = {name: value for name, value in (required | audit | values).items() if name in columns}
        self.tenant.insert(table, id=self.next_id, **known)
        return self.next_id

    def _lend(self, loan: int, on: date) -> None:
        self.tenant.insert(
            "m_loan", id=loan, account_no=str(loan), client_id=1, product_id=1, loan_status_id=300, loan_type_enum=1,
            currency_code="EUR", approved_principal=1200, annual_nominal_interest_rate=12, repay_every=1,
            repayment_period_frequency_enum=2, number_of_repayments=12, days_in_month_enum=30, days_in_year_enum=360,
            submittedon_date=on, approvedon_date=on, disbursedon_date=on, created_on_utc=self.at(),
            last_modified_on_utc=self.at(), is_charged_off=False,
        )  # fmt: skip
        self.pay(loan, 1, Decimal(1200), on, None, None)
        for number in range(1, 13):
            self.insert(
                "m_loan_repayment_schedule", loan_id=loan, installment=number, completed_derived=False,
                duedate=on + timedelta(days=30 * number), principal_amount=100, interest_amount=12 - number,
            )  # fmt: skip

    def pay(self, loan: int, type_: int, amount: Decimal, on: date, principal, interest) -> int:
        return self.insert(
            "m_loan_transaction", loan_id=loan, transaction_type_enum=type_, transaction_date=on, amount=amount,
            principal_portion_derived=principal, interest_portion_derived=interest, submitted_on_date=self.on,
            office_id=1,
        )  # fmt: skip

    def update(self, table: str, which: str, **values) -> None:
        settings = ", ".join(f"{name} = :{name}" for name in values)
        self.tenant.execute(f"UPDATE {table} SET {settings} WHERE {which}", **values)

    def live(self) -> list[tuple]:
        query = (
            "SELECT id, loan_id, amount, transaction_date, principal_portion_derived FROM m_loan_transaction"
            " WHERE transaction_type_enum = 2 AND NOT is_reversed ORDER BY id"
        )
        with self.tenant.engine.connect() as connection:
            return list(connection.exec_driver_sql(query))

    def night(self, chance: random.Random, events: int) -> None:
        """What happens on one business date."""
        for _ in range(events):
            loan = chance.choice(self.loans)
            happening = chance.choice((self.repay, self.repay, self.recalculate, self.reage, self.undo, self.replay,
                                       self.rewrite, self.take_back, self.remove))  # fmt: skip
            happening(loan, chance)

    def repay(self, loan: int, chance: random.Random) -> None:
        """A payment, two of three entered late. A third of a cent is left to rounding."""
        principal, interest = Decimal("33.333333"), Decimal(chance.randrange(0, 500)) / 100
        late = timedelta(days=chance.choice((0, 1, 9)))
        self.pay(loan, 2, principal + interest, self.on - late, principal, interest)

    def recalculate(self, loan: int, chance: random.Random) -> None:
        self.update(
            "m_loan_repayment_schedule", f"loan_id = {loan} AND duedate >= '{self.on}'",
            interest_amount=Decimal(chance.randrange(0, 900)) / 100, last_modified_on_utc=self.at(),
        )  # fmt: skip

    def reage(self, loan: int, chance: random.Random) -> None:
        """The last installment falls due later. Nothing tells so but its row."""
        later = self.on + timedelta(days=chance.randrange(300, 400))
        self.update("m_loan_repayment_schedule", f"loan_id = {loan} AND installment = 12", duedate=later)

    def undo(self, _loan: int, chance: random.Random) -> None:
        if live := self.live():
            self.update(
                "m_loan_transaction", f"id = {chance.choice(live)[0]}", is_reversed=True,
                manually_adjusted_or_reversed=True, reversed_on_date=self.on, last_modified_on_utc=self.at(),
            )  # fmt: skip

    def replay(self, _loan: int, chance: random.Random) -> None:
        """The row is reversed, and another one of the same date has other portions."""
        if live := self.live():
            old, loan, amount, on, principal = chance.choice(live)
            self.update(
                "m_loan_transaction", f"id = {old}", is_reversed=True, reversed_on_date=self.on,
                last_modified_on_utc=self.at(),
            )  # fmt: skip
            new = self.pay(loan, 2, amount, on, principal - 1, amount - principal + 1)
            self.insert(
                "m_loan_transaction_relation", from_loan_transaction_id=new, to_loan_transaction_id=old,
                relation_type_enum=3,
            )  # fmt: skip

    def rewrite(self, _loan: int, chance: random.Random) -> None:
        """The portions of the row change in place."""
        if live := self.live():
            row, _, amount, _, principal = chance.choice(live)
            self.update(
                "m_loan_transaction", f"id = {row}", principal_portion_derived=principal - 2,
                interest_portion_derived=amount - principal + 2,
            )  # fmt: skip

    def take_back(self, loan: int, _chance: random.Random) -> None:
        """A chargeback of 20.00, which Fineract adds to the next installment."""
        self.pay(loan, 25, Decimal(20), self.on, Decimal(20), None)
        self.tenant.execute(
            f"UPDATE m_loan_repayment_schedule SET principal_amount = principal_amount + 20 WHERE loan_id = {loan}"
            " AND installment = 11"
        )

    def remove(self, _loan: int, chance: random.Random) -> None:
        if live := self.live():
            self.tenant.execute(f"DELETE FROM m_loan_transaction WHERE id = {chance.choice(live)[0]}")
