"""The internal rate of return of dated flows, as Excel's XIRR: the rate at which Σ amount ÷ (1 + rate)^(days from the
first flow ÷ 365) = 0.

It is found here and not by pyxirr, which takes a hundred times as long for flows without a rate, as every young
portfolio has them, and near -100 % answers with rates that are none. Where pyxirr is right the two agree. Which flows
are whose is said in returns.py.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

ONE_SIGN = "no sign change: the flows are all in or all out"
NO_ROOT = "no rate above -100 % makes the flows worth zero"

DAYS_A_YEAR = 365
LOWEST, HIGHEST = -1 + 1e-6, 1e250
"""The rates looked at; a loan repaid the next day with a fee may well earn a million times its amount a year."""

_LEAST, _MOST = -np.log1p(HIGHEST), -np.log1p(LOWEST)
_STEPS = 24
_GRID = np.append(_LEAST, np.linspace(-_MOST, _MOST, 101))
_CLOSE = 1e-12

Answer = tuple[float | None, str | None]
"""A rate as a fraction a year, and why there is none when it is null."""


def xirr(dates: Sequence[date] | np.ndarray, amounts: Sequence[float] | np.ndarray) -> Answer:
    """XIRR of dated flows (out negative, in positive).

    A rate below LOWEST, which is -100 % in all but name, is none.
    """
    on, flows = np.asarray(dates, dtype="datetime64[D]"), np.asarray(amounts, dtype=float)
    return xirrs(np.zeros(min(flows.size, 1), dtype=int), on, flows)[0] if flows.size else (None, ONE_SIGN)


def xirrs(starts: np.ndarray, on: np.ndarray, flows: np.ndarray) -> list[Answer]:
    """XIRR of many sets of flows at once: set n is on[starts[n]:starts[n + 1]], and none is empty.

    `on` are days (datetime64[D]), in any order within a set.
    """
    sizes = np.diff(np.append(starts, flows.size))
    # A flow of nothing is on no day: were it the first, the others could be too far off to be seen beside it.
    days = np.where(flows == 0, np.nan, on.astype(float))
    years = np.nan_to_num(days - np.repeat(np.fmin.reduceat(days, starts), sizes)) / DAYS_A_YEAR
    one_signed = (np.minimum.reduceat(flows, starts) >= 0) | (np.maximum.reduceat(flows, starts) <= 0)
    rates = _newton(starts, sizes, years, flows)
    answers: list[Answer] = []
    for start, size, x, without in zip(starts, sizes, rates, one_signed, strict=True):
        if without:
            answers.append((None, ONE_SIGN))
            continue
        found = _bisection(years[start : start + size], flows[start : start + size]) if np.isnan(x) else x
        answers.append((None, NO_ROOT) if found is None else (float(np.expm1(-found)), None))
    return answers


def _newton(starts: np.ndarray, sizes: np.ndarray, years: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """x = -log(1 + rate) by a few steps, which is all that ordinary flows need; nan where they do not lead to one.

    Newton's method on log(worth of what came in ÷ worth of what went out) as a function of x: almost a straight line.
    """
    came_in, went_out = np.maximum(flows, 0), np.maximum(-flows, 0)
    x = np.zeros(len(starts))
    found = np.full(len(starts), np.nan)
    searched = np.ones(len(starts), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_STEPS):
            exponents = np.repeat(x, sizes) * years
            growth = np.exp(exponents - np.repeat(np.maximum.reduceat(exponents, starts), sizes))
            worth_in, slope_in = _worth(came_in * growth, years, starts)
            worth_out, slope_out = _worth(went_out * growth, years, starts)
            step = np.log(worth_in / worth_out) / (slope_in - slope_out)
            before, x = x, np.clip(x - step, _LEAST, _MOST)
            arrived = searched & (np.abs(step) < _CLOSE)
            found[arrived] = x[arrived]
            searched &= np.isfinite(step) & ~arrived & (x != before)
            if not searched.any():
                break
            x = np.where(searched, x, 0.0)
    return found


def _worth(worths: np.ndarray, years: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per set, what its flows are worth together, and how that changes with x in relation to it."""
    worth = np.add.reduceat(worths, starts)
    return worth, np.add.reduceat(worths * years, starts) / worth


def _bisection(years: np.ndarray, flows: np.ndarray) -> float | None:
    """x where what the flows are worth changes sign, the one nearest to a rate of 0; None if it nowhere does."""
    positive = _growth(np.outer(_GRID, years)) @ flows > 0
    crossings = np.flatnonzero(positive[1:] != positive[:-1])
    if not crossings.size:
        return None
    at = crossings[np.abs(_GRID[crossings]).argmin()]
    low, high = _GRID[at], _GRID[at + 1]
    while high - low > _CLOSE:
        middle = (low + high) / 2
        if (_growth(middle * years) @ flows > 0) == positive[at]:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _growth(exponents: np.ndarray) -> np.ndarray:
    """exp, but for a common factor that keeps it finite."""
    return np.exp(exponents - exponents.max(axis=-1, keepdims=True))
