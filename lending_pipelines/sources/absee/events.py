"""The transactions of a taped loan: what must have happened for its balance to be what each month reports.

The tape gives balances and cash, not transactions. Month by month, with `fall` = last reported balance − endBalance:

- **repayment** of totalPaid on the period end. Its principal is the fall where cash can explain it (0 ≤ fall ≤
  totalPaid), else principalCollected as far as it lies between 0 and totalPaid; the rest is interest. A repayment in
  excess of the balance leaves a credit balance, as on the tape.
- What the repayment's principal leaves unexplained: a rise is a **capitalization**. A fall is a **charge_off** of what
  the tape reports as charged off. Of the rest, a fall to zero follows the zero balance code: prepaid or matured, or a
  servicing transfer, is a **waiver**; a sale or a repurchase is a **repayment** of the price, which is the balance
  where no other is reported; a loan charged off, or for which the tape reports neither a code nor what was charged off,
  is a **charge_off**. Any other fall is a **waiver** of principal.
- A loan whose balance falls to zero owes nothing more: what its schedule asked for by then and was not paid, which is
  interest, is a **waiver**, unless the loan is charged off.
- A month whose endBalance is not reported changes no balance, unless it has a zero balance code: the loan ends then.
- A credit balance that returns to zero is a capitalization too, as *fees*, not as interest earned. It was most likely
  refunded; but the tape's totalPaid does not count the cash going out, so a refund would make cash differ from it. The
  tape's negative principalCollected values are such returns: they are rises of the balance, like any other.
- **recovery**, whether the loan is charged off or not: recovered + repossessedProceeds, which are negative where costs
  of repossession or returned proceeds are reported. Amounts are never negative, so recoveries are net of costs to date:
  after each month they add up to max(0, everything reported so far). Where that falls, the latest recoveries are undone
  by a **reversal** each, and what remains of the last is booked again. Costs above all recoveries of a loan are in no
  transaction and are counted in the notes.

Every transaction follows from its month and earlier ones only: a longer tape adds transactions and changes none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from lending_pipelines.sources.absee.tape import Tape, TapeLoan, TapeMonth
from lending_pipelines.sources.absee.terms import installments, posted_at

ZERO = Decimal(0)

_SOLD = ("2", "3")
"""Zero balance codes of a loan whose price the trust received: a third-party sale, a repurchase."""

_CHARGED_OFF = "4"

_NO_LOSS = ("1", *_SOLD, "5")
"""Zero balance codes of a loan that ended otherwise than by a loss."""


@dataclass
class _Recoveries:
    """A loan's recoveries in force, the latest last, and everything reported, costs deducted."""

    reported: Decimal = ZERO
    in_force: list[dict] = field(default_factory=list)

    @property
    def booked(self) -> Decimal:
        return sum((row["amount"] for row in self.in_force), ZERO)


def transactions(tape: Tape) -> Iterator[dict]:
    """Every transaction of the loans kept, by loan and in order of time; they differ in their ids."""
    for loan in tape.loans:
        yield from _loan_transactions(loan, tape.months.get(loan.asset_number, ()))


def costs_above_recoveries(tape: Tape) -> Decimal:
    """The costs that the tape reports beyond all recoveries of their loan: no transaction can hold them."""
    reported = (
        sum((_proceeds(month) for month in tape.months.get(loan.asset_number, ())), ZERO) for loan in tape.loans
    )
    return sum((max(ZERO, -amount) for amount in reported), ZERO)


def _loan_transactions(loan: TapeLoan, months: Iterable[TapeMonth]) -> Iterator[dict]:
    yield _transaction(loan.asset_number, "disbursement", loan.cut_off, principal=loan.balance)
    balance, settled, recoveries = loan.balance, ZERO, _Recoveries()
    for month in months:
        paid, principal = month.total_paid or ZERO, _principal_paid(balance, month)
        rows = [_month_transaction(month, "repayment", principal=principal, interest=paid - principal)] if paid else []
        if month.closing_balance is not None:
            rows += _explain(month, balance, balance - month.closing_balance - principal)
            if balance > 0 == month.closing_balance and all(row["type"] != "charge_off" for row in rows):
                rows += _waive_rest(loan, month, settled + settles(rows))
            balance = month.closing_balance
        settled += settles(rows)
        yield from rows
        if proceeds := _proceeds(month):
            yield from _recover(month, recoveries, proceeds)


def _proceeds(month: TapeMonth) -> Decimal:
    return (month.recovered or ZERO) + (month.repossessed_proceeds or ZERO)


def _principal_paid(balance: Decimal, month: TapeMonth) -> Decimal:
    paid = month.total_paid or ZERO
    if month.closing_balance is not None and ZERO <= balance - month.closing_balance <= paid:
        return balance - month.closing_balance
    return min(max(month.principal_collected or ZERO, ZERO), paid)


def _explain(month: TapeMonth, balance: Decimal, fall: Decimal) -> Iterator[dict]:
    """The transactions that explain the part of a fall in the balance that no payment does; a rise is negative."""
    if fall < 0:
        credit_returned = min(-fall, max(ZERO, -balance))
        yield _month_transaction(month, "capitalization", interest=-fall - credit_returned, fees=credit_returned)
        return
    charged_off = min(month.charged_off or ZERO, fall)
    rest = fall - charged_off
    if rest and _ends_as_loss(month):
        charged_off, rest = fall, ZERO
    if charged_off > 0:
        yield _month_transaction(month, "charge_off", principal=charged_off)
    if rest > 0 and month.closing_balance == 0 and month.zero_balance_code in _SOLD:
        price = min(rest, month.repurchase_amount or rest)
        rest -= price
        yield _month_transaction(month, "repayment", "sale", principal=price)
    if rest > 0:
        yield _month_transaction(month, "waiver", principal=rest)


def _waive_rest(loan: TapeLoan, month: TapeMonth, settled: Decimal) -> Iterator[dict]:
    """The waiver of what the schedule asked for by the month's end and the loan did not pay when it ended."""
    due = sum(
        (row["principal"] + row["interest"] for row in installments([loan]) if row["due_on"] <= month.period_end), ZERO
    )
    if due > settled:
        yield _month_transaction(month, "waiver", "interest", interest=due - settled)


def settles(rows: Iterable[dict]) -> Decimal:
    """What the transactions settle of the schedule: docs/definitions.md, settled."""
    return sum(
        (
            row["principal"] + row["interest"] if row["type"] in ("repayment", "waiver") else row["interest"]
            for row in rows
            if row["type"] in ("repayment", "waiver", "capitalization")
        ),
        ZERO,
    )


def _ends_as_loss(month: TapeMonth) -> bool:
    """Whether a balance that falls to zero without payment is charged off whole."""
    if month.closing_balance != 0 or month.zero_balance_code in _NO_LOSS:
        return False
    return month.zero_balance_code == _CHARGED_OFF or month.charged_off is None


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


def _month_transaction(month: TapeMonth, type_: str, of: str = "", **split: Decimal) -> dict:
    row = _transaction(month.asset_number, type_, month.period_end, **split)
    return row | {"transaction_id": f"{row['transaction_id']}-{of}"} if of else row


def _transaction(
    loan_id: str, type_: str, effective_on, principal: Decimal = ZERO, interest: Decimal = ZERO, fees: Decimal = ZERO
) -> dict:
    """A transaction. A loan has one of a type in a month; the ids of those that may be more say what they are of."""
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
