"""The expected value of a daily number, from its own past: its trend, its weekday and whether it is a month end.

The engine sums the values; a series then has one number a day, which pandas and numpy process. All series are judged
in one call, because each call of pandas has a fixed cost. alerts/ decides which series are watched, and what follows
from an anomaly.
"""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

HISTORY_DAYS = 180
"""The days before a day that its expectation is computed from."""

LEAST_DAYS = 60
"""The least number of days with a value and a trend in the history of a day with an expected value."""

TREND_DAYS = 28
"""The number of earlier days whose median is the trend: four of each weekday."""

LEAST_OF_TREND = 14
"""The least number of these days with a value, for a day with a trend."""

LEAST_OF_CLASS = 4
"""A class with fewer days in the history has no median of its own: the median of all days is used."""

LEAST_FOR_SPREAD = 8
"""A class with fewer days in the history has no spread of its own: the spread of all days is used."""

_MONTH_END = 7
"""The class of month ends; 0 to 6 are the weekdays of the other days."""

_NORMAL = 1.4826
"""The standard deviation of normally distributed values divided by their median absolute deviation."""

_TAIL, _TAIL_DEVIATIONS = 0.98, 2.3263
_CLASS_TAIL, _CLASS_TAIL_DEVIATIONS = 0.95, 1.96
"""A share of normally distributed values, and the number of standard deviations within which this share lies: for all
days, and for the days of a class. A class has few days, so its share is smaller: one earlier anomaly must not hide the
next."""

_ROWS_AT_ONCE = 4096
"""The number of rows, each a day of a series, that are judged at a time, to limit memory."""

_Floats = npt.NDArray[np.float64]
_Places = npt.NDArray[np.intp]


def expected(values: pd.DataFrame, days: Iterable[date]) -> pd.DataFrame:
    """The expected value of each series on each day, and the distance of the actual value from it.

    A value minus the trend (the median of the TREND_DAYS days before) is its residual. The expectation is the trend
    plus the median residual of earlier days of the same class: the same weekday, or month ends. The z-score is robust
    (Iglewicz and Hoaglin, 1993): the distance divided by 1.4826 × the median absolute deviation of these residuals.
    A series that rarely moves has a small median deviation and long tails. If the outermost 2 % of its residuals lie
    further out than those of a normal distribution, the divisor grows in the same proportion.

    Args:
        values: A column of numbers per series, indexed by date in order; days and numbers may be missing.
        days: The days that are judged. The expected value of a day comes from earlier days only.

    Returns:
        A row per series and judged day (the index) that has a value, a trend and at least LEAST_DAYS of history:
        `value`, `expected`, `spread` (the distance of one z) and `z`, which is infinite for the first move of a number
        that never moved before.
    """
    calendar = pd.date_range(values.index[0], values.index[-1]) if len(values) else pd.DatetimeIndex([])
    observed = values.set_axis(pd.DatetimeIndex(values.index), axis=0).reindex(calendar).astype(np.float64)
    trend = observed.rolling(TREND_DAYS, min_periods=LEAST_OF_TREND).median().shift(1)
    classes = np.where(calendar.is_month_end, _MONTH_END, calendar.day_of_week)
    positions = calendar.get_indexer(pd.DatetimeIndex(list(days)))
    positions = positions[positions >= 0]
    # A row per series and judged day.
    series, places = (each.ravel() for each in np.meshgrid(np.arange(len(values.columns)), positions, indexing="ij"))
    parts = range(0, len(places), _ROWS_AT_ONCE) or range(1)
    judged = [
        _judged(
            observed.to_numpy(), trend.to_numpy(), classes, series[n : n + _ROWS_AT_ONCE], places[n : n + _ROWS_AT_ONCE]
        )
        for n in parts
    ]
    series, places, *numbers = (np.concatenate(column) for column in zip(*judged, strict=True))
    index = pd.MultiIndex.from_arrays([values.columns[series], calendar[places].date], names=["series", "day"])
    return pd.DataFrame(dict(zip(("value", "expected", "spread", "z"), numbers, strict=True)), index=index)


def with_enough_history(known: Collection[date], days: Iterable[date]) -> list[date]:
    """The days that `expected` can judge in a series with a value on each of the `known` days, in order."""
    complete = pd.DataFrame({"complete": 0.0}, index=sorted(known))
    return list(expected(complete, days).index.get_level_values("day"))


def _judged(
    observed: _Floats, trend: _Floats, classes: npt.NDArray[np.int_], series: _Places, places: _Places
) -> tuple[Any, ...]:
    """Judge days of series. `places` are the positions of the days in the calendar.

    Returns:
        Arrays of series, place, value, expected, spread and z, for the days that can be judged.
    """
    residuals = observed - trend
    history = _days_before(residuals, np.nan)[places, series]
    enough = (~np.isnan(history)).sum(axis=1) >= LEAST_DAYS
    enough &= ~np.isnan(residuals[places, series])
    series, places, history = series[enough], places[enough], history[enough]
    center, spread = _center_and_spread(history, _days_before(classes, 0)[places], classes[places])
    distance = residuals[places, series] - center
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(distance == 0, 0.0, distance / spread)
    return series, places, observed[places, series], trend[places, series] + center, spread, z


def _days_before(values: npt.NDArray[Any], absent: float) -> npt.NDArray[Any]:
    """For each day, the values of the HISTORY_DAYS days before it, along a new last axis.

    `absent` stands for the days before the first one.
    """
    padding = np.full((HISTORY_DAYS, *values.shape[1:]), absent, dtype=values.dtype)
    padded = np.concatenate([padding, values[:-1]])
    if len(values) == 0:
        return np.empty((*values.shape, HISTORY_DAYS), dtype=values.dtype)
    return np.lib.stride_tricks.sliding_window_view(padded, HISTORY_DAYS, axis=0)


def _center_and_spread(
    residuals: _Floats, classes: npt.NDArray[np.int_], own: npt.NDArray[np.int_]
) -> tuple[_Floats, _Floats]:
    """For each row the median residual of its class `own`, and the distance from it that is one z."""
    overall = _quantile(residuals, 0.5)
    centers = np.empty((len(residuals), _MONTH_END + 1))
    for number in range(_MONTH_END + 1):
        alike = np.where(classes == number, residuals, np.nan)
        known = (~np.isnan(alike)).sum(axis=1)
        centers[:, number] = np.where(known >= LEAST_OF_CLASS, _quantile(alike, 0.5), overall)
    # The distance of each day from the median of its class.
    deviations = np.abs(residuals - np.take_along_axis(centers, classes, axis=1))
    spread = np.maximum(_NORMAL * _quantile(deviations, 0.5), _quantile(deviations, _TAIL) / _TAIL_DEVIATIONS)
    alike = np.where(classes == own[:, None], deviations, np.nan)
    tail = np.maximum(_NORMAL * _quantile(alike, 0.5), _quantile(alike, _CLASS_TAIL) / _CLASS_TAIL_DEVIATIONS)
    known = (~np.isnan(alike)).sum(axis=1)
    spread = np.where(known >= LEAST_FOR_SPREAD, np.maximum(spread, tail), spread)
    return np.take_along_axis(centers, own[:, None], axis=1)[:, 0], spread


def _quantile(values: _Floats, share: float) -> _Floats:
    """The quantile of each row without its NaN values; NaN for a row without other values.

    The result is that of numpy.nanquantile, which is slower because it processes one row at a time.
    """
    ordered = np.sort(values, axis=1)
    last = np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0)
    place = last * share
    below = np.floor(place).astype(int)
    ends = np.take_along_axis(ordered, np.stack([below, np.minimum(below + 1, last)], axis=1), axis=1)
    return ends[:, 0] + (ends[:, 1] - ends[:, 0]) * (place - below)
