from datetime import date

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import InPeriod, parse_parameters
from lending_pipelines.reports.periods import Period, period_of

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
    assert period_of(InPeriod(period=name), MAY_20).block() == {
        "start_date": first,
        "end_date": last,
        "period_name": name,
        "period_display": "April 2024" if name == "previous_month" else f"{first} to {last}",
    }


def test_a_custom_period_is_its_bounds():
    asked = InPeriod(period="custom", from_date="2024-02-10", to_date="2024-03-05")
    period = period_of(asked, MAY_20)
    assert (period.first, period.last, period.days) == (date(2024, 2, 10), date(2024, 3, 5), 25)
    assert period.opening == date(2024, 2, 9)


def test_the_previous_period_is_as_long_and_ends_the_day_before():
    previous = Period("custom", date(2024, 3, 1), date(2024, 3, 31)).previous
    assert (previous.first, previous.last) == (date(2024, 1, 30), date(2024, 2, 29))


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
        ({"period": "quarter", "from_date": "2024-03-01"}, "belong to period custom"),
        ({"period": "custom", "from_date": "March", "to_date": "2024-02-01"}, "write a date as 2025-01-31, or unset"),
        ({"period": "decade"}, "'current_month', 'previous_month', 'quarter', 'year' or 'custom'"),
    ],
)
def test_a_wrong_period_is_refused_with_what_to_write(values, problem):
    with pytest.raises(LendingError, match=problem):
        parse_parameters("fee_revenue", InPeriod, values)
