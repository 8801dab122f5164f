"""Collections on past due loans: assignments, contacts, and promises to pay."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import NO_DAY, Ints, days, ids, instants, labels, moment, money, pick, table
from lending_pipelines.sample.events import CHARGE_OFF, REPAYMENT, Events
from lending_pipelines.sample.lender import Lender, staff_ids
from lending_pipelines.sample.loans import Loans

_QUEUES = ("early", "late", "recovery")
_EARLY, _LATE, _RECOVERY = range(len(_QUEUES))
_LATE_AFTER_DAYS = 45
"""The days after which a loan moves from the early to the late queue."""
_CHANNELS = ("call", "sms", "email", "visit")
_OUTCOMES = ("right_party", "wrong_party", "no_answer", "left_message")
_RIGHT_PARTY = _OUTCOMES.index("right_party")
_DAYS_BETWEEN_CONTACTS = 9
_MOST_CONTACTS = 6
_PROMISED_SHARE = 0.45
"""The share of right-party contacts with a promise to pay."""


def collections_tables(
    lender: Lender, loans: Loans, late: tuple[Ints, Ints, Ints], events: Events, payment: Ints, first_numbers: Ints
) -> Iterator[tuple[str, pa.Table]]:
    """Assignments, contacts and promises.

    Args:
        lender: The lender.
        loans: The loans of a chunk.
        late: The spells of delinquency.
        events: The events of the loans.
        payment: The amount of each loan's first installment.
        first_numbers: The number in the id of the first contact and of the first promise.
    """
    spec = lender.spec
    random = spec.random("collections", int(loans.number[0]))
    loan, since, until, queue = _assignments(late, events, spec.last_day)
    collector = lender.collectors[loans.branch[loan], (loans.number[loan] + queue) % lender.collectors_each]
    yield (
        "collection_assignments",
        table(
            "collection_assignments",
            loan_id=ids("L", loans.number[loan]),
            assigned_on=days(since),
            collector_id=staff_ids(collector),
            queue=labels(_QUEUES, queue),
            released_on=days(until),
        ),
    )
    row, day = _contact_days(since, np.minimum(until, spec.last_day + 1), random)
    outcome = pick(random, len(row), (0.38, 0.07, 0.35, 0.2))
    yield (
        "collection_contacts",
        table(
            "collection_contacts",
            contact_id=ids("CC", first_numbers[0] + np.arange(len(row))),
            loan_id=ids("L", loans.number[loan[row]]),
            collector_id=staff_ids(collector[row]),
            queue=labels(_QUEUES, queue[row]),
            contacted_at=instants(moment(day, random.integers(8 * 3600, 19 * 3600, len(row)))),
            channel=labels(_CHANNELS, pick(random, len(row), (0.55, 0.25, 0.12, 0.08))),
            outcome=labels(_OUTCOMES, outcome),
        ),
    )
    promising = (outcome == _RIGHT_PARTY) & (random.random(len(row)) < _PROMISED_SHARE) & (queue[row] != _RECOVERY)
    row, day = row[promising], day[promising]
    due = day + random.integers(3, 11, len(row))
    paid = _first_payment(events, loan[row], day, spec.last_day)
    kept = np.where(paid <= due, paid, NO_DAY)
    broken = np.where((kept >= NO_DAY) & (due < spec.last_day), due + 1, NO_DAY)
    yield (
        "promises_to_pay",
        table(
            "promises_to_pay",
            promise_id=ids("PP", first_numbers[1] + np.arange(len(row))),
            loan_id=ids("L", loans.number[loan[row]]),
            collector_id=staff_ids(collector[row]),
            queue=labels(_QUEUES, queue[row]),
            promised_on=days(day),
            due_on=days(due),
            amount=money(payment[loan[row]]),
            kept_on=days(kept),
            broken_on=days(broken),
        ),
    )


def _assignments(late: tuple[Ints, Ints, Ints], events: Events, last_day: int) -> tuple[Ints, Ints, Ints, Ints]:
    """(loan, since, until, queue), ordered by loan and day. `until` is NO_DAY while the assignment lasts."""
    loan, since, until = late
    charged_off = events.kind == CHARGE_OFF
    lasting = until > since + _LATE_AFTER_DAYS
    parts = [
        (loan, since, np.where(lasting, since + _LATE_AFTER_DAYS, until), np.full(len(loan), _EARLY)),
        (loan[lasting], since[lasting] + _LATE_AFTER_DAYS, until[lasting], np.full(int(lasting.sum()), _LATE)),
        (
            events.loan[charged_off],
            events.day[charged_off],
            np.full(int(charged_off.sum()), NO_DAY),
            np.full(int(charged_off.sum()), _RECOVERY),
        ),
    ]
    loan, since, until, queue = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((since, loan))
    order = order[since[order] <= last_day]
    until = np.where(until <= last_day, until, NO_DAY)
    return loan[order], since[order], until[order], queue[order]


def _contact_days(since: Ints, end: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
    """(assignment, day) of each attempt: about one every nine days until the assignment ends."""
    attempts = np.minimum(1 + (end - since) // _DAYS_BETWEEN_CONTACTS, _MOST_CONTACTS)
    row = np.repeat(np.arange(len(since)), attempts)
    number = np.arange(len(row)) - np.repeat(attempts.cumsum() - attempts, attempts)
    day = since[row] + number * _DAYS_BETWEEN_CONTACTS + random.integers(0, 4, len(row))
    inside = day < end[row]
    return row[inside], day[inside]


def _first_payment(events: Events, loan: Ints, day: Ints, last_day: int) -> Ints:
    """The day of the loan's first repayment after `day` that is not reversed; NO_DAY if there is none."""
    takes = (events.kind == REPAYMENT) & ~events.undone & (events.day <= last_day)
    key = events.loan[takes] * NO_DAY + events.day[takes]
    if not len(key):
        return np.full(len(loan), NO_DAY)
    index = np.searchsorted(key, loan * NO_DAY + day, side="right")
    position = np.minimum(index, len(key) - 1)
    same = (index < len(key)) & (key[position] // NO_DAY == loan)
    return np.where(same, key[position] % NO_DAY, NO_DAY)
