"""Fees of a chunk's loans: assessed, waived, and paid with a repayment.

Fees do not change the amount due on the schedule. A paid fee is the fees component of a repayment, a waived fee that of
a waiver.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import NO_DAY, Ints, days, ids, instants, labels, moment, money, table
from lending_pipelines.sample.events import REPAYMENT, REVERSAL, WAIVER, EventLog, Events
from lending_pipelines.sample.lender import PRODUCTS
from lending_pipelines.sample.loans import Loans
from lending_pipelines.sample.spec import SampleSpec

FEE_TYPES = ("processing", "origination", "late", "nsf", "servicing", "other")
PROCESSING, ORIGINATION, LATE, NSF, SERVICING_FEE, OTHER = range(len(FEE_TYPES))

_PROCESSING_RATE = np.array([p.processing_fee for p in PRODUCTS])
_ORIGINATION_RATE = np.array([p.origination_fee for p in PRODUCTS])
_YEARLY_FEE = np.array([p.servicing_fee * 100 for p in PRODUCTS])
_YEARS = 5
"""The maximum number of yearly servicing fees of a loan."""
_LATE_FEE, _NSF_FEE, _OTHER_FEE = 1_500, 2_500, 1_000
_LATE_FEE_SHARE = 0.5
_OTHER_SHARE = 0.02
# By fee type, the probability of a waiver and of payment with the next repayment. The remaining fees stay unpaid.
_WAIVED = np.array([0.01, 0.0, 0.18, 0.1, 0.03, 0.05])
_PAID = np.array([0.98, 1.0, 0.62, 0.75, 0.95, 0.8])


@dataclass(frozen=True)
class Fees:
    """Fees as arrays. waived_on is NO_DAY for a fee that is not waived, paid_on for one that is not paid."""

    loan: Ints
    kind: Ints
    amount: Ints
    assessed_on: Ints
    waived_on: Ints
    paid_on: Ints


def processing_fee(loans: Loans) -> Ints:
    """The fee scheduled with the first installment."""
    return np.rint(loans.principal * _PROCESSING_RATE[loans.product]).astype(np.int64)


def charge_fees(
    loans: Loans, log: EventLog, late: tuple[Ints, Ints, Ints], random: np.random.Generator, spec: SampleSpec
) -> tuple[Events, Fees]:
    """Add fees to the log's events. Returns the events and the fees; `late` are the spells of delinquency."""
    origination = np.rint(loans.principal * _ORIGINATION_RATE[loans.product]).astype(np.int64)
    has = np.flatnonzero(origination)
    log.add(has, REPAYMENT, loans.disbursed[has], fees=origination[has])
    loan, kind, amount, day = _assessed(loans, log.arrays(), late, random)
    fate = random.random(len(loan))
    waived_on = np.where(fate < _WAIVED[kind], day + random.integers(2, 21, len(loan)), NO_DAY)
    waived_on = np.where(waived_on <= spec.last_day, waived_on, NO_DAY)
    waived = np.flatnonzero(waived_on < NO_DAY)
    log.add(loan[waived], WAIVER, waived_on[waived], fees=amount[waived])
    events = log.arrays()
    paid_on = np.full(len(loan), NO_DAY)
    pays = (fate >= _WAIVED[kind]) & (fate < _WAIVED[kind] + _PAID[kind])
    pays &= kind != ORIGINATION
    paid_on[pays] = _pay_with_next(events, loan[pays], day[pays], amount[pays], spec.last_day)
    all_loans = np.concatenate([loan, has])
    order = np.lexsort((np.concatenate([day, loans.disbursed[has]]), all_loans))
    return events, Fees(
        all_loans[order],
        np.concatenate([kind, np.full(len(has), ORIGINATION)])[order],
        np.concatenate([amount, origination[has]])[order],
        np.concatenate([day, loans.disbursed[has]])[order],
        np.concatenate([waived_on, np.full(len(has), NO_DAY)])[order],
        np.concatenate([paid_on, loans.disbursed[has]])[order],
    )


def fees_table(
    fees: Fees, loan_ids: pa.Array, first_number: int, last_day: int, random: np.random.Generator
) -> pa.Table:
    """The fees assessed by last_day."""
    known = fees.assessed_on <= last_day
    loan, kind, amount = fees.loan[known], fees.kind[known], fees.amount[known]
    waived_on, paid_on = fees.waived_on[known], fees.paid_on[known]
    posted = moment(fees.assessed_on[known], random.integers(7 * 3600, 22 * 3600, len(loan)))
    return table(
        "fees",
        fee_id=ids("F", first_number + np.arange(len(loan))),
        loan_id=loan_ids.take(pa.array(loan)),
        fee_type=labels(FEE_TYPES, kind),
        amount=money(amount),
        assessed_on=days(fees.assessed_on[known]),
        waived_amount=money(np.where(waived_on < NO_DAY, amount, 0)),
        waived_on=days(waived_on),
        paid_amount=money(np.where(paid_on < NO_DAY, amount, 0)),
        paid_on=days(paid_on),
        posted_at=instants(posted),
    )


def _assessed(
    loans: Loans, events: Events, late: tuple[Ints, Ints, Ints], random: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """(loan, type, amount, day) of each fee except origination fees, which are paid at disbursement."""
    everyone = np.arange(len(loans.number))
    processing = processing_fee(loans)
    with_processing = everyone[processing > 0]
    late_loan, late_since, _ = late
    charged = random.random(len(late_loan)) < _LATE_FEE_SHARE
    returned = events.kind == REVERSAL
    odd = everyone[random.random(len(everyone)) < _OTHER_SHARE]
    ends = np.zeros(len(everyone), dtype=np.int64)
    np.maximum.at(ends, events.loan, events.day)
    parts = [
        (with_processing, PROCESSING, processing[with_processing], loans.disbursed[with_processing]),
        (late_loan[charged], LATE, _LATE_FEE, late_since[charged]),
        (events.loan[returned], NSF, _NSF_FEE, events.day[returned]),
        (odd, OTHER, _OTHER_FEE, loans.disbursed[odd] + random.integers(30, 150, len(odd))),
    ]
    for year in range(1, _YEARS + 1):
        day = loans.disbursed + 365 * year
        serviced = everyone[(_YEARLY_FEE[loans.product] > 0) & (day < ends)]
        parts.append((serviced, SERVICING_FEE, _YEARLY_FEE[loans.product[serviced]], day[serviced]))
    filled = [[np.broadcast_to(np.asarray(column, np.int64), part[0].shape) for column in part] for part in parts]
    loan, kind, amount, day = (np.concatenate(column) for column in zip(*filled, strict=True))
    return loan, kind, amount, day


def _pay_with_next(events: Events, loan: Ints, day: Ints, amount: Ints, last_day: int) -> Ints:
    """Add each fee to the loan's next repayment that is not reversed. Returns the day of that repayment, or NO_DAY."""
    takes = (events.kind == REPAYMENT) & ~events.undone & (events.principal + events.interest > 0)
    takes &= events.day <= last_day
    payments = np.flatnonzero(takes)
    payments = payments[np.lexsort((events.day[payments], events.loan[payments]))]
    key = events.loan[payments] * NO_DAY + events.day[payments]
    index = np.searchsorted(key, loan * NO_DAY + day)
    has_payment = index < len(payments)
    payment = payments[np.minimum(index, len(payments) - 1)] if len(payments) else np.zeros_like(loan)
    has_payment &= events.loan[payment] == loan
    np.add.at(events.fees, payment[has_payment], amount[has_payment])
    return np.where(has_payment, events.day[payment], NO_DAY)
