"""Compares the charge-offs and delinquency that the tape reports with those computed from its transactions.

The tape has no payment dates and no due dates: payments count at the period end, and installments fall due at month
ends (terms.py). Days past due can therefore differ from the servicer's by up to a month. Larger differences are
counted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate

from lending_pipelines.sources.absee.events import ZERO, loan_transactions, settles
from lending_pipelines.sources.absee.tape import Tape, TapeLoan, TapeMonth
from lending_pipelines.sources.absee.terms import installments

DAYS_APART = 31
"""Days past due that differ by at most this number count as equal."""

SHOWN = 5
"""The number of loan-months that a note lists."""


def differences(tape: Tape) -> dict[str, str]:
    """The differences between reported and computed values: one sentence per subject."""
    pairs = list(_pairs(tape))
    amounts = [
        (month, month.charged_off, charged_off) for month, charged_off, _ in pairs if month.charged_off is not None
    ]
    days = [(month, month.days_delinquent, late) for month, _, late in pairs if month.days_delinquent is not None]
    sentences = {
        "charge_offs": _difference(amounts, [row for row in amounts if row[1] != row[2]], "charged off"),
        "days_past_due": _difference(days, [row for row in days if abs(row[1] - row[2]) > DAYS_APART], "days past due"),
    }
    return {subject: sentence for subject, sentence in sentences.items() if sentence}


def _pairs(tape: Tape) -> Iterator[tuple[TapeMonth, Decimal, int]]:
    """The months of the loans of which any month reports something, as `_compared` returns them."""
    for loan in tape.loans:
        months = tape.months.get(loan.asset_number, ())
        if any(map(_reports, months)):
            yield from _compared(loan, months, list(loan_transactions(loan, months)))


def _reports(month: TapeMonth) -> bool:
    """Whether the tape says what was charged off in the month, or how late the loan is. Many tapes say neither."""
    return month.charged_off is not None or month.days_delinquent is not None


def _difference(compared: Sequence[tuple], apart: Sequence[tuple], what: str) -> str:
    """The sentence on one subject: how many loan-months differ, with the first ones. Empty if none was compared."""
    if not compared:
        return ""
    sentence = f"{len(apart):,} of {len(compared):,} loan-months differ"
    if not apart:
        return sentence
    shown = (
        f"assetNumber={month.asset_number} {month.period_end}: {reported} {what} reported, {ours} booked"
        for month, reported, ours in apart[:SHOWN]
    )
    return f"{sentence}: {'; '.join(shown)}"


def _compared(
    loan: TapeLoan, months: Sequence[TapeMonth], rows: Sequence[dict]
) -> Iterator[tuple[TapeMonth, Decimal, int]]:
    """Each month with its computed charge-offs and the computed days past due at its end."""
    schedule = list(installments([loan]))
    due_on = [row["due_on"] for row in schedule]
    due = list(accumulate(row["principal"] + row["interest"] for row in schedule))
    settled, remaining = ZERO, list(rows)
    for month in months:
        charged_off = ZERO
        while remaining and remaining[0]["effective_on"] <= month.period_end:
            row = remaining.pop(0)
            if row["type"] == "charge_off":
                charged_off += row["principal"]
            settled += settles([row])
        owes = month.closing_balance is None or month.closing_balance > 0
        yield month, charged_off, _days_past_due(due_on, due, settled, month.period_end) if owes else 0


def _days_past_due(due_on: Sequence[date], due: Sequence[Decimal], settled: Decimal, on: date) -> int:
    """Days since the due date of the oldest installment that is not fully settled."""
    oldest = bisect_right(due, settled)
    if oldest == len(due_on) or due_on[oldest] >= on:
        return 0
    return (on - due_on[oldest]).days
