"""The internal rate of return of dated flows, as Excel's XIRR.

It is the rate at which Σ amount ÷ (1 + rate)^(days from the first flow ÷ 365) = 0. pyxirr finds the rate. A rate is
accepted if it solves the equation and is proven to be the only solution. If pyxirr finds no such rate, this module
searches the whole range of rates. returns.py selects the flows.

Measured with pyxirr 0.10.8: it takes 4 µs for a loan of 3 flows and 29 µs for 545 flows, or 12 µs with a start close to
the solution. For rates below -90 % it can take 100 ms, find no rate, or return a wrong one, so it is not called for
these. It also returns wrong rates for flows that start with a zero amount, and where two rates coincide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import floor, log10

import numpy as np
import pyxirr

ONE_SIGN = "no sign change: the flows are all in or all out"
NO_ROOT = "no rate makes the flows worth zero"

DAYS_A_YEAR = 365
DECIMALS = 11
"""The decimals of a rate. A rate of 100 % or more has DECIMALS + 1 significant digits."""

Answer = tuple[float | None, str | None]
"""An annual rate as a fraction, and the reason if there is none."""

# Rates are searched as x = -log(1 + rate): a flow after t years is worth amount × exp(x × t).
_PYXIRR_LOWEST = -np.log1p(-0.9)
# Two flows one day apart, one 10^22 times the other, have their rate at x = 365 × log(10^22) = 18,490, within _MOST.
_LEAST, _NEAR, _MOST = -600, 14, 20_000
# Tolerances, as shares of the sum of absolute present values: for a rate, for a grid point near a rate, and for a point
# where two rates coincide.
_WORTHLESS, _NEAR_ZERO, _TOUCHES = 1e-9, 1e-3, 1e-13
# The precision of x, the step to which x is rounded, and the maximum number of iterations.
_EXACT, _STEP, _ROUNDS = 1e-13, 1e-12, 100
# A present value of exp(-25) relative to another one still counts.
_SEEN = 25


def _grid(low: float, high: float, points: int) -> np.ndarray:
    """Numbers from low to high: 0.004 apart near 0, and the distance grows by a sixth at each step far from it."""
    return 0.025 * np.sinh(np.linspace(np.arcsinh(low / 0.025), np.arcsinh(high / 0.025), points))


# The rates nearest to zero first: from -99.9999 % to 120,000,000 %, then the others.
_GRIDS = (_grid(-_NEAR, _NEAR, 89), np.append(_grid(_LEAST, -_NEAR, 25), _grid(_NEAR, _MOST, 46)))


def xirr(dates: Sequence[date] | np.ndarray, amounts: Sequence[float] | np.ndarray) -> Answer:
    """XIRR of dated flows.

    Args:
        dates: The dates of the flows, in any order.
        amounts: The flows: outflows negative, inflows positive.
    """
    on, flows = np.asarray(dates, dtype="datetime64[D]"), np.asarray(amounts, dtype=float)
    return xirrs(np.zeros(min(flows.size, 1), dtype=int), on, flows)[0] if flows.size else (None, ONE_SIGN)


def xirrs(starts: np.ndarray, on: np.ndarray, flows: np.ndarray, in_a_row: bool = False) -> list[Answer]:
    """XIRR of many sets of flows.

    Args:
        starts: The start of each set: set n is flows[starts[n]:starts[n + 1]]. No set is empty.
        on: The days of the flows (datetime64[D]), in any order within a set.
        flows: The flows: outflows negative, inflows positive.
        in_a_row: Whether the sets are consecutive days of one book, so that each rate is close to the one before. This
            saves time and does not change results.
    """
    two_signed = (np.minimum.reduceat(flows, starts) < 0) & (np.maximum.reduceat(flows, starts) > 0)
    answers: list[Answer] = [(None, ONE_SIGN)] * len(starts)
    numbers = np.flatnonzero(two_signed)
    if not numbers.size:
        return answers
    sizes = np.diff(np.append(starts, flows.size))
    # Drop flows of zero. As the first flow, a zero would move the start date.
    kept = np.repeat(two_signed, sizes) & (flows != 0)
    sizes = np.add.reduceat(kept, starts, dtype=int)[two_signed]
    sets = _Sets.of(sizes, on[kept], flows[kept])
    for number, x in zip(numbers, _solve(sets, in_a_row), strict=True):
        answers[number] = (None, NO_ROOT) if np.isnan(x) else (_rate(x), None)
    return answers


def _rate(x: float) -> float:
    """The rate of an x, rounded to DECIMALS."""
    rate = float(np.expm1(-x))
    # Adding zero converts -0.0 to 0.0.
    return round(rate, DECIMALS - max(0, floor(log10(1 + rate))) if rate > 0 else DECIMALS) + 0.0


@dataclass(frozen=True)
class _Sets:
    """Sets of flows, each sorted by day: set n is flows[starts[n]:starts[n] + sizes[n]]."""

    starts: np.ndarray
    sizes: np.ndarray
    on: np.ndarray
    years: np.ndarray
    flows: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, on: np.ndarray, flows: np.ndarray) -> "_Sets":
        """Create sets of these sizes from consecutive flows, whose days can be in any order."""
        starts = np.cumsum(sizes) - sizes
        falls = on[1:] < on[:-1]
        falls[starts[1:] - 1] = False
        if falls.any():
            order = np.lexsort((on, np.repeat(np.arange(len(sizes)), sizes)))
            on, flows = on[order], flows[order]
        years = (on - np.repeat(on[starts], sizes)).astype(float) / DAYS_A_YEAR
        return cls(starts, sizes, on, years, flows)

    def take(self, numbers: np.ndarray) -> "_Sets":
        """The sets with these numbers. A number can occur more than once."""
        if np.array_equal(numbers, np.arange(len(self.starts))):
            return self
        sizes = self.sizes[numbers]
        starts = np.cumsum(sizes) - sizes
        at = np.arange(sizes.sum()) + np.repeat(self.starts[numbers] - starts, sizes)
        return _Sets(starts, sizes, self.on[at], self.years[at], self.flows[at])

    def shares(self, x: np.ndarray) -> np.ndarray:
        """The present value of each flow, as a share of the sum of absolute present values of its set."""
        # A common factor keeps the exponential finite.
        last = self.years[self.starts + self.sizes - 1]
        worth = self.flows * np.exp(self.each(x) * self.years - self.each(np.maximum(x * last, 0)))
        return worth / self.each(np.add.reduceat(np.abs(worth), self.starts))

    def worth(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The net present value of each set as a share of its sum of absolute present values, and the derivative."""
        shares = self.shares(x)
        worth = np.add.reduceat(shares, self.starts)
        late = shares * self.years
        slope = np.add.reduceat(late, self.starts) - worth * np.add.reduceat(np.abs(late), self.starts)
        return worth, slope

    def worths(self, grid: np.ndarray) -> np.ndarray:
        """The net present value, as in `worth`, of each set (row) at each x (column). All or no x are negative."""
        from scipy.sparse import csr_array

        # Count days from the first or last flow, whichever end has the larger present values: nothing overflows.
        last = self.on[self.starts + self.sizes - 1]
        begin = self.on[self.starts]
        days = np.abs(self.on - self.each(begin if grid[0] < 0 else last)).astype(int)
        growth = np.exp(-np.abs(grid) * np.arange(days.max() + 1)[:, None] / DAYS_A_YEAR)
        ends = np.append(self.starts, self.flows.size)
        worth, total = (csr_array((flows, days, ends)) @ growth for flows in (self.flows, np.abs(self.flows)))
        return worth / total

    def each(self, values: np.ndarray) -> np.ndarray:
        """Repeat a value per set for each of its flows."""
        return np.repeat(values, self.sizes)


def _solve(sets: _Sets, in_a_row: bool) -> np.ndarray:
    """The x of each set; nan if there is none."""
    x = _by_pyxirr(sets, in_a_row)
    solved = np.flatnonzero(~np.isnan(x))
    if solved.size:
        candidates = sets.take(solved)
        polished, proven = _judged(candidates, x[solved])
        x[solved] = np.where(proven, polished, np.nan)
    open_ = np.flatnonzero(np.isnan(x))
    if open_.size:
        x[open_] = _search(sets.take(open_))
    solved = np.flatnonzero(~np.isnan(x))
    if solved.size:
        x[solved] = _on_the_step(sets.take(solved), x[solved])
    return x


def _by_pyxirr(sets: _Sets, in_a_row: bool) -> np.ndarray:
    """The x that pyxirr finds; nan if it finds none or is not called."""
    x = np.full(len(sets.starts), np.nan)
    # At an infinite rate, the value is the first flow. If the sign at -90 % differs, a rate is in between.
    at_lowest = np.add.reduceat(sets.shares(np.full(len(x), _PYXIRR_LOWEST)), sets.starts)
    rate = None
    for number in np.flatnonzero(at_lowest * sets.flows[sets.starts] < 0):
        flows = slice(sets.starts[number], sets.starts[number] + sets.sizes[number])
        guess = rate if in_a_row else None
        rate = pyxirr.xirr(sets.on[flows], sets.flows[flows], guess=guess, silent=True)
        if rate is not None and -1 < rate < np.inf:
            x[number] = -np.log1p(rate)
        else:
            rate = None
    return x


def _judged(sets: _Sets, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x after one more Newton step, and whether it is a rate and proven to be the only one.

    It is the only one if, at that rate, the cumulative value before the last flow is never above zero, or never below
    (Soper, 1959). Nothing is proven if the first or last present values are too small to count.
    """
    worth, slope = sets.worth(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(np.abs(worth) < _WORTHLESS, x - worth / slope, np.nan)
    shares = sets.shares(x)
    so_far = np.cumsum(np.nan_to_num(shares))
    so_far -= sets.each(so_far[sets.starts] - shares[sets.starts])
    ends = sets.starts + sets.sizes - 1
    proven = (np.maximum.reduceat(so_far, sets.starts) < _EXACT) | (np.minimum.reduceat(so_far, sets.starts) > -_EXACT)
    proven &= sets.flows[sets.starts] * sets.flows[ends] < 0
    return x, proven & (np.abs(x) * sets.years[ends] < _SEEN)


def _search(sets: _Sets) -> np.ndarray:
    """The x of each set nearest to zero; nan if there is none."""
    answer = np.full(len(sets.starts), np.nan)
    for grid in _GRIDS:
        open_ = np.flatnonzero(np.isnan(answer))
        if open_.size:
            answer[open_] = _search_grid(sets.take(open_), grid)
    return answer


def _search_grid(sets: _Sets, grid: np.ndarray) -> np.ndarray:
    """The x of each set nearest to zero within the grid, the negative one of two equally near; nan if there is none.

    There is a rate between two grid points if the value changes its sign. There can be two if the value comes close to
    zero and moves away again.
    """
    worths = np.hstack([sets.worths(part) for part in (grid[grid < 0], grid[grid >= 0]) if part.size])
    positive, size = worths > 0, np.abs(worths)
    number, cell = np.nonzero(positive[:, 1:] != positive[:, :-1])
    low, high = grid[cell], grid[cell + 1]
    before, at, after = size[:, :-2], size[:, 1:-1], size[:, 2:]
    one_sign = (positive[:, 1:-1] == positive[:, :-2]) & (positive[:, 1:-1] == positive[:, 2:])
    # Where a parabola through three neighbours continues towards zero.
    bends = before - 2 * at + after
    deep = (before - after) ** 2 >= 4 * at * bends
    dip_number, dip = np.nonzero(one_sign & (at <= before) & (at <= after) & (bends > 0) & (deep | (at < _NEAR_ZERO)))
    if dip.size:
        left, right = grid[dip], grid[dip + 2]
        bottom, depth = _bottoms(sets.take(dip_number), left, right)
        touched = np.abs(depth) <= _TOUCHES
        crossed = ~touched & ((depth > 0) != positive[dip_number, dip])
        low = np.concatenate((low, left[crossed], bottom[crossed], bottom[touched]))
        high = np.concatenate((high, bottom[crossed], right[crossed], bottom[touched]))
        number = np.concatenate((number, *(dip_number[part] for part in (crossed, crossed, touched))))
    answer = np.full(len(sets.starts), np.nan)
    if number.size:
        x = _between(sets.take(number), low, high)
        nearest_last = np.lexsort((x < 0, -np.round(np.abs(x), 9)))
        answer[number[nearest_last]] = x[nearest_last]
    return answer


def _bottoms(sets: _Sets, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The x between low and high where the value of each set is nearest to zero, or beyond it.

    The value has the same sign at low and at high.

    Returns:
        x and the value.
    """
    sign = np.sign(sets.worth(low)[0])
    for _ in range(_ROUNDS):
        x = (low + high) / 2
        worth, slope = sets.worth(x)
        beyond, falling = worth * sign < -_TOUCHES, slope * sign < 0
        low, high = np.where(falling | beyond, x, low), np.where(falling & ~beyond, high, x)
        if (high - low <= _EXACT * np.maximum(1, np.abs(x))).all():
            break
    return x, worth


def _between(sets: _Sets, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The x between low and high where the value of each set is zero. The value has different signs at both.

    Uses Newton's method, and bisection if a step leaves the interval.
    """
    positive = sets.worth(low)[0] > 0
    x = (low + high) / 2
    for _ in range(_ROUNDS):
        worth, slope = sets.worth(x)
        before = (worth > 0) == positive
        low, high = np.where(before, x, low), np.where(before, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - worth / slope
        inside = (newton >= low) & (newton <= high)
        x, last = np.where(inside, newton, (low + high) / 2), x
        if (np.abs(x - last) <= _EXACT * np.maximum(1, np.abs(x))).all():
            break
    return x


def _on_the_step(sets: _Sets, x: np.ndarray) -> np.ndarray:
    """The multiple of _STEP around which the value changes its sign, independent of the start of the search."""
    steps = np.rint(x / _STEP)
    (below, slope), (above, _) = (sets.worth((steps + half) * _STEP) for half in (-0.5, 0.5))
    return (steps - (below * slope > 0) + (above * slope < 0)) * _STEP
