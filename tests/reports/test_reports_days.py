from datetime import date, timedelta

import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.days import business_date, history_days, last_ended_day


class Days:
    conventions = Conventions()

    def __init__(self, thinned=(), **days):
        self._days = days
        self._thinned = list(thinned)

    def days(self, name):
        return self._days.get(name, [])

    def thinned(self, name):
        return self._thinned


def every_day(first, last):
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_latest_is_the_last_day_of_the_main_table():
    source = Days(trial_balance=[date(2025, 1, 30), date(2025, 1, 31)])
    assert business_date(source, ("trial_balance", "journal_lines"), "latest") == date(2025, 1, 31)
    assert business_date(source, ("trial_balance",), "2025-01-30") == date(2025, 1, 30)


@pytest.mark.parametrize(
    ("word", "yesterday", "day"),
    [
        ("yesterday", date(2025, 5, 14), date(2025, 5, 14)),
        # 14 May: April is the last month that has ended, and its quarter's first. March ends the quarter before.
        ("last_month_end", date(2025, 5, 14), date(2025, 4, 30)),
        ("last_quarter_end", date(2025, 5, 14), date(2025, 3, 31)),
        # A month or quarter that ended yesterday has ended.
        ("last_month_end", date(2024, 2, 29), date(2024, 2, 29)),
        ("last_quarter_end", date(2025, 6, 30), date(2025, 6, 30)),
        ("last_quarter_end", date(2025, 1, 1), date(2024, 12, 31)),
    ],
)
def test_words_are_days_that_have_ended(monkeypatch, word, yesterday, day):
    monkeypatch.setattr("lending_pipelines.reports.days.last_ended_day", lambda timezone: yesterday)
    source = Days(trial_balance=every_day(date(2024, 1, 1), date(2025, 6, 30)))
    assert business_date(source, ("trial_balance",), word) == day


def test_yesterday_is_that_of_the_time_zone_and_must_be_closed(monkeypatch):
    ended = last_ended_day("Pacific/Kiritimati")
    # Kiritimati is 25 or 26 hours before Pago Pago: its day is one or two days ahead.
    assert 1 <= (ended - last_ended_day("Pacific/Pago_Pago")).days <= 2
    with pytest.raises(LendingError, match=f"trial_balance has no {last_ended_day('UTC')}: the nearest closed days"):
        business_date(Days(trial_balance=[date(2025, 1, 30)]), ("trial_balance",), "yesterday")


def test_a_missing_day_names_the_nearest_and_the_command():
    source = Days(trial_balance=[date(2025, 1, 30), date(2025, 2, 3)])
    with pytest.raises(LendingError) as raised:
        business_date(source, ("trial_balance",), "2025-02-01")
    assert str(raised.value) == (
        "trial_balance has no 2025-02-01: the nearest closed days are 2025-01-30 and 2025-02-03;"
        " run lending close --from 2025-02-01 --to 2025-02-01"
    )


def test_a_thinned_day_is_called_thinned_and_not_unclosed():
    source = Days(thinned=[date(2025, 1, 30)], loan_positions=[date(2025, 1, 31)])
    with pytest.raises(LendingError) as raised:
        business_date(source, ("loan_positions",), "2025-01-30")
    assert str(raised.value) == (
        "loan_positions has no 2025-01-30: the day was closed and later thinned, which removed its rows; the nearest"
        " closed days are 2025-01-31; to compute the day again from current data run lending close --from 2025-01-30"
        " --to 2025-01-30 --force"
    )


def test_the_day_must_be_in_every_daily_table():
    source = Days(aging_buckets=[date(2025, 1, 31)], loan_positions=[])
    with pytest.raises(LendingError, match="loan_positions has no 2025-01-31: it has no days yet"):
        business_date(source, ("aging_buckets", "loan_positions"), "latest")


def test_a_lake_without_days_says_how_to_make_some():
    with pytest.raises(LendingError, match=r"trial_balance has no days yet: .*lending close"):
        business_date(Days(), ("trial_balance",), "latest")


def test_a_history_of_months_takes_the_last_closed_day_of_each():
    source = Days(t=every_day(date(2024, 11, 5), date(2025, 2, 27)))
    assert history_days(source, "t", date(2025, 2, 10), 3, "month") == [
        date(2024, 12, 31),
        date(2025, 1, 31),
        date(2025, 2, 10),
    ]


def test_a_history_of_days_takes_each_closed_day():
    source = Days(t=[date(2025, 1, 3), date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)])
    assert history_days(source, "t", date(2025, 1, 7), 2, "day") == [date(2025, 1, 6), date(2025, 1, 7)]
