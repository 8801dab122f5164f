"""What a daily number is expected to be, from its own past: its trend, its weekday and whether it is a month end.

Series are small, a number a day, so this is pandas and numpy on values that the engine has already added up. Which
series are watched, and what is done about an anomaly, is in alerts/.
"""

from collections.abc import Iterable
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

HISTORY_DAYS = 180
"""The days before a day that its expectation is computed from."""

LEAST_DAYS = 60
"""A day with fewer days of history has no expectation."""

TREND_DAYS = 28
"""The trend is the median of so many days before: four of each weekday."""

LEAST_OF_CLASS = 4
"""A class with fewer days in the history has no median of its own: that of all days counts."""

LEAST_FOR_SPREAD = 8
"""A class with fewer days in the history has no spread of its own."""

_MONTH_END = 7
"""The class of month ends; 0 to 6 are the weekdays of the other days."""

_NORMAL = 1.4826
"""The standard deviation of normally distributed values divided by their median absolute deviation."""

_TAIL, _TAIL_DEVIATIONS = 0.98, 2.3263
_CLASS_TAIL, _CLASS_TAIL_DEVIATIONS = 0.95, 1.96
"""A share of normally distributed values, and the standard deviations within which they lie. A class has few days, so
its share is smaller: one earlier anomaly must not hide the next."""

_Floats = npt.NDArray[np.float64]


def expected(values: pd.Series, days: Iterable[date]) -> pd.DataFrame:
    """What each day's value is expected to be, and how far it is from that.

    A value minus the trend (the median of the TREND_DAYS days before) is its residual. The expectation is the trend
    plus the median residual of earlier days of the same class: the same weekday, or month ends. The z-score is robust
    (Iglewicz and Hoaglin, 1993): the distance divided by 1.4826 × the median absolute deviation of these residuals.
    Series that stand still on most days and move on some have a small median and long tails: where the outermost 2 %
    of the residuals are further away than those of a normal distribution, the divisor is larger by as much.

    Args:
        values: The number of each day, indexed by date in order; days may be missing.
        days: The days that are judged. Only earlier days decide what is expected of a day.

    Returns:
        A row per judged day (the index) that has a value and at least LEAST_DAYS of history: `value`, `expected`,
        `spread` (one z of distance) and `z`, which is infinite where a number that never moved moves.
    """
    observed = values.to_numpy(np.float64)
    index = pd.DatetimeIndex(values.index)
    trend = pd.Series(observed).rolling(TREND_DAYS, min_periods=TREND_DAYS // 2).median().shift(1).to_numpy()
    residuals = observed - trend
    classes = np.where(index.is_month_end, _MONTH_END, index.day_of_week)
    rows = []
    for position in index.get_indexer(pd.DatetimeIndex(list(days))):
        if position < LEAST_DAYS:
            continue
        since = index[position] - pd.Timedelta(days=HISTORY_DAYS)
        past = slice(int(index.searchsorted(since)), position)
        known = ~np.isnan(residuals[past])
        if known.sum() < LEAST_DAYS:
            continue
        center, spread = _center_and_spread(residuals[past][known], classes[past][known], classes[position])
        distance = residuals[position] - center
        z = distance / spread if spread else np.sign(distance) * np.inf if distance else 0.0
        rows.append((index[position].date(), observed[position], trend[position] + center, spread, z))
    return pd.DataFrame(rows, columns=["day", "value", "expected", "spread", "z"]).set_index("day")


def _center_and_spread(residuals: _Floats, classes: npt.NDArray[np.int_], own: int) -> tuple[float, float]:
    """The median residual of the class `own`, and the distance from it that is one z."""
    centers = np.full(_MONTH_END + 1, np.median(residuals))
    for number in range(len(centers)):
        alike = residuals[classes == number]
        if len(alike) >= LEAST_OF_CLASS:
            centers[number] = np.median(alike)
    # Without the season: how far each day was from what was usual for its class.
    deviations = np.abs(residuals - centers[classes])
    spread = max(_NORMAL * float(np.median(deviations)), float(np.quantile(deviations, _TAIL)) / _TAIL_DEVIATIONS)
    alike = deviations[classes == own]
    if len(alike) >= LEAST_FOR_SPREAD:
        tail = float(np.quantile(alike, _CLASS_TAIL)) / _CLASS_TAIL_DEVIATIONS
        spread = max(spread, _NORMAL * float(np.median(alike)), tail)
    return float(centers[own]), spread
