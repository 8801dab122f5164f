from datetime import date

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import InPeriod, parse_parameters
from lending_pipelines.reports.periods import Period, period_of, with_previous

MAY_20 = date(2024, 5, 20)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("current_month", "2024-05-01", "2024-05-20"),
        ("previous_month", "2024-04-01", "2024-04-30"),
        ("quarter", "2024-04-01", "2024-05-20"),
        ("year", "2024-01-01", "2024-05-20"),
    ],
)
def test_a_period_is_the_calendar_one_of_the_business_date(name, first, last):
    period = period_of(InPeriod(period=name), MAY_20)
    assert (str(period.first), str(period.last)) == (first, last)


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ({"period": "month"}, "2024-05-01", "2024-05-20"),
        ({"period": "month", "month": "2024-02"}, "2024-02-01", "2024-02-29"),
        ({"period": "month", "month": "2023-12"}, "2023-12-01", "2023-12-31"),
        # The business date lies in it: it is still running.
        ({"period": "month", "month": "2024-05"}, "2024-05-01", "2024-05-20"),
        ({"period": "quarter", "quarter": "2024Q1"}, "2024-01-01", "2024-03-31"),
        ({"period": "quarter", "quarter": "2023Q4"}, "2023-10-01", "2023-12-31"),
        ({"period": "quarter", "quarter": "2024Q2"}, "2024-04-01", "2024-05-20"),
        ({"period": "year", "year": "2023"}, "2023-01-01", "2023-12-31"),
        ({"period": "year", "year": 2024}, "2024-01-01", "2024-05-20"),
    ],
)
def test_a_month_a_quarter_and_a_year_are_chosen_by_name(values, first, last):
    period = period_of(parse_parameters("fee_revenue", InPeriod, values), MAY_20)
    assert (str(period.first), str(period.last)) == (first, last)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"period": "month", "month": "2024-06"}, "month 2024-06 begins after the business date 2024-05-20"),
        ({"period": "quarter", "quarter": "2024Q3"}, "quarter 2024Q3 begins after the business date 2024-05-20"),
        ({"period": "year", "year": "2025"}, "name an earlier year, or close later days"),
    ],
)
def test_a_period_that_begins_after_the_business_date_is_refused(values, problem):
    with pytest.raises(LendingError, match=problem):
        period_of(InPeriod(**values), MAY_20)


@pytest.mark.parametrize(
    ("period", "block"),
    [
        (
            Period("month", date(2025, 8, 1), date(2025, 8, 31)),
            ("2025-08-01", "2025-08-31", "month", "August 2025", "2025-08", "August 2025"),
        ),
        (
            Period("current_month", date(2024, 5, 1), MAY_20),
            ("2024-05-01", "2024-05-20", "current_month", "2024-05-01 to 2024-05-20", "2024-05", "May 2024"),
        ),
        (
            Period("quarter", date(2024, 4, 1), MAY_20),
            ("2024-04-01", "2024-05-20", "quarter", "2024-04-01 to 2024-05-20", None, None),
        ),
    ],
)
def test_json_has_the_period_and_the_month_that_it_is(period, block):
    names = ("start_date", "end_date", "period_name", "period_display", "month", "month_name")
    assert period.block() == dict(zip(names, block, strict=True))


def test_a_custom_period_is_its_bounds():
    asked = InPeriod(period="custom", from_date="2024-02-10", to_date="2024-03-05")
    period = period_of(asked, MAY_20)
    assert (period.first, period.last, period.days) == (date(2024, 2, 10), date(2024, 3, 5), 25)
    assert period.opening == date(2024, 2, 9)


@pytest.mark.parametrize(
    ("name", "first", "last", "previous"),
    [
        ("current_month", "2024-05-01", "2024-05-20", "2024-04-01 to 2024-04-20"),
        ("previous_month", "2024-04-01", "2024-04-30", "March 2024"),
        ("month", "2024-03-01", "2024-03-31", "February 2024"),
        ("quarter", "2024-01-01", "2024-03-31", "2023-10-01 to 2023-12-31"),
        ("year", "2024-01-01", "2024-05-20", "2023-01-01 to 2023-05-21"),
        ("custom", "2024-03-01", "2024-03-31", "February 2024"),
        ("custom", "2024-03-01", "2024-03-30", "2024-01-31 to 2024-02-29"),
    ],
)
def test_the_previous_period_follows_from_what_was_asked_for(name, first, last, previous):
    # The 141st day of 2024, a leap year, is 20 May; that of 2023 is 21 May.
    assert Period(name, date.fromisoformat(first), date.fromisoformat(last)).previous.display == previous


def test_a_month_that_a_running_period_cuts_is_running_and_one_of_a_custom_range_is_not():
    running = Period("quarter", date(2024, 4, 1), MAY_20).months
    assert [month.previous.display for month in running] == ["March 2024", "2024-04-01 to 2024-04-20"]
    # 18 days of April, then 20 of May.
    custom = Period("custom", date(2024, 4, 13), MAY_20).months
    assert [month.previous.display for month in custom] == ["2024-03-26 to 2024-04-12", "2024-04-11 to 2024-04-30"]


def test_a_period_that_is_also_a_previous_one_is_listed_once():
    months = Period("quarter", date(2024, 4, 1), MAY_20).months
    assert [period.display for period in with_previous(months)] == [
        "April 2024",
        "2024-05-01 to 2024-05-20",
        "March 2024",
        "2024-04-01 to 2024-04-20",
    ]


def test_months_are_cut_to_the_period():
    months = Period("custom", date(2023, 12, 15), date(2024, 2, 10)).months
    assert [(month.first, month.last) for month in months] == [
        (date(2023, 12, 15), date(2023, 12, 31)),
        (date(2024, 1, 1), date(2024, 1, 31)),
        (date(2024, 2, 1), date(2024, 2, 10)),
    ]


def test_a_trend_goes_back_by_whole_months_over_the_new_year():
    trend = Period("custom", date(2024, 2, 5), date(2024, 2, 10)).trend(4)
    assert [(month.first, month.last) for month in trend] == [
        (date(2023, 11, 1), date(2023, 11, 30)),
        (date(2023, 12, 1), date(2023, 12, 31)),
        (date(2024, 1, 1), date(2024, 1, 31)),
        (date(2024, 2, 1), date(2024, 2, 10)),
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"period": "custom"}, "needs from_date and to_date"),
        ({"period": "custom", "from_date": "2024-03-01", "to_date": "2024-02-01"}, "is after to_date"),
        ({"period": "quarter", "from_date": "2024-03-01"}, "are for period custom only"),
        ({"period": "custom", "from_date": "March", "to_date": "2024-02-01"}, "write a date like 2025-01-31, or unset"),
        ({"period": "decade"}, "'current_month', 'previous_month', 'month', 'quarter', 'year' or 'custom'"),
        ({"period": "month", "month": "2024-13"}, "month is '2024-13': write a month like 2025-08, or unset"),
        ({"period": "month", "month": "Aug 2024"}, "write a month like 2025-08, or unset"),
        ({"period": "quarter", "quarter": "2024-Q1"}, "write a quarter like 2025Q3, or unset"),
        ({"period": "year", "year": "24"}, "write a year like 2025, or unset"),
        ({"month": "2024-02"}, "month is for period month only: write unset with period current_month"),
        ({"period": "quarter", "year": "2024"}, "year is for period year only: write unset with period quarter"),
    ],
)
def test_a_wrong_period_is_refused_with_what_to_write(values, problem):
    with pytest.raises(LendingError, match=problem):
        parse_parameters("fee_revenue", InPeriod, values)
