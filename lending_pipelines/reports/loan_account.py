"""The account of a loan as its borrower sees it: payments with the balance after each, fees, and the schedule.

All amounts are of single loans, so they are computed row by row. This is not a report type.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import itemgetter
from typing import Any

import ibis.expr.types as ir

from lending_pipelines.metrics import charge_offs, events
from lending_pipelines.reports.protocol import ReportSource

_ZERO = Decimal("0.00")
_NAMES = {
    "disbursement": "Loan paid out",
    "capitalization": "Interest and fees added to principal",
    "repayment": "Payment",
    "waiver": "Amount waived",
    "charge_off": "Charge-off",
    "write_off": "Write-off",
    "recovery": "Recovery",
    "refund": "Refund",
}
_CHARGED = ("disbursement", "capitalization", "refund")
"""The types that increase what the borrower owes; all others are paid or credited."""

_COUNTED_AS_RECOVERY = "Counted as recovery or not charged off"
"""The description of an entry for principal that the rules of charge-offs count differently."""

_CHARGED_OFF = "charged off"
_PAID, _PART, _LATE, _DUE, _NOT_DUE = "paid", "partly paid", "past due", "not due yet", "no longer due"

PAST_DUE = _LATE
"""The state of an installment that is due and not fully paid."""


@dataclass(frozen=True)
class Entry:
    """A transaction on a loan's account, either charged or paid. `change` is the change of the principal balance.

    A reversal has the opposite signs.
    """

    on: date
    description: str
    transaction_id: str | None
    charged: Decimal | None
    paid: Decimal | None
    principal: Decimal
    interest: Decimal
    fees: Decimal
    change: Decimal


def entries(source: ReportSource, loans: ir.Table, last: date) -> dict[str, list[Entry]]:
    """The transactions of the loans up to a day, by loan, in order.

    Args:
        source: The lake.
        loans: The loans, with loan_id.
        last: The last day.
    """
    transactions = source.table("transactions").semi_join(loans, "loan_id")
    rows = transactions.filter(transactions.effective_on <= last).to_pyarrow().to_pylist()
    found: dict[str, list[tuple[Any, Entry]]] = {}
    by_id = {row["transaction_id"]: row for row in rows}
    for row in rows:
        root, sign = _root(row, by_id)
        if root is not None:
            found.setdefault(row["loan_id"], []).append((_order(row, root), _entry(row, root, sign)))
    if any(row["type"] in events.CHARGE_OFFS for row in rows):
        # The rules of charge-offs can count a payment as recovery, and limit what is charged off.
        effects = charge_offs.effects(transactions, last).to_pyarrow().to_pylist()
        for effect in effects:
            if change := effect["principal"] + effect["not_taken"]:
                entry = Entry(effect["on"], _COUNTED_AS_RECOVERY, None, None, None, change, _ZERO, _ZERO, change)
                found.setdefault(effect["loan_id"], []).append(((effect["on"], 2), entry))
    return {loan: [entry for _, entry in sorted(listed, key=lambda each: each[0])] for loan, listed in found.items()}


def fee_entries(fees: Sequence[Mapping[str, Any]], last: date) -> list[tuple[date, str, Decimal, Decimal]]:
    """The fees assessed, waived and paid up to a day: the day, what happened, and the amounts charged and paid."""
    found = []
    for fee in fees:
        name = f"{fee['fee_type'].capitalize()} fee"
        for on, what, charged, paid in (
            (fee["assessed_on"], name, fee["amount"], _ZERO),
            (fee["waived_on"], f"{name} waived", _ZERO, fee["waived_amount"]),
            (fee["paid_on"], f"{name} paid", _ZERO, fee["paid_amount"]),
        ):
            if on is not None and on <= last and (charged or paid):
                found.append((on, fee["fee_id"], what, charged, paid))
    return [(on, what, charged, paid) for on, _, what, charged, paid in sorted(found, key=lambda each: each[:2])]


def schedule(
    installments: Sequence[dict[str, Any]], loan: Mapping[str, Any], day: date
) -> Iterator[tuple[dict[str, Any], Decimal, Decimal, str]]:
    """The installments of the schedule in force on a day, with what is paid of each, what is open, and its state.

    Payments settle principal and interest of the oldest installment first. When the principal is repaid, later
    installments are no longer due.

    Args:
        installments: All versions of the loan's installments.
        loan: The row of loan_positions of the day. What a charged-off loan did not pay is charged off, not past due.
        day: The day.
    """
    in_force = [row for row in installments if row["effective_on"] <= day]
    version = max((row["version"] for row in in_force), default=None)
    settled = max(loan["settled"], _ZERO)
    owed_in_all = owed(loan)
    before = _ZERO
    for row in sorted((row for row in in_force if row["version"] == version), key=itemgetter("due_on", "number")):
        due = row["principal"] + row["interest"]
        paid = min(due, max(settled - before, _ZERO))
        left = due - paid if owed_in_all is None else max(min(due, owed_in_all - before) - paid, _ZERO)
        before += due
        state = _NOT_DUE if due > paid + left else _state(row["due_on"], due, paid, day)
        yield row, paid, left, _CHARGED_OFF if loan["status"] == "charged_off" and state != _PAID else state


def owed(loan: Mapping[str, Any]) -> Decimal | None:
    """What a loan with repaid principal owes of its whole schedule; None while all of it falls due."""
    if loan["status"] == "closed":
        return max(loan["settled"], _ZERO)
    return loan["scheduled_due"] if loan["status"] == "active" and loan["principal_outstanding"] <= 0 else None


def _state(due_on: date, due: Decimal, paid: Decimal, day: date) -> str:
    """The state of an installment on the day, such as PAST_DUE."""
    if paid >= due:
        return _PAID if due or due_on <= day else _DUE
    if due_on < day:
        return _LATE
    return _PART if paid else _DUE


def _root(row: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, int]:
    """The original transaction of a row and the row's sign. A reversal leads to what it reverses; None if not found."""
    root: Mapping[str, Any] | None = row
    sign = 1
    for _ in range(events.LONGEST_CHAIN + 1):
        if root is None or root["type"] != "reversal":
            return root, sign
        root, sign = by_id.get(root["reverses_id"]), -sign
    return None, sign


def _order(row: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Any, ...]:
    """The sort key: by day, with charge-offs last on each day, as the definition of charge-offs says."""
    return row["effective_on"], int(root["type"] in events.CHARGE_OFFS), row["posted_at"], row["transaction_id"]


def _entry(row: Mapping[str, Any], root: Mapping[str, Any], sign: int) -> Entry:
    """The entry of a row whose original transaction is `root`."""
    description = _NAMES[root["type"]]
    if row is not root:
        undone = "Reversal" if sign < 0 else "Reversal undone"
        description = f"{undone}: {description.lower()} of {root['effective_on']}"
    amount, principal, interest, fees = (
        row[name] if sign > 0 else _ZERO - row[name] for name in ("amount", "principal", "interest", "fees")
    )
    owed = root["type"] in _CHARGED
    match root["type"]:
        case "disbursement" | "refund":
            change = principal
        case "capitalization":
            change = interest + fees
        case "recovery":
            change = _ZERO
        case _:
            change = _ZERO - principal
    return Entry(
        row["effective_on"],
        description,
        row["transaction_id"],
        amount if owed else None,
        None if owed else amount,
        principal,
        interest,
        fees,
        change,
    )
