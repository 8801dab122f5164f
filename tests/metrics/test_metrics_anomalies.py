"""The expected value of a daily number: by hand, on planted anomalies, and on a lender without any."""

import sqlite3
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from lending_pipelines.metrics import anomalies

MONDAY = date(2024, 1, 1)
THRESHOLD = 4
MINIMUM = 5_000


def series(values) -> pd.Series:
    return pd.Series(list(values), index=[MONDAY + timedelta(days=n) for n in range(len(values))], dtype="float64")


def expected(values: pd.Series, days) -> pd.DataFrame:
    """What is expected of one series, by day."""
    return anomalies.expected(values.to_frame("one"), days).droplevel("series")


def weekly(weeks: int) -> list[float]:
    """100 on working days, 20 on Saturdays and Sundays; every second week 4 more on working days."""
    return [(100 + 4 * (week % 2)) if day < 5 else 20 for week in range(weeks) for day in range(7)]


def test_a_friday_and_a_sunday_worked_by_hand():
    # 20 weeks. The last Sunday is 19 May, the last Friday 17 May: neither is a month end.
    # Any 28 days hold 10 values of 100, 10 of 104 and 8 of 20: the median of the trend is 100.
    # Residuals are therefore 0 or 4 on working days, and -80 on Saturdays and Sundays.
    # A Friday's class has days of both kinds: of the 15 Fridays whose 14 earlier days are known and which are no month
    # end, some have 0 and some 4. A Sunday's class has -80 alone, so that Sunday is expected at 100 - 80 = 20.
    values = series(weekly(20))
    friday, sunday = date(2024, 5, 17), date(2024, 5, 19)
    found = expected(values, [friday, sunday])
    assert list(found.index) == [friday, sunday]
    assert found.expected[sunday] == 20
    assert found.z[sunday] == 0
    assert found.expected[friday] in (100, 104)
    # The other days deviate by 0 or 4 from the median of their class. Of a normal distribution 98 % lie within 2.3263
    # standard deviations, so one z is at most 4 / 1.96 and at least 4 / 2.3263.
    assert 4 / 2.3263 <= found.spread[sunday] <= 4 / 1.96
    assert found.value[friday] == 104
    assert abs(found.z[friday]) < THRESHOLD


def test_working_day_amounts_on_a_sunday_are_an_anomaly():
    values = series(weekly(20))
    sunday = date(2024, 5, 19)
    values[sunday] = 100
    found = expected(values, [sunday])
    assert found.expected[sunday] == 20
    assert found.z[sunday] > 80 / (4 / 1.96) - 1e-9


def test_a_number_that_never_moved():
    values = series([5.0] * 100)
    last = values.index[-1]
    assert expected(values, [last]).z[last] == 0
    values[last] = 4.0
    assert expected(values, [last]).z[last] == -np.inf


def test_a_month_end_is_compared_with_month_ends():
    values = series([100 + 2 * (n % 3) for n in range(152)])
    ends = [day for day in values.index if (day + timedelta(days=1)).day == 1]
    values[ends] = 500.0
    last = ends[-1]
    assert last == date(2024, 5, 31)
    found = expected(values, [last])
    assert abs(found.z[last]) < THRESHOLD
    assert found.expected[last] == pytest.approx(500, abs=4)
    values[last] = 102.0
    assert expected(values, [last]).z[last] < -THRESHOLD


def test_days_without_enough_history_or_without_a_value_have_no_expectation():
    values = series(weekly(20))
    early, missing = values.index[59], date(2024, 3, 30)
    values = values.drop(missing)
    assert expected(values, [early, missing, date(2030, 1, 1)]).empty


def test_series_are_judged_apart_from_each_other():
    # The second series begins later, lacks a day, and has too little history; the third is constant.
    first, constant = series(weekly(20)), series([5.0] * 140)
    late = first.iloc[30:].drop(date(2024, 4, 1)) * 3
    short = first.iloc[100:]
    given = {"first": first, "late": late, "short": short, "constant": constant}
    days = first.index[80:]
    together = anomalies.expected(pd.DataFrame(given), days)
    assert set(together.index.get_level_values("series")) == {"first", "late", "constant"}
    for name in ("first", "late", "constant"):
        pd.testing.assert_frame_equal(together.loc[name], expected(given[name], days))


def test_only_earlier_days_decide():
    values = series(weekly(20))
    day = values.index[100]
    changed = values.copy()
    changed.iloc[101:] = 1e9
    pd.testing.assert_frame_equal(expected(values, [day]), expected(changed, [day]))


def _collections(random: np.random.Generator, days: pd.DatetimeIndex) -> tuple[np.ndarray, float]:
    """A trend, a weekday's level, month ends, and noise; and the noise's standard deviation."""
    level = random.normal(1000, 50, 7)[days.day_of_week]
    return level + 0.5 * np.arange(len(days)) + 400 * days.is_month_end + random.normal(0, 30, len(days)), 30


def _amounts(random: np.random.Generator, days: pd.DatetimeIndex) -> tuple[np.ndarray, float]:
    """Amounts with a long tail to the right."""
    values = 1000 * np.exp(0.3 * random.normal(size=len(days)))
    return values, 315


def _counts(random: np.random.Generator, days: pd.DatetimeIndex) -> tuple[np.ndarray, float]:
    return random.poisson(25, len(days)).astype(float), 5


@pytest.mark.parametrize("kind", [_collections, _amounts, _counts])
def test_planted_anomalies_are_found_and_other_days_are_not(kind):
    random = np.random.default_rng(20240101)
    days = pd.date_range(MONDAY, periods=400)
    planted = found = judged = wrong = 0
    for _ in range(40):
        values, deviation = kind(random, days)
        where = np.unique(random.integers(200, 400, 2))
        # Ten standard deviations up, or down as far as an amount can go.
        values[where] += 10 * deviation
        rows = expected(pd.Series(values, index=days.date), days[150:].date)
        beyond = rows.z.abs() > THRESHOLD
        planted += len(where)
        found += int(beyond[days[where].date].sum())
        judged += len(rows) - len(where)
        wrong += int(beyond.drop(days[where].date).sum())
    assert found >= 0.95 * planted
    assert wrong <= 0.01 * judged


def test_a_lender_without_anomalies_has_at_most_one_alert_per_hundred_days(filled_home):
    with sqlite3.connect(filled_home.folder / "servicing.db") as servicing:
        payments = pd.read_sql(
            "SELECT effective_on AS day, branch_id, SUM(amount) AS amount FROM transactions JOIN loans USING (loan_id)"
            " WHERE type = 'repayment' GROUP BY 1, 2",
            servicing,
            parse_dates=["day"],
        )
    judged = beyond = 0
    for _, rows in payments.groupby("branch_id"):
        by_day = rows.set_index("day").amount
        by_day = by_day.reindex(pd.date_range(by_day.index.min(), by_day.index.max()), fill_value=0)
        found = expected(by_day.set_axis(by_day.index.date), by_day.index[100:].date)
        judged += len(found)
        # The smallest amount of the shipped rule: in so small a book one early repayment is unusual for its branch.
        far = (found.value - found.expected).abs() >= MINIMUM
        beyond += int((far & (found.z.abs() > THRESHOLD)).sum())
    assert judged > 1000
    assert beyond <= 0.01 * judged
