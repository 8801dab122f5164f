"""Interest earned, day by day, over all loans, and the entries that bring the ledger to it.

Per loan and day: earned, receivable and settled interest as the definitions have them. What is settled before it is
earned is a liability; what was earned and not settled when a loan was charged off is an expense. With these,
earned - settled = receivable - unearned + lost, so that one entry a day, product and currency ties all of them out.
"""

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
"""Loans whose days are computed at once: small enough for the processor's cache."""

_EARNED, _UNEARNED, _LOST, _POSTED = range(4)


class Accruals:
    """Totals per product, currency and day, from the day before the spec's first day to its last."""

    def __init__(self, spec: SampleSpec) -> None:
        self._days = np.arange(spec.first_day - 1, spec.last_day + 1)
        self._totals = np.zeros((4, len(PRODUCTS) * len(CURRENCIES), len(self._days)), dtype=np.int64)

    def add(self, loans: Loans, schedule: Schedule, changes: Modifications, events: Events) -> None:
        """Add the loans of a chunk: their first schedules, the changed ones, and their events."""
        size = len(loans.number)
        changed = np.full(size, -1)
        changed[changes.loan] = np.arange(len(changes.loan))
        charge_off = np.isin(events.kind, (CHARGE_OFF, WRITE_OFF))
        charged_off_on = np.full(size, NO_DAY)
        np.minimum.at(charged_off_on, events.loan[charge_off], events.day[charge_off])
        group = loans.product * len(CURRENCIES) + loans.currency
        flows = np.stack(
            [events.interest_settled, events.principal_change, np.where(charge_off, events.interest, 0)], axis=1
        )
        bounds = np.searchsorted(events.loan, np.arange(0, size + _BLOCK, _BLOCK))
        for block, begin in enumerate(range(0, size, _BLOCK)):
            rows = np.arange(begin, min(begin + _BLOCK, size))
            part = slice(bounds[block], bounds[block + 1])
            settled, outstanding, posted = self._running(events, part, flows[part], rows)
            scheduled = self._scheduled(schedule, rows)
            again = rows[changed[rows] >= 0]
            if again.size:
                version = changed[again]
                in_force = self._days >= changes.day[version][:, None]
                second = self._scheduled(changes.schedule, version)
                scheduled[again - begin] = np.where(in_force, second, scheduled[again - begin])
            earned, unearned, lost = self._states(
                scheduled, settled, outstanding, loans.disbursed[rows], charged_off_on[rows],
                self._frozen(schedule, changes, changed, rows, charged_off_on),
            )  # fmt: skip
            one_hot = (group[rows] == np.arange(self._totals.shape[1])[:, None]).astype(np.float64)
            for place, values in zip(
                (_EARNED, _UNEARNED, _LOST, _POSTED), (earned, unearned, lost, posted), strict=True
            ):
                # Sums of whole cents below 2**53 are exact in doubles, in any order.
                self._totals[place] += (one_hot @ values).astype(np.int64)

    def journal(self) -> pa.Table:
        """The opening entry, dated the day before the first day, and each later day's."""
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
            posted=moment(day + 1, 7_200),
            debit=lines.reshape(-1),
            currency=np.tile(np.repeat(np.arange(groups) % len(CURRENCIES), kinds), days),
        ).table("A", "interest accrual")

    def _running(self, events: Events, part: slice, flows: Ints, rows: Ints) -> list[np.ndarray]:
        """Interest settled, principal outstanding and interest posted as lost, by loan and day."""
        width = len(self._days)
        column = np.maximum(events.day[part] - self._days[0], 0)
        place = (events.loan[part] - rows[0]) * width + column
        return [
            np.bincount(place, flow, len(rows) * width).reshape(len(rows), width).cumsum(axis=1) for flow in flows.T
        ]

    def _scheduled(self, schedule: Schedule, rows: Ints) -> np.ndarray:
        """Interest earned by the schedule, by loan and day."""
        width, size = len(self._days), len(rows)
        due = schedule.due[rows]
        column = np.clip(due - self._days[0], 0, width)
        passed = np.bincount(
            (np.arange(size)[:, None] * (width + 1) + column).ravel(), minlength=size * (width + 1)
        ).reshape(size, width + 1)[:, :width].cumsum(axis=1)  # fmt: skip
        period = np.minimum(passed, schedule.count[rows][:, None] - 1) + (np.arange(size) * schedule.width)[:, None]
        begin, interest = schedule.period_start[rows], schedule.interest[rows]
        before = schedule.cumulative_interest[rows] - interest
        return earned_by(
            before.ravel()[period], interest.ravel()[period], begin.ravel()[period], (due - begin).ravel()[period],
            self._days,
        ).astype(np.float64)  # fmt: skip

    def _states(
        self,
        scheduled: np.ndarray,
        settled: np.ndarray,
        outstanding: np.ndarray,
        disbursed: Ints,
        charged_off_on: Ints,
        frozen: Ints,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Earned, unearned and lost interest by loan and day, by the loan's status on the day."""
        charged_off = self._days >= charged_off_on[:, None]
        pending = self._days < disbursed[:, None]
        closed = ~charged_off & ~pending & (outstanding <= 0)
        earned = np.where(charged_off, frozen[:, None], np.where(closed, settled, np.where(pending, 0, scheduled)))
        active = ~charged_off & ~pending & ~closed
        unearned = np.where(active, np.maximum(settled - earned, 0), 0)
        lost = np.where(charged_off, earned - settled, 0)
        return earned, unearned, lost

    def _frozen(
        self, schedule: Schedule, changes: Modifications, changed: Ints, rows: Ints, charged_off_on: Ints
    ) -> Ints:
        """What charged-off loans had earned the day before, by the schedule in force on that day; 0 for the rest."""
        frozen = np.zeros(len(rows), dtype=np.int64)
        gone = np.flatnonzero(charged_off_on[rows] < NO_DAY)
        day = charged_off_on[rows[gone]] - 1
        version = changed[rows[gone]]
        first = schedule.earned(rows[gone], day)
        if not len(changes.loan):
            frozen[gone] = first
            return frozen
        second = (version >= 0) & (changes.day[version] <= day)
        frozen[gone] = np.where(second, changes.schedule.earned(np.maximum(version, 0), day), first)
        return frozen
