"""Repayment schedules of many loans at once: due dates, level payments, and interest earned per day.

Payments are in other modules.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lending_pipelines.sample.columns import NO_DAY, Ints
from lending_pipelines.sample.lender import DAY_COUNTS, FREQUENCIES
from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES, Period

_PERIODS = [PAYMENT_FREQUENCIES[name] or Period(1) for name in FREQUENCIES]
_STEP_DAYS = np.array([period.days for period in _PERIODS])
_STEP_MONTHS = np.array([period.months for period in _PERIODS])
_PERIODS_A_YEAR = np.array([period.payments_a_year for period in _PERIODS])
BULLET = FREQUENCIES.index("bullet")


@dataclass(frozen=True)
class Terms:
    """The inputs of schedules, one element per loan; bullet_months is the term of a bullet loan."""

    start: Ints
    frequency: Ints
    bullet_months: Ints
    day_count: Ints

    def take(self, rows: Ints) -> "Terms":
        """The terms of some of the loans."""
        return Terms(self.start[rows], self.frequency[rows], self.bullet_months[rows], self.day_count[rows])

    def due_dates(self, numbers: Ints) -> Ints:
        """The due date of each installment number, (loans, n). Numbers count from 1; 0 is the start."""
        months = np.where(self.frequency == BULLET, self.bullet_months, _STEP_MONTHS[self.frequency])
        start = np.broadcast_to(self.start[:, None], numbers.shape)
        return add_months(start, months[:, None] * numbers) + _STEP_DAYS[self.frequency][:, None] * numbers

    def year_fractions(self, begin: Ints, end: Ints) -> np.ndarray:
        """The fraction of a year from begin to end, both (loans, n), by the loan's day count."""
        actual = (end - begin).astype(np.float64)
        thirty = _days_30_360(begin, end)
        code = self.day_count[:, None]
        return np.where(
            code == DAY_COUNTS.index("30/360"),
            thirty / 360,
            np.where(code == DAY_COUNTS.index("actual/365"), actual / 365, actual / 360),
        )


@dataclass(frozen=True)
class Schedule:
    """One schedule per loan as (loans, width) matrices. After `count` installments, due is NO_DAY and amounts are 0."""

    start: Ints
    count: Ints
    due: Ints
    principal: Ints
    interest: Ints

    @cached_property
    def total(self) -> Ints:
        """The scheduled amount of each installment."""
        return self.principal + self.interest

    @cached_property
    def cumulative(self) -> Ints:
        """The scheduled amounts up to and including each installment."""
        return self.total.cumsum(axis=1)

    @cached_property
    def cumulative_interest(self) -> Ints:
        """The interest up to and including each installment."""
        return self.interest.cumsum(axis=1)

    @cached_property
    def period_start(self) -> Ints:
        """The previous due date, or the start for the first installment. Installments of 0.00 have no due date."""
        due = np.where(self.total > 0, self.due, self.start[:, None])
        return np.maximum.accumulate(np.column_stack([self.start, due[:, :-1]]), axis=1)

    @cached_property
    def next_due(self) -> Ints:
        """The index of the next installment that is not 0.00, including itself. Its interest is accruing."""
        index = np.where(self.total > 0, np.arange(self.width), self.width - 1)
        return np.minimum.accumulate(index[:, ::-1], axis=1)[:, ::-1]

    @property
    def width(self) -> int:
        """The number of columns of the matrices."""
        return self.due.shape[1]

    def take(self, rows: Ints) -> "Schedule":
        """The schedules of some of the loans."""
        return Schedule(*(part[rows] for part in self._parts))

    def stacked(self, other: "Schedule") -> "Schedule":
        """The schedules with others of the same width appended as rows."""
        return Schedule(*(np.concatenate([mine, its]) for mine, its in zip(self._parts, other._parts, strict=True)))

    def replaced(self, rows: Ints, other: "Schedule") -> "Schedule":
        """The schedules with some rows replaced."""
        parts = [part.copy() for part in self._parts]
        for part, its in zip(parts, other._parts, strict=True):
            part[rows] = its
        return Schedule(*parts)

    @property
    def _parts(self) -> tuple[Ints, ...]:
        return self.start, self.count, self.due, self.principal, self.interest

    def unsettled(self, rows: Ints, settled: Ints) -> Ints:
        """The index of the oldest installment that `settled` does not cover; the last one if it covers all."""
        covered = (self.cumulative[rows] <= settled[:, None]).sum(axis=1)
        return np.minimum(covered, self.count[rows] - 1)

    def interest_within(self, rows: Ints, settled: Ints) -> Ints:
        """The interest in a settled amount: oldest installment first, interest before principal."""
        index = self.unsettled(rows, settled)
        interest = self.interest[rows, index]
        before_interest = self.cumulative_interest[rows, index] - interest
        before = self.cumulative[rows, index] - self.total[rows, index]
        return before_interest + np.clip(settled - before, 0, interest)

    def earned(self, rows: Ints, day: Ints) -> Ints:
        """Interest earned by the end of one day per row: full periods, and the elapsed part of the current one."""
        index = (self.due[rows] <= day[:, None]).sum(axis=1)
        index = self.next_due[rows, np.minimum(index, self.count[rows] - 1)]
        begin, due = self.period_start[rows, index], self.due[rows, index]
        interest = self.interest[rows, index]
        return earned_by(self.cumulative_interest[rows, index] - interest, interest, begin, due - begin, day)


def earned_by(before: Ints, interest: Ints, begin: Ints, length: Ints, day: Ints) -> Ints:
    """before + interest × days elapsed ÷ length, in whole cents, half to even."""
    numerator = before * length + interest * np.clip(day - begin, 0, length)
    quotient = numerator // length
    twice = 2 * (numerator - quotient * length)
    return quotient + ((twice > length) | ((twice == length) & (quotient & 1 == 1)))


def level_schedule(terms: Terms, principal: Ints, rate: Ints, count: Ints, width: int) -> Schedule:
    """Level payments from the start. The last installment absorbs the rounding."""
    numbers = np.broadcast_to(np.arange(1, width + 1), (len(count), width))
    due = np.where(numbers <= count[:, None], terms.due_dates(numbers), NO_DAY)
    begin = np.column_stack([terms.start, due[:, :-1]])
    principals, interests = amortise(terms, principal, rate, count, begin, due, np.zeros_like(count))
    return Schedule(terms.start, count, due, principals, interests)


def amortise(
    terms: Terms, balance: Ints, rate: Ints, count: Ints, begin: Ints, due: Ints, interest_only: Ints
) -> tuple[Ints, Ints]:
    """Principal and interest of `count` payments that reduce the balance to 0.

    The first `interest_only` payments have no principal. `rate` is in millionths per year. `begin` and `due` are the
    bounds of each period, (loans, width).
    """
    annual = rate / 1e6
    years = terms.year_fractions(begin, np.where(due >= NO_DAY, begin, due))
    a_period = annual / _PERIODS_A_YEAR[terms.frequency]
    paying = count - interest_only
    level = np.rint(balance * a_period / (1 - (1 + a_period) ** -paying)).astype(np.int64)
    principals, interests = np.zeros_like(due), np.zeros_like(due)
    left = balance.copy()
    for k in range(due.shape[1]):
        interest = np.where(k < count, np.rint(left * annual * years[:, k]), 0).astype(np.int64)
        principal = np.clip(level - interest, 0, left)
        principal = np.where(k == count - 1, left, np.where((k < interest_only) | (k >= count), 0, principal))
        principals[:, k], interests[:, k] = principal, interest
        left = left - principal
    return principals, interests


def add_months(day: Ints, months: Ints) -> Ints:
    """The same day `months` later, or the last day of a shorter month."""
    month = day.astype("datetime64[D]").astype("datetime64[M]")
    of_month = day - _first_day(month)
    target = month + months.astype("timedelta64[M]")
    first = _first_day(target)
    length = _first_day(target + np.timedelta64(1, "M")) - first
    return first + np.minimum(of_month, length - 1)


def _first_day(month: np.ndarray) -> Ints:
    return month.astype("datetime64[D]").astype(np.int64)


def _days_30_360(begin: Ints, end: Ints) -> np.ndarray:
    begin_month, begin_day = _month_and_day(begin)
    end_month, end_day = _month_and_day(end)
    begin_day = np.minimum(begin_day, 30)
    end_day = np.where((end_day == 31) & (begin_day == 30), 30, end_day)
    return (30 * (end_month - begin_month) + end_day - begin_day).astype(np.float64)


def _month_and_day(day: Ints) -> tuple[Ints, Ints]:
    month = np.minimum(day, NO_DAY).astype("datetime64[D]").astype("datetime64[M]")
    return month.astype(np.int64), day - _first_day(month) + 1
