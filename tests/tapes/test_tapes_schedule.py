"""The business dates on which a tape is due: by schedule, and adjusted for weekends and holidays."""

from datetime import date

import pytest

from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.tapes.schedule import ScheduleError, due_days


def days(schedule, first, last, convention="unadjusted", calendar=None):
    config = LoanTapeConfig(tape_schedule=schedule, business_day_convention=convention, holiday_calendar=calendar)
    return [str(day) for day in due_days(config, date.fromisoformat(first), date.fromisoformat(last))]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("daily", ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02", "2024-03-03"]),
        ("weekly", ["2024-03-03"]),
        ("monthly", ["2024-02-29"]),
        ("quarterly", []),
        ("0 9 1,3 * *", ["2024-03-01", "2024-03-03"]),
        ("*/5 * * * FRI", ["2024-03-01"]),
        ("0 0 * * FRI", ["2024-03-01"]),
        ("59 23 * * *", ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02", "2024-03-03"]),
    ],
)
def test_a_schedule_names_its_days(schedule, expected):
    assert days(schedule, "2024-02-28", "2024-03-03") == expected


def test_a_quarter_ends_four_times_a_year():
    assert days("quarterly", "2025-01-01", "2025-12-31") == ["2025-03-31", "2025-06-30", "2025-09-30", "2025-12-31"]


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        # 2025-05-31 is a Saturday, 2025-06-30 a Monday, 2025-08-31 a Sunday.
        ("unadjusted", ["2025-05-31", "2025-06-30", "2025-07-31", "2025-08-31"]),
        ("preceding", ["2025-05-30", "2025-06-30", "2025-07-31", "2025-08-29"]),
        ("following", ["2025-06-02", "2025-06-30", "2025-07-31", "2025-09-01"]),
        ("modified_following", ["2025-05-30", "2025-06-30", "2025-07-31", "2025-08-29"]),
    ],
)
def test_a_month_end_on_a_weekend_is_moved(convention, expected):
    assert days("monthly", "2025-05-15", "2025-09-15", convention) == expected


def test_modified_preceding_stays_in_the_month():
    # 2025-06-01 is a Sunday: the Friday before is May's.
    assert days("0 0 1 * *", "2025-05-15", "2025-06-15", "modified_preceding") == ["2025-06-02"]
    assert days("0 0 1 * *", "2025-05-15", "2025-06-15", "preceding") == ["2025-05-30"]


def test_days_that_are_moved_to_one_are_one():
    assert days("daily", "2025-03-07", "2025-03-11", "following") == ["2025-03-07", "2025-03-10", "2025-03-11"]


def test_a_day_moved_from_outside_the_range_is_in_it():
    assert days("monthly", "2025-06-01", "2025-06-15", "following") == ["2025-06-02"]


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        # The New York Stock Exchange was closed on 2025-01-09 for a day of mourning; TARGET was open.
        ("XNYS", ["2025-01-10"]),
        ("XECB", ["2025-01-09"]),
    ],
)
def test_holidays_are_the_calendars(calendar, expected):
    assert days("0 0 9 1 *", "2025-01-02", "2025-01-20", "following", calendar) == expected


def test_a_year_end_moves_over_the_new_year():
    # 2025-12-31 is a Wednesday and free in no market; Good Friday and Easter Monday 2024 are free in TARGET.
    assert days("quarterly", "2024-03-01", "2024-04-30", "following", "XECB") == ["2024-04-02"]
    assert days("quarterly", "2024-03-01", "2024-04-30", "modified_following", "XECB") == ["2024-03-28"]


def test_a_part_of_a_country_has_holidays_of_its_own():
    # Corpus Christi, 2025-06-19, is a holiday in Bavaria and not in Berlin.
    assert days("0 0 19 6 *", "2025-06-01", "2025-06-30", "following", "DE-BY") == ["2025-06-20"]
    assert days("0 0 19 6 *", "2025-06-01", "2025-06-30", "following", "DE-BE") == ["2025-06-19"]


@pytest.mark.parametrize(
    ("schedule", "calendar", "reason"),
    [
        ("fortnightly", None, "tape_schedule 'fortnightly' is not valid"),
        ("0 0 31 13 *", None, "tape_schedule '0 0 31 13 \\*' is not valid"),
        ("daily", "XNYSE", "unknown holiday_calendar 'XNYSE': did you mean 'XNYS'"),
        ("daily", "DE-XX", "unknown holiday_calendar 'DE-XX'"),
    ],
)
def test_what_is_not_understood_is_named(schedule, calendar, reason):
    with pytest.raises(ScheduleError, match=reason):
        days(schedule, "2025-01-01", "2025-01-31", "following", calendar)
