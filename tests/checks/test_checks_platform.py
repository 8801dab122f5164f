"""platform_activity against its sources: one thing wrong in each test."""

import pytest
from checks_world import FEB_1, FEB_2, JAN_31, evaluate, find, whole_world


def _found(world):
    rows = evaluate(world, "platform_activity", "platform_equals_sources").sample
    return [(row["business_date"], row["currency"]) for row in rows]


@pytest.mark.parametrize("column", ["active_loans", "total_users", "total_tickets"])
def test_a_count_that_differs(column):
    world = whole_world()
    find(world["platform_activity"], business_date=FEB_2)[column] = 7
    assert _found(world) == [("2025-02-02", "USD")]


def test_a_currency_that_is_missing():
    world = whole_world()
    world["platform_activity"].remove(find(world["platform_activity"], business_date=JAN_31))
    assert _found(world) == [("2025-01-31", "USD")]


def test_a_user_of_an_earlier_day_who_is_not_counted():
    world = whole_world()
    world["users"][0]["joined_on"] = JAN_31
    assert _found(world) == [("2025-01-31", "USD")]
    assert FEB_1.isoformat() not in {day for day, _ in _found(world)}
