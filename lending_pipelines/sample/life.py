"""The events of a chunk's loans by due date: payments, returned payments, waivers, charge-offs.

Every decision uses only earlier events, so a history can end on any day. habits.py draws the habits; modifying.py
changes terms.
"""

from dataclasses import dataclass

import numpy as np

from lending_pipelines.sample.columns import NO_DAY, Ints
from lending_pipelines.sample.events import (
    CHARGE_OFF,
    DISBURSEMENT,
    RECOVERY,
    REFUND,
    REPAYMENT,
    REVERSAL,
    WAIVER,
    WRITE_OFF,
    EventLog,
)
from lending_pipelines.sample.habits import AHEAD, FULL, MISS, NEVER, PART, Habits
from lending_pipelines.sample.schedules import Schedule

_RETURNED_SHARE = 0.008
_RETRIED_SHARE = 0.6
_WAIVED_SHARE = 0.04
_OVERPAID_SHARE = 0.03
_REFUNDED_SHARE = 0.8
_WRITTEN_OFF_SHARE = 0.18
_RECOVERED_SHARE = 0.5
_MOST_RECOVERIES = 6
_TAIL = (12, 40, 75)
"""Days after maturity on which the remaining debt may be paid."""


@dataclass
class Balances:
    """The state of each loan: settled amounts, amounts owed, the day of the last event, the start of delinquency."""

    interest: Ints
    principal: Ints
    outstanding: Ints
    last_event: Ints
    open: np.ndarray
    behind_since: Ints
    charged_off_on: Ints

    @property
    def settled(self) -> Ints:
        """Principal and interest settled."""
        return self.interest + self.principal


class Spells:
    """Times of delinquency after the days of grace: (loan, since, until) per row; until is NO_DAY while it lasts."""

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, Ints, Ints]] = []

    def add(self, loan: Ints, since: Ints, until: Ints) -> None:
        """Add spells. A spell that ends within its days of grace does not count."""
        lasting = until > since
        self._parts.append((loan[lasting], since[lasting], until[lasting]))

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """All spells, ordered by loan and day."""
        loan, since, until = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.lexsort((since, loan))
        return loan[order], since[order], until[order]


class Life:
    """The loans of a chunk from disbursement on. `live` processes them along a schedule."""

    def __init__(self, principal: Ints, disbursed: Ints, habits: Habits, random: np.random.Generator) -> None:
        size = len(principal)
        self.habits = habits
        self.log = EventLog()
        self.spells = Spells()
        self._random = random
        self._grace = random.integers(3, 7, size)
        never = np.full(size, NO_DAY)
        zero = np.zeros(size, dtype=np.int64)
        self.state = Balances(
            zero, zero.copy(), principal.copy(), disbursed.copy(), np.ones(size, dtype=bool), never, never.copy()
        )
        self.log.add(np.arange(size), DISBURSEMENT, disbursed, principal)

    def live(self, schedule: Schedule, first: Ints, stop: Ints) -> None:
        """Process the periods [first, stop) of each loan, up to its last period. `finish` processes what follows."""
        stop = np.minimum(stop, schedule.count)
        for period in range(schedule.width):
            rows = np.flatnonzero(self.state.open & (first <= period) & (period < stop))
            if rows.size:
                rows = self._charge_off(schedule, rows, schedule.due[rows, period])
                self._meet_due_date(schedule, rows, period)

    def finish(self, schedule: Schedule) -> None:
        """Process the time after maturity: late settlement, charge-off, or nothing; then recoveries."""
        for after in _TAIL:
            rows = np.flatnonzero(self.state.open)
            maturity = schedule.due[rows, schedule.count[rows] - 1]
            rows = self._charge_off(schedule, rows, maturity + after)
            pays = (self.habits.default_period[rows] == NEVER) & (self._random.random(len(rows)) < 0.5)
            rows = rows[pays]
            day = schedule.due[rows, schedule.count[rows] - 1] + after + self._random.integers(0, 20, len(rows))
            self._settle_all(schedule, rows, np.maximum(day, self.state.last_event[rows] + 1))
        rows = np.flatnonzero(self.state.open)
        self._charge_off(schedule, rows, np.full(len(rows), NO_DAY))
        behind = np.flatnonzero(self.state.open & (self.state.behind_since < NO_DAY))
        self.spells.add(behind, self.state.behind_since[behind], np.full(len(behind), NO_DAY))
        self._recover()

    def _charge_off(self, schedule: Schedule, rows: Ints, by: Ints) -> Ints:
        """Charge off the loans that are overdue for too long by that day. Returns the other loans."""
        state = self.state
        oldest = schedule.due[rows, schedule.unsettled(rows, state.settled[rows])]
        day = oldest + self.habits.charge_off_days[rows]
        gone = (day <= by) & (self.habits.charge_off_days[rows] < NEVER)
        left = rows[~gone]
        rows, day = rows[gone], np.maximum(day[gone], state.last_event[rows[gone]] + 1)
        kind = np.where(self._random.random(len(rows)) < _WRITTEN_OFF_SHARE, WRITE_OFF, CHARGE_OFF)
        earned = schedule.earned(rows, day - 1)
        interest = np.maximum(earned - state.interest[rows], 0)
        self.log.add(rows, kind, day, state.outstanding[rows], interest)
        since = np.minimum(state.behind_since[rows], day - 1)
        self.spells.add(rows, since, day)
        state.charged_off_on[rows] = np.where(kind == CHARGE_OFF, day, NO_DAY)
        state.open[rows] = False
        state.last_event[rows] = day
        return left

    def _meet_due_date(self, schedule: Schedule, rows: Ints, period: int) -> None:
        """Process a due date of the loans: prepayments, waivers, payments, and the start or end of delinquency."""
        state, habits = self.state, self.habits
        prepays = habits.prepay_period[rows] == period
        self._prepay(schedule, rows[prepays], schedule.due[rows[prepays], period])
        rows = rows[~prepays]
        due = schedule.due[rows, period]
        behind = schedule.cumulative[rows, period] - state.settled[rows] > schedule.total[rows, period]
        action = habits.actions(rows, period, behind)
        action = np.where(schedule.cumulative[rows, period] <= state.settled[rows], MISS, action)
        pays = action != MISS
        late = habits.days_late(rows, period, due - schedule.period_start[rows, period])
        day = np.maximum(due + late, state.last_event[rows] + 1)
        self._waive(schedule, rows[pays & behind], day[pays & behind], period)
        amount = self._amount(schedule, rows, period, action)
        paid = self._pay(schedule, rows[pays], day[pays], amount[pays])
        paid_on = np.full(len(rows), NO_DAY)
        paid_on[pays] = paid
        self._note_arrears(rows, due, schedule.cumulative[rows, period] <= state.settled[rows], paid_on)

    def _amount(self, schedule: Schedule, rows: Ints, period: int, action: Ints) -> Ints:
        """The amount that each borrower pays, by action; 0 for MISS."""
        settled = self.state.settled[rows]
        owed = schedule.cumulative[rows, period] - settled
        scheduled = schedule.total[rows, period]
        full = np.where(self.habits.catches_up(rows, period), owed, np.minimum(owed, scheduled))
        part = np.minimum(owed, (scheduled * (0.3 + 0.5 * self.habits.amount[rows, period])).astype(np.int64) + 100)
        further = np.minimum(period + 2, schedule.count[rows] - 1)
        ahead = schedule.cumulative[rows, further] - settled
        return np.select([action == FULL, action == PART, action == AHEAD], [full, part, ahead])

    def _waive(self, schedule: Schedule, rows: Ints, day: Ints, period: int) -> None:
        """Forgive half of the unpaid due interest of some borrowers when they start paying again."""
        chosen = self._random.random(len(rows)) < _WAIVED_SHARE
        rows, day = rows[chosen], day[chosen]
        interest = (schedule.cumulative_interest[rows, period] - self.state.interest[rows]) // 2
        rows, day, interest = rows[interest > 0], day[interest > 0], interest[interest > 0]
        self.log.add(rows, WAIVER, day, interest=interest)
        self.state.interest[rows] += interest

    def _pay(self, schedule: Schedule, rows: Ints, day: Ints, amount: Ints) -> Ints:
        """Pay amounts. Returns the day from which each payment is final, or NO_DAY for a returned payment."""
        principal, interest = self._split(schedule, rows, amount)
        returned = self._random.random(len(rows)) < _RETURNED_SHARE
        closes = (principal == self.state.outstanding[rows]) & ~returned
        excess = self._excess(rows, day, closes)
        paid = self.log.add(rows, REPAYMENT, day, principal + excess, interest)
        retried = self._random.random(len(rows)) < _RETRIED_SHARE
        back = day + self._random.integers(2, 9, len(rows))
        again = back + self._random.integers(1, 7, len(rows))
        self.log.add(
            rows[returned], REVERSAL, back[returned], principal[returned], interest[returned], reverses=paid[returned]
        )
        second = returned & retried
        self.log.add(rows[second], REPAYMENT, again[second], principal[second], interest[second])
        counts_on = np.where(returned, np.where(retried, again, NO_DAY), day)
        state = self.state
        state.last_event[rows] = np.where(returned & ~retried, back, counts_on)
        kept = counts_on < NO_DAY
        state.interest[rows] += np.where(kept, interest, 0)
        state.principal[rows] += np.where(kept, principal, 0)
        state.outstanding[rows] -= np.where(kept, principal, 0)
        self._close(rows[kept], counts_on[kept])
        return counts_on

    def _split(self, schedule: Schedule, rows: Ints, amount: Ints) -> tuple[Ints, Ints]:
        """Split a payment: oldest installment first, interest before principal, at most the principal outstanding."""
        within = schedule.interest_within(rows, self.state.settled[rows] + amount)
        interest = np.clip(within - self.state.interest[rows], 0, amount)
        interest = np.maximum(interest, amount - self.state.outstanding[rows])
        return amount - interest, interest

    def _prepay(self, schedule: Schedule, rows: Ints, due: Ints) -> None:
        """Pay all principal outstanding, with the interest earned by that day."""
        state = self.state
        day = np.maximum(due - self._random.integers(0, 15, len(rows)), state.last_event[rows] + 1)
        interest = np.maximum(schedule.earned(rows, day) - state.interest[rows], 0)
        principal = state.outstanding[rows]
        self.log.add(rows, REPAYMENT, day, principal, interest)
        state.interest[rows] += interest
        state.principal[rows] += principal
        state.outstanding[rows] = 0
        self._close(rows, day)
        self._note_arrears(rows, due, np.ones(len(rows), dtype=bool), day)

    def _settle_all(self, schedule: Schedule, rows: Ints, day: Ints) -> None:
        """Pay everything that is owed after maturity, and end the delinquency."""
        owed = schedule.cumulative[rows, -1] - self.state.settled[rows]
        paid = self._pay(schedule, rows, day, owed)
        since = self.state.behind_since[rows]
        ended = (paid < NO_DAY) & (since < NO_DAY)
        self.spells.add(rows[ended], since[ended], paid[ended])
        self.state.behind_since[rows[ended]] = NO_DAY

    def _close(self, rows: Ints, day: Ints) -> None:
        done = self.state.outstanding[rows] <= 0
        self.state.open[rows[done]] = False
        self.state.last_event[rows[done]] = day[done]

    def _excess(self, rows: Ints, day: Ints, closes: np.ndarray) -> Ints:
        """Overpayments with some last payments. Most of them are refunded."""
        over = closes & (self._random.random(len(rows)) < _OVERPAID_SHARE)
        excess = np.where(over, self._random.integers(1, 200, len(rows)) * 25, 0)
        back = over & (self._random.random(len(rows)) < _REFUNDED_SHARE)
        refunded_on = day + self._random.integers(2, 25, len(rows))
        self.log.add(rows[back], REFUND, refunded_on[back], excess[back])
        return excess

    def _note_arrears(self, rows: Ints, due: Ints, settled: np.ndarray, paid_on: Ints) -> None:
        """Record the start of delinquency of loans that are not settled, and the spells that a payment ends."""
        state = self.state
        since = state.behind_since[rows]
        begin = due + self._grace[rows]
        fresh = since >= NO_DAY
        cured = settled & (paid_on < NO_DAY) & ~fresh
        self.spells.add(rows[cured], since[cured], paid_on[cured])
        briefly = settled & fresh & (paid_on > begin) & (paid_on < NO_DAY)
        self.spells.add(rows[briefly], begin[briefly], paid_on[briefly])
        state.behind_since[rows] = np.where(settled, NO_DAY, np.where(fresh, begin, since))

    def _recover(self) -> None:
        """Recover part of the charged-off amounts in a few payments."""
        rows = np.flatnonzero(self.state.charged_off_on < NO_DAY)
        rows = rows[self._random.random(len(rows)) < _RECOVERED_SHARE]
        day = self.state.charged_off_on[rows]
        owed = self.state.outstanding[rows]
        payments = self._random.integers(1, _MOST_RECOVERIES + 1, len(rows))
        for number in range(_MOST_RECOVERIES):
            day = day + self._random.integers(25, 70, len(rows))
            amount = np.maximum((owed * self._random.uniform(0.02, 0.12, len(rows))).astype(np.int64), 100)
            pays = number < payments
            self.log.add(rows[pays], RECOVERY, day[pays], amount[pays])
