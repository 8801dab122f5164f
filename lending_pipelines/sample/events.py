"""The money events of a chunk's loans as a log, and in order with ids as transactions.

life.py and fees.py decide the events; ledger.py posts them.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import (
    Ints,
    days,
    ids,
    instants,
    labels,
    moment,
    money,
    pick,
    table,
)
from lending_pipelines.sample.spec import SampleSpec
from lending_pipelines.tables.servicing import TRANSACTION_TYPES

(DISBURSEMENT, CAPITALIZATION, REPAYMENT, WAIVER, CHARGE_OFF, WRITE_OFF, RECOVERY, REFUND, REVERSAL) = range(
    len(TRANSACTION_TYPES)
)
_CHANNELS = ("bank_transfer", "card", "mobile_money", "cash", "direct_debit")
_CHANNEL_SHARES = (0.35, 0.15, 0.25, 0.1, 0.15)
_BACKDATED_SHARE = 0.012
"""The share of repayments that are posted days after they took effect."""


class EventLog:
    """Events in the order in which they are decided, one array per call.

    A position is the index of an event in the log.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, ...]] = []
        self._size = 0

    def add(
        self,
        loan: Ints,
        kind: int | Ints,
        day: Ints,
        principal: Ints | int = 0,
        interest: Ints | int = 0,
        fees: Ints | int = 0,
        reverses: Ints | int = -1,
    ) -> Ints:
        """Log one event per loan and return the positions. `reverses` contains positions."""
        columns = (kind, day, principal, interest, fees, reverses)
        self._parts.append((loan, *(np.broadcast_to(np.asarray(c, np.int64), loan.shape) for c in columns)))
        positions = np.arange(self._size, self._size + len(loan))
        self._size += len(loan)
        return positions

    def arrays(self) -> "Events":
        """All logged events, in order."""
        return Events(*(np.concatenate(column) for column in zip(*self._parts, strict=True)))


@dataclass
class Events:
    """Events as arrays; `reverses` is an index into them, or -1."""

    loan: Ints
    kind: Ints
    day: Ints
    principal: Ints
    interest: Ints
    fees: Ints
    reverses: Ints

    def ordered_until(self, last_day: int) -> "Events":
        """The events up to last_day, ordered by loan and day. A reversed event comes before its reversal."""
        order = np.lexsort((self.day, self.loan))
        order = order[self.day[order] <= last_day]
        place = np.full(len(self.loan), -1)
        place[order] = np.arange(len(order))
        reverses = self.reverses[order]
        return Events(
            self.loan[order],
            self.kind[order],
            self.day[order],
            self.principal[order],
            self.interest[order],
            self.fees[order],
            np.where(reverses >= 0, place[reverses], -1),
        )

    @property
    def effective_kind(self) -> Ints:
        """The type of the event; for a reversal, the type of the reversed event."""
        return np.where(self.reverses >= 0, self.kind[self.reverses], self.kind)

    @property
    def sign(self) -> Ints:
        """-1 for a reversal, 1 for other events."""
        return np.where(self.reverses >= 0, -1, 1)

    @property
    def undone(self) -> np.ndarray:
        """Whether the event is reversed later."""
        undone = np.zeros(len(self.kind), dtype=bool)
        undone[self.reverses[self.reverses >= 0]] = True
        return undone

    @property
    def interest_settled(self) -> Ints:
        """The change of settled interest by each event: repayments − refunds + waivers + capitalizations."""
        kind = self.effective_kind
        plus = np.isin(kind, (REPAYMENT, WAIVER, CAPITALIZATION))
        return self.sign * self.interest * (plus.astype(np.int64) - (kind == REFUND))

    @property
    def principal_change(self) -> Ints:
        """The change of principal outstanding by each event."""
        kind = self.effective_kind
        change = np.where((kind == DISBURSEMENT) | (kind == REFUND), self.principal, 0)
        change = np.where(kind == CAPITALIZATION, self.interest + self.fees, change)
        down = np.isin(kind, (REPAYMENT, WAIVER, CHARGE_OFF, WRITE_OFF))
        return self.sign * np.where(down, -self.principal, change)


def posting_times(events: Events, spec: SampleSpec, random: np.random.Generator) -> Ints:
    """The posting time of each event: mostly the same day, else early next morning. A few repayments are backdated."""
    size = len(events.day)
    same_day = random.random(size) < 0.85
    seconds = np.where(same_day, random.integers(7 * 3600, 22 * 3600, size), random.integers(600, 19_800, size))
    backdated = (random.random(size) < _BACKDATED_SHARE) & (events.kind == REPAYMENT) & ~events.undone
    lag = np.where(backdated, random.integers(3, 26, size), np.where(same_day, 0, 1))
    return np.minimum(moment(events.day + lag, seconds), spec.last_moment)


def transactions_table(
    events: Events, posted: Ints, loan_ids: pa.Array, numbers: Ints, random: np.random.Generator
) -> pa.Table:
    """The transactions of settled events; `numbers` are the numbers in their ids."""
    cash = np.isin(events.kind, (DISBURSEMENT, REPAYMENT, RECOVERY, REFUND))
    channel = pick(random, len(numbers), _CHANNEL_SHARES)
    return table(
        "transactions",
        transaction_id=ids("T", numbers),
        loan_id=loan_ids.take(pa.array(events.loan)),
        type=labels(TRANSACTION_TYPES, events.kind),
        effective_on=days(events.day),
        posted_at=instants(posted),
        amount=money(events.principal + events.interest + events.fees),
        principal=money(events.principal),
        interest=money(events.interest),
        fees=money(events.fees),
        channel=labels(_CHANNELS, np.where(cash, channel, -1)),
        reverses_id=ids("T", np.where(events.reverses >= 0, numbers[events.reverses], -1)),
    )
