"""Interest earned per day over all loans, and the journal entries for it.

Earned, receivable and settled interest per loan and day follow the definitions. Interest settled before it is earned is
a liability. Interest earned but not settled when a loan is charged off is an expense. Therefore earned − settled =
receivable − unearned + lost, and one entry per day, product and currency ties all of them out.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import NO_DAY, Ints, moment
from lending_pipelines.sample.events import CHARGE_OFF, WRITE_OFF, Events
from lending_pipelines.sample.ledger import (
    CODES,
    INTEREST_INCOME,
    INTEREST_LOST,
    INTEREST_RECEIVABLE,
    UNEARNED,
    Entries,
)
from lending_pipelines.sample.lender import CURRENCIES, PRODUCTS
from lending_pipelines.sample.loans import Loans
from lending_pipelines.sample.modifying import Modifications
from lending_pipelines.sample.schedules import Schedule, earned_by
from lending_pipelines.sample.spec import SampleSpec

_BLOCK = 512
"""The number of loans computed at once: their days fit in the processor's cache."""

_EARNED, _UNEARNED, _LOST, _POSTED = range(4)


@dataclass(frozen=True)
class _Chunk:
    """The loans of a chunk and the inputs of their interest.

    `version` is a loan's row in the changes, or -1. `frozen` is the interest that a charged-off loan has earned.
    """

    loans: Loans
    schedule: Schedule
    changes: Modifications
    events: Events
    version: Ints
    charged_off_on: Ints
    frozen: Ints


class Accruals:
    """Totals per product, currency and day, from the day before the spec's first day to its last day."""

    def __init__(self, spec: SampleSpec) -> None:
        self._last_moment = spec.last_moment
        self._days = np.arange(spec.first_day - 1, spec.last_day + 1)
        self._totals = np.zeros((4, len(PRODUCTS) * len(CURRENCIES), len(self._days)), dtype=np.int64)

    def add(self, loans: Loans, schedule: Schedule, changes: Modifications, events: Events) -> None:
        """Add the loans of a chunk: their first schedules, the changed schedules, and their events."""
        size = len(loans.number)
        version = np.full(size, -1)
        version[changes.loan] = np.arange(len(changes.loan))
        gone = np.isin(events.kind, (CHARGE_OFF, WRITE_OFF))
        charged_off_on = np.full(size, NO_DAY)
        np.minimum.at(charged_off_on, events.loan[gone], events.day[gone])
        frozen = _earned_before(schedule, changes, version, charged_off_on)
        chunk = _Chunk(loans, schedule, changes, events, version, charged_off_on, frozen)
        flows = np.stack([events.interest_settled, events.principal_change, np.where(gone, events.interest, 0)])
        bounds = np.searchsorted(events.loan, np.arange(0, size + _BLOCK, _BLOCK))
        for begin, *part in zip(range(0, size, _BLOCK), bounds, bounds[1:], strict=False):
            rows = np.arange(begin, min(begin + _BLOCK, size))
            settled, outstanding, posted = self._running(events, slice(*part), flows, rows)
            states = *self._states(chunk, rows, settled, outstanding), posted
            group = loans.product[rows] * len(CURRENCIES) + loans.currency[rows]
            one_hot = (group == np.arange(self._totals.shape[1])[:, None]).astype(np.float64)
            for place, values in enumerate(states):
                # Sums of whole cents below 2**53 are exact in doubles, in any order.
                self._totals[place] += (one_hot @ values).astype(np.int64)

    def journal(self) -> pa.Table:
        """The opening entry, dated the day before the first day, and the entry of each later day."""
        change = np.diff(self._totals, axis=2, prepend=0)
        lost = change[_LOST] - change[_POSTED]
        receivable = change[_EARNED] + change[_UNEARNED] - lost
        lines = np.stack([receivable, lost, -change[_UNEARNED], -change[_EARNED]], axis=-1).transpose(1, 0, 2)
        days, groups, kinds = lines.shape
        accounts = [CODES.index(a) for a in (INTEREST_RECEIVABLE, INTEREST_LOST, UNEARNED, INTEREST_INCOME)]
        day = np.repeat(self._days, groups * kinds)
        return Entries(
            entry=np.repeat(np.arange(1, days * groups + 1), kinds),
            account=np.tile(accounts, days * groups),
            day=day,
            posted=np.minimum(moment(day + 1, 7_200), self._last_moment),
            debit=lines.reshape(-1),
            currency=np.tile(np.repeat(np.arange(groups) % len(CURRENCIES), kinds), days),
        ).table("A", "interest accrual")

    def _running(self, events: Events, part: slice, flows: Ints, rows: Ints) -> list[np.ndarray]:
        """Interest settled, principal outstanding and interest posted as lost, by loan and day."""
        width = len(self._days)
        column = np.maximum(events.day[part] - self._days[0], 0)
        place = (events.loan[part] - rows[0]) * width + column
        shape = len(rows), width
        return [np.bincount(place, flow[part], len(rows) * width).reshape(shape).cumsum(axis=1) for flow in flows]

    def _states(
        self, chunk: _Chunk, rows: Ints, settled: np.ndarray, outstanding: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Earned, unearned and lost interest by loan and day, depending on the loan's status on the day."""
        charged_off = self._days >= chunk.charged_off_on[rows][:, None]
        pending = self._days < chunk.loans.disbursed[rows][:, None]
        closed = ~charged_off & ~pending & (outstanding <= 0)
        active = ~(charged_off | pending | closed)
        earned = np.where(active, self._in_force(chunk, rows), 0)
        earned = np.where(charged_off, chunk.frozen[rows][:, None], np.where(closed, settled, earned))
        unearned = np.where(active, np.maximum(settled - earned, 0), 0)
        lost = np.where(charged_off, earned - settled, 0)
        return earned, unearned, lost

    def _in_force(self, chunk: _Chunk, rows: Ints) -> np.ndarray:
        """Interest earned under the schedule in force, by loan and day."""
        earned = self._scheduled(chunk.schedule, rows)
        changed = np.flatnonzero(chunk.version[rows] >= 0)
        if changed.size:
            version = chunk.version[rows[changed]]
            later = self._days >= chunk.changes.day[version][:, None]
            earned[changed] = np.where(later, self._scheduled(chunk.changes.schedule, version), earned[changed])
        return earned

    def _scheduled(self, schedule: Schedule, rows: Ints) -> np.ndarray:
        """Interest earned under one schedule, by loan and day."""
        width, size = len(self._days), len(rows)
        due, begin, interest = schedule.due[rows], schedule.period_start[rows], schedule.interest[rows]
        before = schedule.cumulative_interest[rows] - interest
        place = np.arange(size)[:, None] * (width + 1) + np.clip(due - self._days[0], 0, width)
        falls_due = np.bincount(place.ravel(), minlength=size * (width + 1)).reshape(size, width + 1)
        passed = falls_due[:, :width].cumsum(axis=1)
        last = schedule.count[rows] - 1
        period = np.take_along_axis(schedule.next_due[rows], np.minimum(passed, last[:, None]), axis=1)
        period += (np.arange(size) * schedule.width)[:, None]
        before, interest, start, length = (each.ravel()[period] for each in (before, interest, begin, due - begin))
        return earned_by(before, interest, start, length, self._days).astype(np.float64)


def _earned_before(schedule: Schedule, changes: Modifications, version: Ints, charged_off_on: Ints) -> Ints:
    """The interest earned by the day before the charge-off, under the schedule in force then; 0 for other loans."""
    frozen = np.zeros(len(version), dtype=np.int64)
    rows = np.flatnonzero(charged_off_on < NO_DAY)
    frozen[rows] = schedule.earned(rows, charged_off_on[rows] - 1)
    again = rows[version[rows] >= 0]
    again = again[changes.day[version[again]] < charged_off_on[again]]
    frozen[again] = changes.schedule.earned(version[again], charged_off_on[again] - 1)
    return frozen
