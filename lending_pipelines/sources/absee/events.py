"""The transactions of a taped loan: what must have happened for its balance to be what each month reports.

The tape gives balances and cash, not transactions. Month by month, with `fall` = last reported balance − endBalance:

- **repayment** of totalPaid on the period end. Its principal is the fall where cash can explain it (0 ≤ fall ≤
  totalPaid), else principalCollected as far as it lies between 0 and totalPaid; the rest is interest. A repayment in
  excess of the balance leaves a credit balance, as on the tape.
- What the repayment's principal leaves unexplained: a rise is a **capitalization**, a fall to zero a **charge_off**,
  any other fall a **waiver** of principal. A month whose endBalance is not reported changes no balance.
- A credit balance that returns to zero is a capitalization too, as *fees*, not as interest earned. It was most likely
  refunded; but the tape's totalPaid does not count the cash going out, so a refund would make cash differ from it. The
  tape's negative principalCollected values are such returns: they are rises of the balance, like any other.
- **recovery**, from the month of the charge-off on: recovered + repossessedProceeds, which are negative where costs of
  repossession or returned proceeds are reported. Amounts are never negative, so recoveries are net of costs to date:
  after each month they add up to max(0, everything reported since the charge-off). Where that falls, the latest
  recoveries are undone by a **reversal** each, and what remains of the last is booked again. Costs above all recoveries
  of a loan stay off its books and are counted in the notes, as are proceeds reported of a loan not charged off.

Every transaction follows from its month and earlier ones only: a longer tape adds transactions and changes none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from lending_pipelines.sources.absee.tape import Tape, TapeLoan, TapeMonth
from lending_pipelines.sources.absee.terms import posted_at

ZERO = Decimal(0)


@dataclass
class Unbooked:
    """What the tape reports and no transaction can carry."""

    proceeds_without_charge_off: Decimal = ZERO
    costs_above_recoveries: Decimal = ZERO


@dataclass
class _Recoveries:
    """A charged-off loan's recoveries in force, the latest last, and everything reported, costs deducted."""

    reported: Decimal = ZERO
    in_force: list[dict] = field(default_factory=list)

    @property
    def booked(self) -> Decimal:
        return sum((row["amount"] for row in self.in_force), ZERO)


def transactions(tape: Tape) -> Iterator[dict]:
    """Every transaction of the loans kept, by loan and in order of time; they differ in their ids."""
    for loan in tape.loans:
        yield from _loan_transactions(loan, tape.months.get(loan.asset_number, ()), Unbooked())


def unbooked(tape: Tape) -> Unbooked:
    """What of the tape is in no transaction."""
    rest = Unbooked()
    for loan in tape.loans:
        for _ in _loan_transactions(loan, tape.months.get(loan.asset_number, ()), rest):
            pass
    return rest


def _loan_transactions(loan: TapeLoan, months: Iterable[TapeMonth], rest: Unbooked) -> Iterator[dict]:
    yield _transaction(loan.asset_number, "disbursement", loan.cut_off, principal=loan.balance)
    balance = loan.balance
    recoveries: _Recoveries | None = None
    for month in months:
        paid, principal = month.total_paid or ZERO, _principal_paid(balance, month)
        if paid:
            yield _month_transaction(month, "repayment", principal=principal, interest=paid - principal)
        if month.end_balance is not None:
            for row in _explain(month, balance, balance - month.end_balance - principal):
                recoveries = recoveries or (_Recoveries() if row["type"] == "charge_off" else None)
                yield row
            balance = month.end_balance
        proceeds = (month.recovered or ZERO) + (month.repossessed_proceeds or ZERO)
        if recoveries is None:
            rest.proceeds_without_charge_off += proceeds
        elif proceeds:
            yield from _recover(month, recoveries, proceeds)
    if recoveries is not None:
        rest.costs_above_recoveries += max(ZERO, -recoveries.reported)


def _principal_paid(balance: Decimal, month: TapeMonth) -> Decimal:
    paid = month.total_paid or ZERO
    if month.end_balance is not None and ZERO <= balance - month.end_balance <= paid:
        return balance - month.end_balance
    return min(max(month.principal_collected or ZERO, ZERO), paid)


def _explain(month: TapeMonth, balance: Decimal, fall: Decimal) -> Iterator[dict]:
    """The transaction that explains the part of a fall in the balance that no cash does; a rise is negative."""
    if fall < 0:
        credit_returned = min(-fall, max(ZERO, -balance))
        yield _month_transaction(month, "capitalization", interest=-fall - credit_returned, fees=credit_returned)
    elif fall > 0:
        yield _month_transaction(month, "waiver" if month.end_balance else "charge_off", principal=fall)


def _recover(month: TapeMonth, recoveries: _Recoveries, proceeds: Decimal) -> Iterator[dict]:
    """Bring the recoveries in force to what was reported to date, net of costs, but not below zero."""
    recoveries.reported += proceeds
    target = max(ZERO, recoveries.reported)
    while recoveries.booked > target:
        yield _reversal(month, recoveries.in_force.pop())
    if missing := target - recoveries.booked:
        # The tape does not say which part of a recovery is principal: it is taken as such.
        row = _month_transaction(month, "recovery", principal=missing)
        recoveries.in_force.append(row)
        yield row


def _reversal(month: TapeMonth, undone: dict) -> dict:
    split = {name: undone[name] for name in ("principal", "interest", "fees")}
    row = _month_transaction(month, "reversal", **split)
    undone_id = undone["transaction_id"]
    return row | {"transaction_id": f"{row['transaction_id']}-of-{undone_id}", "reverses_id": undone_id}


def _month_transaction(month: TapeMonth, type_: str, **split: Decimal) -> dict:
    return _transaction(month.asset_number, type_, month.period_end, **split)


def _transaction(
    loan_id: str, type_: str, effective_on, principal: Decimal = ZERO, interest: Decimal = ZERO, fees: Decimal = ZERO
) -> dict:
    """A transaction; a loan has at most one of a type in a month, but for reversals, so that the id says all."""
    return {
        "transaction_id": f"{loan_id}-{effective_on}-{type_}",
        "loan_id": loan_id,
        "type": type_,
        "effective_on": effective_on,
        "posted_at": posted_at(effective_on),
        "amount": principal + interest + fees,
        "principal": principal,
        "interest": interest,
        "fees": fees,
    }
