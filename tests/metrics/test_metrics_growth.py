"""The previous period by hand, from a calendar, and growth against it."""

from datetime import date, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.metrics.growth import compared, growth, previous_period

MONTH, QUARTER, YEAR, CUSTOM = 1, 3, 12, None


def days(text):
    return tuple(date.fromisoformat(day) for day in text.split(" to "))


@pytest.mark.parametrize(
    ("months", "period", "previous"),
    [
        # Whole ones: the calendar one before, however long it is.
        (MONTH, "2025-03-01 to 2025-03-31", "2025-02-01 to 2025-02-28"),
        (MONTH, "2024-03-01 to 2024-03-31", "2024-02-01 to 2024-02-29"),
        (MONTH, "2025-02-01 to 2025-02-28", "2025-01-01 to 2025-01-31"),
        (MONTH, "2024-02-01 to 2024-02-29", "2024-01-01 to 2024-01-31"),
        (MONTH, "2025-01-01 to 2025-01-31", "2024-12-01 to 2024-12-31"),
        (QUARTER, "2025-01-01 to 2025-03-31", "2024-10-01 to 2024-12-31"),
        (QUARTER, "2024-04-01 to 2024-06-30", "2024-01-01 to 2024-03-31"),
        (YEAR, "2025-01-01 to 2025-12-31", "2024-01-01 to 2024-12-31"),
        (YEAR, "2024-01-01 to 2024-12-31", "2023-01-01 to 2023-12-31"),
        # Running ones: as many days from the start of the one before.
        (MONTH, "2025-08-01 to 2025-08-14", "2025-07-01 to 2025-07-14"),
        (MONTH, "2025-08-01 to 2025-08-01", "2025-07-01 to 2025-07-01"),
        (MONTH, "2025-01-01 to 2025-01-30", "2024-12-01 to 2024-12-30"),
        # 28 February 2024 is the 28th of 29 days: the month is still running.
        (MONTH, "2024-02-01 to 2024-02-28", "2024-01-01 to 2024-01-28"),
        # February 2025 has no 29th and 30th day: all of it.
        (MONTH, "2025-03-01 to 2025-03-29", "2025-02-01 to 2025-02-28"),
        (MONTH, "2025-03-01 to 2025-03-30", "2025-02-01 to 2025-02-28"),
        (MONTH, "2024-03-01 to 2024-03-29", "2024-02-01 to 2024-02-29"),
        # April and 20 days of May are 50 days; January and 19 of February are too.
        (QUARTER, "2025-04-01 to 2025-05-20", "2025-01-01 to 2025-02-19"),
        # January and February are 31 + 28 = 59 days; October and 28 of November are too.
        (QUARTER, "2025-01-01 to 2025-02-28", "2024-10-01 to 2024-11-28"),
        # 91 days of July to September; April to June has 91 in all.
        (QUARTER, "2025-07-01 to 2025-09-29", "2025-04-01 to 2025-06-30"),
        # The 60th day of 2025 is 1 March, that of 2024 is 29 February.
        (YEAR, "2025-01-01 to 2025-03-01", "2024-01-01 to 2024-02-29"),
        # The 60th day of 2024 is 29 February, that of 2023 is 1 March.
        (YEAR, "2024-01-01 to 2024-02-29", "2023-01-01 to 2023-03-01"),
        # The 365th of the 366 days of 2024; 2023 has 365.
        (YEAR, "2024-01-01 to 2024-12-30", "2023-01-01 to 2023-12-31"),
        # Custom ranges of whole months: as many months before.
        (CUSTOM, "2025-03-01 to 2025-03-31", "2025-02-01 to 2025-02-28"),
        (CUSTOM, "2024-02-01 to 2024-03-31", "2023-12-01 to 2024-01-31"),
        (CUSTOM, "2024-01-01 to 2025-12-31", "2022-01-01 to 2023-12-31"),
        # Others: as many days before. 14, 28 and 11 days.
        (CUSTOM, "2025-02-01 to 2025-02-14", "2025-01-18 to 2025-01-31"),
        (CUSTOM, "2024-02-01 to 2024-02-28", "2024-01-04 to 2024-01-31"),
        (CUSTOM, "2024-02-25 to 2024-03-06", "2024-02-14 to 2024-02-24"),
        (CUSTOM, "2025-03-02 to 2025-03-31", "2025-01-31 to 2025-03-01"),
    ],
)
def test_the_previous_period_is_found_in_the_calendar(months, period, previous):
    assert previous_period(*days(period), months) == days(previous)


@given(
    st.dates(date(1999, 1, 1), date(2099, 12, 31)),
    st.integers(0, 800),
    st.sampled_from([MONTH, QUARTER, YEAR, CUSTOM]),
)
def test_the_previous_period_lies_before_and_is_never_longer_than_a_running_one(day, length, months):
    first = day if months is None else day.replace(month=day.month - (day.month - 1) % months, day=1)
    last = first + timedelta(days=length)
    if months is not None:
        after = first.year * 12 + first.month - 1 + months
        last = min(last, date(after // 12, after % 12 + 1, 1) - timedelta(days=1))
    begins, ends = previous_period(first, last, months)
    assert begins <= ends < first
    whole_months = first.day == 1 and (last + timedelta(days=1)).day == 1
    if months is None and not whole_months:
        assert (ends - begins, ends) == (last - first, first - timedelta(days=1))
    else:
        assert begins.day == 1
    if months is not None and (ends + timedelta(days=1)).day != 1:
        assert ends - begins == last - first


@pytest.mark.parametrize(
    ("now", "before", "grown"), [("15", "10", 0.5), ("0", "10", -1.0), ("5", "0", None), ("5", "-10", None)]
)
def test_growth_is_known_against_more_than_zero(now, before, grown):
    now, before = (ibis.literal(Decimal(amount), "decimal(18, 2)") for amount in (now, before))
    assert ibis.duckdb.connect().to_pyarrow(growth(now, before)).as_py() == grown


def test_periods_are_compared_by_number_and_currency():
    values = pa.table(
        {
            "number": [0, 0, 1, 2],
            "currency": ["EUR", "USD", "EUR", "EUR"],
            "amount": pa.array([Decimal("15.00"), Decimal("8.00"), Decimal("10.00"), None], pa.decimal128(18, 2)),
            "loans": [3, 1, 2, None],
        }
    )
    pairs = pa.table({"number": [0, 1], "before": [1, 2]})
    rows = compared(ibis.memtable(values), ibis.memtable(pairs), "amount", "loans").order_by("number", "currency")
    found = ibis.duckdb.connect().to_pyarrow(rows).to_pylist()
    # 15 against 10 and 3 loans against 2; USD has no period 1, and period 2 is not known.
    names = ("number", "currency", "amount_growth", "loans_growth", "loans_before")
    assert [tuple(row[name] for name in names) for row in found] == [
        (0, "EUR", 0.5, 0.5, 2),
        (0, "USD", None, None, None),
        (1, "EUR", None, None, None),
    ]
