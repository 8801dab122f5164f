"""The transactions of a loan on a tape, derived from the balances and cash that each month reports.

The tape reports balances and cash, not transactions. Below, `fall` is the last reported balance − endBalance.

- **repayment** of totalPaid on the period end. Its principal is `fall` if the cash can explain it (0 ≤ fall ≤
  totalPaid), else principalCollected, limited to 0..totalPaid. The rest is interest. A repayment above the balance
  leaves a credit balance, as on the tape.
- A rise of the balance that the repayment does not explain is a **capitalization**. An unexplained fall is a
  **charge_off** up to the amount that the tape reports as charged off. If the balance falls to zero, the zero balance
  code decides the rest: prepaid, matured or servicing transfer is a **waiver**; sale or repurchase is a **repayment**
  of the price, or of the balance if no price is reported; charged off, or neither a code nor a charged-off amount, is a
  **charge_off**. Any other fall is a **waiver** of principal.
- A loan whose balance falls to zero owes nothing more. Unpaid interest that is due by then is a **waiver**, unless the
  loan is charged off.
- A month without endBalance does not change the balance, unless it has a zero balance code. With a code, the loan ends.
- A credit balance that returns to zero is a **capitalization** of *fees*, not of earned interest. It was most likely
  refunded, but totalPaid does not count outgoing cash, so a refund would make cash differ from the tape. Negative
  values of principalCollected are such returns; they are rises of the balance like any other.
- **recovery** of recovered + repossessedProceeds, whether the loan is charged off or not. Both are negative where the
  tape reports repossession costs or returned proceeds. Transaction amounts are never negative, so recoveries are net of
  costs to date: after each month their total is max(0, everything reported so far). If this total falls, each of the
  latest recoveries is undone by a **reversal**, and the remaining part of the last one is booked again. Costs above all
  recoveries of a loan are in no transaction; the notes count them.

A transaction depends only on its own and earlier months. A longer tape adds transactions and changes none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from lending_pipelines.sources.absee.tape import Tape, TapeLoan, TapeMonth
from lending_pipelines.sources.absee.terms import installments, posted_at

ZERO = Decimal(0)

_SOLD = ("2", "3")
"""Zero balance codes of a loan for which the trust received a price: third-party sale, repurchase."""

_CHARGED_OFF = "4"

_NO_LOSS = ("1", *_SOLD, "5")
"""Zero balance codes of a loan that ended without a loss."""


@dataclass
class _Recoveries:
    """A loan's recoveries that are not reversed, in order, and the total reported so far, net of costs."""

    reported: Decimal = ZERO
    in_force: list[dict] = field(default_factory=list)

    @property
    def booked(self) -> Decimal:
        """The total of the recoveries that are not reversed."""
        return sum((row["amount"] for row in self.in_force), ZERO)


def transactions(tape: Tape) -> Iterator[dict]:
    """Every transaction of the loans, by loan and in order of time. Their ids are unique."""
    for loan in tape.loans:
        yield from loan_transactions(loan, tape.months.get(loan.asset_number, ()))


def costs_above_recoveries(tape: Tape) -> Decimal:
    """The reported costs above all recoveries of their loan. No transaction contains them."""
    reported = (
        sum((_proceeds(month) for month in tape.months.get(loan.asset_number, ())), ZERO) for loan in tape.loans
    )
    return sum((max(ZERO, -amount) for amount in reported), ZERO)


def loan_transactions(loan: TapeLoan, months: Iterable[TapeMonth]) -> Iterator[dict]:
    """The transactions of one loan in order of time."""
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
    """The recoveries that a month reports, net of costs: negative if the costs are larger."""
    return (month.recovered or ZERO) + (month.repossessed_proceeds or ZERO)


def _principal_paid(balance: Decimal, month: TapeMonth) -> Decimal:
    """The principal of a month's repayment: the fall of the balance if the cash can explain it (see above)."""
    paid = month.total_paid or ZERO
    if month.closing_balance is not None and ZERO <= balance - month.closing_balance <= paid:
        return balance - month.closing_balance
    return min(max(month.principal_collected or ZERO, ZERO), paid)


def _explain(month: TapeMonth, balance: Decimal, fall: Decimal) -> Iterator[dict]:
    """The transactions for the part of a balance's fall that payments do not explain. A rise is a negative fall."""
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
    """The waiver of the unpaid amount that was due by the month's end, when the loan ended."""
    due = sum(
        (row["principal"] + row["interest"] for row in installments([loan]) if row["due_on"] <= month.period_end), ZERO
    )
    if due > settled:
        yield _month_transaction(month, "waiver", "interest", interest=due - settled)


def settles(rows: Iterable[dict]) -> Decimal:
    """The amount of the schedule that the transactions settle: see settled in docs/definitions.md."""
    return sum(
        (
            row["principal"] + row["interest"] if row["type"] in ("repayment", "waiver") else row["interest"]
            for row in rows
            if row["type"] in ("repayment", "waiver", "capitalization")
        ),
        ZERO,
    )


def _ends_as_loss(month: TapeMonth) -> bool:
    """Whether a balance that falls to zero without payment is charged off completely."""
    if month.closing_balance != 0 or month.zero_balance_code in _NO_LOSS:
        return False
    return month.zero_balance_code == _CHARGED_OFF or month.charged_off is None


def _recover(month: TapeMonth, recoveries: _Recoveries, proceeds: Decimal) -> Iterator[dict]:
    """The transactions that adjust the recoveries to the total reported to date, net of costs and at least 0."""
    recoveries.reported += proceeds
    target = max(ZERO, recoveries.reported)
    while recoveries.booked > target:
        yield _reversal(month, recoveries.in_force.pop())
    if missing := target - recoveries.booked:
        # The tape does not say which part of a recovery is principal. All of it is booked as principal.
        row = _month_transaction(month, "recovery", principal=missing)
        recoveries.in_force.append(row)
        yield row


def _reversal(month: TapeMonth, undone: dict) -> dict:
    split = {name: undone[name] for name in ("principal", "interest", "fees")}
    row = _month_transaction(month, "reversal", **split)
    undone_id = undone["transaction_id"]
    return row | {"transaction_id": f"{row['transaction_id']}-of-{undone_id}", "reverses_id": undone_id}


def _month_transaction(month: TapeMonth, type_: str, of: str = "", **split: Decimal) -> dict:
    """A transaction on the period end of a month. `of` is the suffix of its id."""
    row = _transaction(month.asset_number, type_, month.period_end, **split)
    return row | {"transaction_id": f"{row['transaction_id']}-{of}"} if of else row


def _transaction(
    loan_id: str, type_: str, effective_on, principal: Decimal = ZERO, interest: Decimal = ZERO, fees: Decimal = ZERO
) -> dict:
    """A transaction. A loan has one of each type per month; ids of types that can occur more often have a suffix."""
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
