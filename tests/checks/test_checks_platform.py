"""platform_activity: one thing wrong in each test."""

import pytest
from checks_world import FEB_2, JAN_31, evaluate, find, whole_world


def _found(world):
    rows = evaluate(world, "platform_activity", "platform_equals_positions").sample
    return [(row["business_date"], row["currency"]) for row in rows]


@pytest.mark.parametrize("column", ["active_loans", "total_tickets", "completed_tickets"])
def test_a_count_that_differs(column):
    world = whole_world()
    find(world["platform_activity"], business_date=FEB_2)[column] = 7
    assert _found(world) == [("2025-02-02", "USD")]


def test_a_currency_that_is_missing():
    world = whole_world()
    world["platform_activity"].remove(find(world["platform_activity"], business_date=JAN_31))
    assert _found(world) == [("2025-01-31", "USD")]


def test_a_platform_that_the_source_does_not_keep():
    world = whole_world()
    for row in world["platform_activity"]:
        row |= dict.fromkeys(("total_users", "total_tickets", "open_tickets", "completed_tickets", "cancelled_tickets"))
    assert _found(world) == []
